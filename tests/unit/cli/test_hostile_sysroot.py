# SPDX-License-Identifier: Apache-2.0
"""Copies of hosts that were made to exhaust who looks into them."""

import json
import pathlib
import subprocess
import sys

import fixtures
import testtools

HUGE = 100 * 2**20

MEMORY_LIMIT = 64 * 2**20
"""Bytes that a huge cpuinfo may cost beyond a small one: 16 MiB of it are
read, and as much again goes into what is parsed; 31 MiB were seen."""

# VmHWM, since ru_maxrss would begin with that of the process which started
# this one.
PROGRAM = """
import re, sys
from hvfilter.cli.main import main
status = main(sys.argv[1:])
told = open('/proc/self/status').read()
kib = int(re.search(r'VmHWM:\\s*(\\d+) kB', told)[1])
print(kib * 1024, file=sys.stderr)
sys.exit(status)
"""

PROCESSOR = """\
processor\t: {number}
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
cpu MHz\t\t: 2000.{number:06d}
flags\t\t: {words} vmx ept vpid lm
vmx flags\t: vnmi preemption_timer ept_ad vpid unrestricted_guest pml

"""
WORDS = ' '.join(f'word{number}' for number in range(120))


def processors(first, count):
    return ''.join(
        PROCESSOR.format(number=number, words=WORDS)
        for number in range(first, first + count)
    ).encode()


class HostileSysrootTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cpuinfo = self.root / 'proc' / 'cpuinfo'
        self.cpuinfo.parent.mkdir()

    def _probe(self):
        """States by capability, and the most memory that was used."""
        done = subprocess.run(
            [
                *(sys.executable, '-c', PROGRAM),
                *('probe', '-f', 'json', '--sysroot', str(self.root)),
            ],
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        report = json.loads(done.stdout)
        states = {
            capability: finding['state']
            for capability, finding in report['capabilities'].items()
        }
        return states, int(done.stderr)

    def _small(self):
        self.cpuinfo.write_bytes(processors(0, 4))
        return self._probe()

    def test_same_answer_in_bounded_memory_when_cpuinfo_has_100_mb(self):
        states, small = self._small()
        self.assertEqual('present', states['vtx'])
        many = processors(0, 1000)
        with self.cpuinfo.open('wb') as file:
            while file.tell() < HUGE:
                file.write(many)
        huge_states, huge = self._probe()
        self.assertEqual(states, huge_states)
        self.assertLess(huge - small, MEMORY_LIMIT)

    def test_bounded_memory_when_100_mb_are_one_line(self):
        _, small = self._small()
        for content in (b'', processors(0, 1) + b'flags\t\t: vmx '):
            with self.cpuinfo.open('wb') as file:
                file.write(content)
                file.truncate(HUGE)
            _, huge = self._probe()
            self.assertLess(huge - small, MEMORY_LIMIT)

    def test_same_answer_when_links_in_sysfs_go_round(self):
        states, small = self._small()
        for path, target in (
            ('sys/module/kvm', 'kvm_intel'),
            ('sys/module/kvm_intel', 'kvm'),
            ('sys/class/iommu', '../kernel/iommu_groups'),
            ('sys/kernel/iommu_groups', '../class/iommu'),
            ('sys/devices/system/cpu/online', 'online'),
            ('sys/firmware/acpi/tables', '../acpi/tables/../tables'),
            ('sys/hypervisor', '/sys/hypervisor/hypervisor'),
            ('sys/all', '..'),
            ('etc/nova', '/etc/nova/nova.conf'),
        ):
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        round_states, memory = self._probe()
        self.assertEqual(states['vtx'], round_states['vtx'])
        self.assertEqual(set(states), set(round_states))
        # A link that goes round is no proof that anything is not there.
        for key in ('kvm', 'nested', 'iommu'):
            self.assertEqual('unknown', round_states[key], key)
        self.assertLess(memory - small, 2**20 * 8)
