# SPDX-License-Identifier: Apache-2.0
"""This very machine, beside what other tools say of it.

They ask fewer sources. Where they disagree with us, a source that they do not
have must have told us otherwise.
"""

import json
import os
import re
import shutil
import subprocess

import testtools

from hvfilter.host.live import LiveHost
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import State, Strength
from hvfilter.probes.host_report import probe_host


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


def flat(fields):
    """The fields of lscpu, those under a heading too."""
    for field in fields:
        yield field
        yield from flat(field.get('children', ()))


def validated(output):
    """What virt-host-validate checked, and the word it found for each."""
    found = re.findall(r'(?m)^ *QEMU: Checking (.+?) *: (\w+)', output)
    return dict(found)


class TestThisMachine(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report = probe_host(LiveHost())

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
            for field in flat(json.loads(output)['lscpu'])
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
        if Arch.from_machine(self.report.machine) is Arch.X86:
            flags = self.flags_say('vtx') + self.flags_say('amdv')
            lacks = 'Your CPU does not support KVM extensions'
            self.assertNotEqual(any(flags), lacks in output, output)
        if code == 2:
            return  # it wants to be root
        # Without the node it says what could be.
        self.compare('INFO: /dev/kvm exists' in output, output)

    def test_kvm_when_virt_host_validate_tells(self):
        self.need('virt-host-validate')
        _, output = run('virt-host-validate', 'qemu')
        told = validated(output)
        # It looks for no flag on arm64 and riscv64.
        hardware = told.get('for hardware virtualization', 'PASS') == 'PASS'
        if Arch.from_machine(self.report.machine) is Arch.X86:
            flags = self.flags_say('vtx') + self.flags_say('amdv')
            self.assertEqual(any(flags), hardware, output)
        # Without the flag it does not go on to look at /dev/kvm.
        device = [
            told[check] == 'PASS' for check in told if '/dev/kvm' in check
        ]
        self.assertEqual(hardware, bool(device), output)
        self.compare(hardware and all(device), output)

    def compare(self, theirs, output):
        """With what a person is told: can KVM be used?

        They believe flags and nodes. Only that a guest ran, or that it could
        not, may make us say otherwise.
        """
        stage = self.stage('kvm', Stage.KVM)
        if stage.state is State.UNKNOWN:
            return
        if (stage.state is State.PRESENT) is not theirs:
            strength = stage.observations[0].strength
            self.assertIs(Strength.SMOKE, strength, f'{output}\n{stage}')

    def test_report_when_made_twice(self):
        """All but the time that a guest took is the same again."""
        again = probe_host(LiveHost())
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
