# SPDX-License-Identifier: Apache-2.0
"""This very machine, beside what other tools say of it.

They ask fewer sources. Where they disagree with us, a source that they do not
have must have told us otherwise.
"""

import json
import os
import shutil
import subprocess

import testtools

from hvfilter.host.live import LiveHost
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import State, Strength
from hvfilter.report.examine import examine


def run(*command):
    """Exit code and output of a tool, in the language of programs."""
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        env={**os.environ, 'LC_ALL': 'C'},
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


class TestThisMachine(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report = examine(LiveHost())

    def need(self, tool):
        if not shutil.which(tool):
            self.skipTest(f'{tool} is not installed')

    def stage(self, key, stage):
        finding = self.report[key]
        return next(s for s in finding.stages if s.stage is stage)

    def flags_say(self, key):
        """What cpuinfo alone says, which is all that others look at."""
        return [
            said.state is State.PRESENT
            for said in self.stage(key, Stage.CPU).observations
            if said.strength is Strength.FLAGS
        ]

    def test_extension_when_lscpu_tells(self):
        self.need('lscpu')
        _, output = run('lscpu', '-J')
        fields = {
            field['field'].rstrip(':'): field['data']
            for field in json.loads(output)['lscpu']
        }
        if Arch.from_machine(self.report.machine) is Arch.X86:
            virtualization = fields.get('Virtualization', '')
            for key, name in (('vtx', 'VT-x'), ('amdv', 'AMD-V')):
                self.assertEqual(
                    [name == virtualization], self.flags_say(key), key
                )
        if fields.get('Hypervisor vendor'):
            self.assertIs(State.ABSENT, self.report['bare_metal'].state)

    def test_kvm_when_kvm_ok_tells(self):
        """It looks at the flags and at /dev/kvm, and runs nothing."""
        self.need('kvm-ok')
        code, output = run('kvm-ok')
        self.compare(code == 0, output)

    def test_kvm_when_virt_host_validate_tells(self):
        self.need('virt-host-validate')
        _, output = run('virt-host-validate', 'qemu')
        lines = [
            line.split(':') for line in output.splitlines() if ':' in line
        ]
        told = {words[1].strip(): words[-1].strip() for words in lines}
        hardware = told.get('Checking for hardware virtualization')
        device = told.get('Checking if device /dev/kvm exists')
        if 'PASS' in (hardware, device):
            self.compare(hardware == device == 'PASS', output)

    def compare(self, theirs, output):
        stage = self.stage('kvm', Stage.KVM)
        if stage.state is State.UNKNOWN:
            return
        if (stage.state is State.PRESENT) is not theirs:
            strength = stage.observations[0].strength
            self.assertIs(Strength.SMOKE, strength, f'{output}\n{stage}')

    def test_report_when_made_twice(self):
        """All but the time that a guest took is the same again."""
        again = examine(LiveHost())
        for finding in self.report.findings:
            for state in (finding.state, again[finding.capability].state):
                if state is not State.UNKNOWN:
                    self.assertEqual(
                        {state, State.UNKNOWN},
                        {
                            state,
                            State.UNKNOWN,
                            finding.state,
                            again[finding.capability].state,
                        },
                        finding.capability,
                    )
