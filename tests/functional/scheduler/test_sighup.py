# SPDX-License-Identifier: Apache-2.0
"""nova.conf has a wrong value when nova-scheduler gets SIGHUP."""

import pathlib

import fixtures
import nova.conf

from tests.functional import landing

CONF = nova.conf.CONF


class SighupTest(landing.LandingTestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = folder / 'nova.conf'
        self.write('required = kvm')
        CONF([], default_config_files=[str(self.file)], project='nova')
        self.assertEqual('flat', self.host_of(self.boot()))

    def write(self, line: str) -> None:
        self.file.write_text(f'[hvfilter]\n{line}\n')

    def test_guests_land_by_the_last_good_policy(self) -> None:
        for line in (
            'required = kvm,nestd',
            'refresh_s = -1',
            'mode = permisive',
            'trust_s = nan',
        ):
            self.write(line)
            log = self.log_of('hvfilter')
            CONF.mutate_config_files()
            self.assertEqual('flat', self.host_of(self.boot()), line)
            self.assertEqual('flat', self.host_of(self.boot()), line)
            errors = [
                each for each in log.output.splitlines() if 'ERROR' in each
            ]
            self.assertEqual(1, len(errors), log.output)
            self.assertIn(line.partition(' ')[0], errors[0])
