# SPDX-License-Identifier: Apache-2.0
"""The compute hosts of the demonstration: this machine and recorded ones."""

from __future__ import annotations

import dataclasses
import pathlib

from hvfilter.host import snapshot
from hvfilter.host.base import Denied, Host
from hvfilter.host.live import LiveHost
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import HostReport
from hvfilter.probes.cpuinfo import CpuInfo
from hvfilter.probes.host_report import probe_host
from tests.fakes.compute import ComputeHost

RECORDINGS = pathlib.Path(__file__).parent.parent / 'hosts'

GIB = 1024

VENDORS = {'GenuineIntel': 'Intel', 'AuthenticAMD': 'AMD'}
"""libvirt's words for what the processor says."""

TRAITS = {'vmx': 'HW_CPU_X86_VMX', 'svm': 'HW_CPU_X86_SVM'}
"""What nova-compute reports by itself when it sees these flags."""


@dataclasses.dataclass(frozen=True)
class Place:
    """One line of the table of hosts.

    :ivar recording: the file's name without its ending; '' for this machine
    :ivar memory_mb: what Nova's weighers go by: the more, the better
    """

    name: str
    recording: str
    memory_mb: int


PLACES = (
    # The worst are the biggest, so that Nova likes them best; a few guests
    # are enough to make the next one the best.
    Place('this-machine', '', 256 * GIB),
    Place('tcg', 'intel-virt-type-qemu', 240 * GIB),
    Place('firmware-locked', 'intel-firmware-lock', 224 * GIB),
    Place('no-ept', 'intel-no-ept', 208 * GIB),
    Place('nested-off', 'intel-nested-off', 192 * GIB),
    Place('intel', 'intel-all-on', 176 * GIB),
    Place('amd', 'amd-everything', 160 * GIB),
)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A host with what was found on it.

    :ivar machine: as its hypervisor describes it to nova-compute
    """

    place: Place
    report: HostReport
    machine: ComputeHost

    @property
    def live(self) -> bool:
        """Whether it is this very machine."""
        return not self.place.recording


def candidate(place: Place, nova_conf: pathlib.Path) -> Candidate:
    """Look at a host.

    :param nova_conf: nova-compute's configuration on this machine, where
        none is installed
    """
    if place.recording:
        text = (RECORDINGS / f'{place.recording}.json').read_bytes()
        host: Host = RecordedHost(snapshot.loads(text), place.recording)
        report = probe_host(host)
    else:
        host = LiveHost()
        report = probe_host(host, (str(nova_conf),))
    return Candidate(place, report, describe(place, host))


def describe(place: Place, host: Host) -> ComputeHost:
    """What libvirt would make of the host for nova-compute."""
    try:
        info = CpuInfo(host.read('/proc/cpuinfo'))
        arch = host.machine().arch
    except Denied:
        info, arch = CpuInfo(b''), ComputeHost.arch
    flags = info.words_everywhere('flags')
    traits = {TRAITS[flag] for flag in TRAITS.keys() & flags}
    kinds = ('kvm', 'qemu') if has_kvm(host) else ('qemu',)
    return ComputeHost(
        place.name,
        place.memory_mb,
        arch=arch,
        vendor=VENDORS.get(info.first('vendor_id'), ''),
        model=info.first('model name'),
        features=tuple(sorted(flags)),
        traits=frozenset(traits),
        supported=tuple((arch, kind, 'hvm') for kind in kinds),
    )


def has_kvm(host: Host) -> bool:
    """Whether /dev/kvm opens, which is all that libvirt asks."""
    try:
        host.kvm_api_version()
    except Denied:
        return False
    return True
