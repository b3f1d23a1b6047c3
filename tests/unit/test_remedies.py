# SPDX-License-Identifier: Apache-2.0
"""Every remedy helps some recorded host, and every cause has a remedy.

That a remedy is right was looked up in the driver, firmware or service that
it names: see its source in hvfilter/probes. What can be tested is that none
is given to nobody, and that nobody is left without one.
"""

import collections
import functools

import fixtures
import testtools

from hvfilter.host.cpuid_dump import DumpHost
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.sysroot import SysrootHost
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import State
from hvfilter.probes import remedies
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice
from tests.hosts.make import probes
from tests.unit.test_hosts import recorded_hosts

NOTHING_HELPS = {
    'another maker': 'only processors of ',
    'the processor decides': 'KVM does not scale the TSC',
}
"""Why there is no remedy, and how such reasons begin."""


@functools.cache
def observations():
    """What every probe observes on every recorded host."""
    found = []
    for name, recorded in recorded_hosts():
        look = ProbeContext(RecordedHost(recorded))
        for probe in probes():
            if look.arch in probe.archs:
                module = type(probe).__module__.rpartition('.')[2]
                found += [(name, module, said) for said in probe.observe(look)]
    return tuple(found)


def of(host):
    """What every probe observes on a host of which files or a dump are all
    that is known, and there is no recording."""
    look = ProbeContext(host)
    return [
        said
        for probe in probes()
        if look.arch in probe.archs
        for said in probe.observe(look)
    ]


DUMP = """\
CPUID 00000000: 00000016-756E6547-6C65746E-49656E69
CPUID 00000001: 000806EC-00100800-7FFAFBBF-BFEBFBFF
CPUID 80000001: 00000000-00000000-00000121-2C100800
"""


class TestRemedies(testtools.TestCase):
    maxDiff = None

    def test_every_remedy_is_given_to_some_host(self):
        given = collections.Counter(
            key
            for _, _, said in observations()
            if isinstance(said.remedy, Advice)
            for key in said.remedy.keys
        )
        for host in self.other_hosts():
            for said in of(host):
                given.update(said.remedy and said.remedy.keys)
        self.assertEqual(set(), set(remedies.every()) - set(given))
        self.assertEqual(set(), set(given) - set(remedies.every()))

    def other_hosts(self):
        directory = self.useFixture(fixtures.TempDir()).path
        return SysrootHost(directory), DumpHost(DUMP, 'dump')

    def test_nobody_is_to_record_again_what_is_no_recording(self):
        for host, holder in zip(
            self.other_hosts(), ('copy', 'dump'), strict=True
        ):
            text = '\n'.join(
                f'{said.value} {said.reason} {said.remedy}'
                for said in of(host)
            )
            self.assertNotIn('recording', text)
            self.assertNotIn(' again', text)
            self.assertIn(f'this {holder} does not hold it', text)
            self.assertIn(f'this {holder} holds nothing of Nova', text)

    def test_every_cause_has_a_remedy(self):
        without = {
            f'{module} {said.stage.value}: {said.reason}': name
            for name, module, said in observations()
            if said.state is State.ABSENT
            and not said.remedy
            and not said.reason.startswith(tuple(NOTHING_HELPS.values()))
        }
        self.assertEqual({}, without)

    def test_every_remedy_has_a_key(self):
        plain = {
            f'{module}: {said.remedy}'
            for _, module, said in observations()
            if said.remedy and not isinstance(said.remedy, Advice)
        }
        self.assertEqual(set(), plain)

    def test_nothing_is_advised_that_is_not_off(self):
        """What is present needs no remedy."""
        advised = {
            f'{module}: {said.remedy}'
            for _, module, said in observations()
            if said.state is State.PRESENT and said.remedy
        }
        self.assertEqual(set(), advised)

    def test_firmware_is_not_for_guests(self):
        """A guest has no firmware setup that could help."""
        guests = {
            name
            for name, _, said in observations()
            if said.capability == 'bare_metal' and said.state is State.ABSENT
        }
        wrong = {
            f'{name}: {said.remedy}'
            for name, module, said in observations()
            if name in guests
            and module in ('x86_cpu', 'x86_firmware', 'x86_kvm', 'iommu')
            and said.stage is not Stage.NOVA
            and 'firmware setup' in said.remedy
        }
        self.assertEqual(set(), wrong)
