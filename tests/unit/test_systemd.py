# SPDX-License-Identifier: Apache-2.0
"""The units, in the eyes of systemd's own tool."""

import pathlib
import re
import shutil
import subprocess
import sys

import fixtures
import testtools

ETC = pathlib.Path(__file__).parent.parent.parent / 'etc'
UNITS = sorted(
    path
    for path in (ETC / 'systemd').iterdir()
    if path.suffix in ('.service', '.timer')
)
SERVICES = [path for path in UNITS if path.suffix == '.service']
TOOL = shutil.which('systemd-analyze')
OK = 50
"""Exposure times ten below which systemd-analyze says "OK" or better."""

FIRST_OFFLINE = 250
"""The systemd release that judges unit files that are not installed."""


def release() -> int:
    told = subprocess.run([TOOL, '--version'], capture_output=True, text=True)
    found = re.match(r'systemd (\d+)', told.stdout)
    return int(found[1]) if found else 0


@testtools.skipIf(
    TOOL is None or release() < FIRST_OFFLINE,
    f'needs systemd-analyze of systemd {FIRST_OFFLINE} or later',
)
class AnalyzeTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for unit in UNITS:
            # The command need not be installed here, but must exist.
            text = unit.read_text().replace(
                'ExecStart=hvfilter', f'ExecStart={self.command}'
            )
            (self.folder / unit.name).write_text(text)

    command = sys.executable

    def analyze(self, *arguments):
        return subprocess.run(
            [TOOL, *arguments], capture_output=True, text=True
        )

    def test_units_when_verified(self):
        names = [str(self.folder / unit.name) for unit in UNITS]
        told = self.analyze('verify', '--man=no', *names)
        self.assertEqual('', told.stderr)
        self.assertEqual(0, told.returncode)

    def test_services_when_their_exposure_is_measured(self):
        for unit in SERVICES:
            told = self.analyze(
                'security',
                '--offline=yes',
                f'--threshold={OK}',
                str(self.folder / unit.name),
            )
            self.assertEqual(0, told.returncode, told.stdout)


class UnitsTest(testtools.TestCase):
    def test_timers_when_they_name_a_service(self):
        names = {unit.name for unit in UNITS}
        for unit in UNITS:
            for other in re.findall(r'^Unit=(.*)$', unit.read_text(), re.M):
                self.assertIn(other, names)

    def test_rule_when_it_names_a_timer(self):
        rules = (ETC / 'udev' / '90-hvfilter.rules').read_text()
        (timer,) = re.findall(r'restart (\S+\.timer)"', rules)
        self.assertIn(timer, {unit.name for unit in UNITS})

    def test_services_when_only_errors_are_kept(self):
        for unit in SERVICES:
            settings = unit.read_text().splitlines()
            self.assertIn('StandardOutput=null', settings)
            # Else it would go where the output goes.
            self.assertIn('StandardError=journal', settings)

    def test_timer_when_a_module_comes_and_goes_often(self):
        timer = (ETC / 'systemd' / 'hvfilter-changed.timer').read_text()
        self.assertIn('StartLimitIntervalSec=0', timer.splitlines())

    def test_rule_when_a_run_has_looked_before(self):
        rules = (ETC / 'udev' / '90-hvfilter.rules').read_text()
        ends = 'stop hvfilter-publish.service"'
        self.assertLess(rules.find(ends), rules.find('restart hvfilter-ch'))
        self.assertIn(ends, rules)

    def test_services_when_the_guest_is_timed(self):
        for unit in SERVICES:
            settings = [
                line
                for line in unit.read_text().splitlines()
                if not line.startswith('#')
            ]
            for line in ('MemoryDenyWriteExecute=yes', 'PrivateDevices=yes'):
                self.assertNotIn(line, settings)
            self.assertIn('DeviceAllow=/dev/kvm rw', settings)
