# SPDX-License-Identifier: Apache-2.0

import json
import subprocess
import sys

import fixtures
import testtools

_RUN = 'import sys; from hvfilter.scheduler.status import main; '
_WITHOUT_NOVA = "sys.modules['nova'] = None; "


def run(*arguments, before=''):
    code = f'{_RUN}{before}sys.exit(main({list(arguments)!r}))'
    return subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=False,
    )


class TestStatus(testtools.TestCase):
    def test_one_line_where_there_is_no_nova(self):
        ran = run('upgrade', 'check', before=_WITHOUT_NOVA)
        self.assertEqual(255, ran.returncode)
        self.assertEqual('', ran.stdout)
        self.assertEqual(1, len(ran.stderr.splitlines()))
        self.assertIn('install hvfilter into', ran.stderr)

    def test_one_line_where_the_configuration_cannot_be_read(self):
        ran = run('--config-file', '/nowhere/nova.conf', 'upgrade', 'check')
        self.assertEqual(255, ran.returncode)
        self.assertEqual(1, len(ran.stderr.splitlines()), ran.stderr)
        self.assertIn('/nowhere/nova.conf', ran.stderr)

    def test_every_result_says_what_to_do(self):
        empty = self.file(
            '[filter_scheduler]\nenabled_filters = ComputeFilter'
        )
        ran = run('--config-file', empty, 'upgrade', 'check', '--json')
        self.assertEqual(2, ran.returncode, ran.stderr)
        checks = {
            each['check']: each for each in json.loads(ran.stdout)['checks']
        }
        self.assertEqual(11, len(checks))
        enabled = checks['HardwareVirtFilter is enabled']
        self.assertEqual(2, enabled['result'])
        self.assertIn('restart nova-scheduler', enabled['details'])
        self.assertIn('[placement]', checks['Placement']['details'])
        self.assertIn('[api_database]', checks['Flavors']['details'])
        for check in checks.values():
            self.assertEqual(not check['result'], check['details'] is None)

    def file(self, text):
        folder = self.useFixture(fixtures.TempDir()).path
        path = f'{folder}/nova.conf'
        with open(path, 'w') as file:
            file.write(text)
        return path
