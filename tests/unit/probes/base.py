# SPDX-License-Identifier: Apache-2.0
"""A host of a few facts, and what one probe says of it."""

import testtools

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import CpuidEntry, CpuidRegs, Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.catalogue import BY_KEY, Stage
from hvfilter.model.finding import State, Strength
from hvfilter.probes.context import ProbeContext
from tests.recordings import KvmAnswers, a_snapshot

ENOENT = Refusal('ENOENT')
EACCES = Refusal('EACCES')
EIO = Refusal('EIO')

DELL = {
    '/sys/class/dmi/id/sys_vendor': 'Dell Inc.',
    '/sys/class/dmi/id/product_name': 'PowerEdge R650',
    '/sys/class/dmi/id/bios_vendor': 'Dell Inc.',
}
"""DMI of a real machine."""


def regs(eax=0, ebx=0, ecx=0, edx=0):
    return CpuidRegs(eax, ebx, ecx, edx)


def entry(leaf, **registers):
    return CpuidEntry(leaf, 0, regs(**registers))


def content(value):
    return value if isinstance(value, (bytes, Refusal)) else value.encode()


def look_at(
    arch='x86_64',
    kernel='6.12.1',
    files=None,
    directories=None,
    modules=None,
    cpus=1,
    cpuid=None,
    msrs=None,
    kvm=None,
    nova_config=None,
    **facts,
):
    """A look at a host.

    :param modules: names in /sys/module; None for not recorded
    :param cpuid: leaf to registers, the same on all processors; or a list
        of such, one for each processor
    :param msrs: likewise
    :param kvm: the answers; a refusal for all of them
    """
    directories = dict(directories or {})
    if modules is not None:
        directories['/sys/module'] = tuple(sorted(modules))
    if isinstance(kvm, Refusal):
        kvm = KvmAnswers(kvm, {}, kvm, kvm)
    online = b'0\n' if cpus == 1 else f'0-{cpus - 1}\n'.encode()
    return ProbeContext(
        RecordedHost(
            a_snapshot(
                origin=Provenance(Making.MADE),
                machine=Machine(arch, kernel),
                files={
                    '/sys/devices/system/cpu/online': online,
                    **{p: content(v) for p, v in (files or {}).items()},
                },
                directories=directories,
                cpuid=_each(cpuid, cpus, lambda leaf: (leaf, 0)),
                msrs=_each(msrs, cpus, lambda index: index),
                kvm=kvm or KvmAnswers(),
                **facts,
            )
        ),
        nova_config,
    )


def _each(tables, cpus, key):
    if tables is None:
        return {}
    if isinstance(tables, dict):
        tables = [tables] * cpus
    return {
        cpu: {key(index): value for index, value in table.items()}
        for cpu, table in enumerate(tables)
    }


class ProbeTestCase(testtools.TestCase):
    """:cvar probe: the class under test"""

    probe = None

    def said(self, look, key=None, stage=None):
        """What the probe says, perhaps only of one capability or stage."""
        everything = list(self.probe().observe(look))
        for observation in everything:
            self.check_words(observation)
        return [
            observation
            for observation in everything
            if key in (None, observation.capability)
            and stage in (None, observation.stage)
        ]

    def check_words(self, said):
        """Nothing is left out that a person would want to know."""
        self.assertIn(said.capability, BY_KEY)
        self.assertIn(said.stage, Stage)
        self.assertIn(said.state, State)
        self.assertIn(said.strength, Strength)
        for text in (said.source, said.asked, said.value, said.reason):
            self.assertIsInstance(text, str)
            self.assertNotEqual('None', text)
        self.assertIsInstance(said.remedy, str)
        self.assertNotEqual('', said.source)
        self.assertNotEqual('', said.asked)
        self.assertNotEqual('', said.reason)

    def states(self, look, key, stage):
        """The states of one stage of one capability, in order."""
        return [
            observation.state.value
            for observation in self.said(look, key, stage)
        ]

    def one(self, look, key, stage):
        """The only observation of one stage of one capability."""
        said = self.said(look, key, stage)
        self.assertEqual(1, len(said), said)
        return said[0]
