# SPDX-License-Identifier: Apache-2.0
"""What is known of a host: its traits, and Nova's host state.

Nova's host state can only rule a capability out. libvirt's processor features
are raw CPUID, which ignores a firmware lock and what KVM makes of it. A kvm
domain type is offered on hosts whose Nova is configured for emulation. What
it does prove: another vendor's or architecture's capabilities are not there,
a processor with the hypervisor bit is no bare metal, and where libvirt itself
offers no kvm domain type, Nova starts no KVM guest. Whether Nova is configured
for emulation it does not prove: libvirt offers both domain types then. But
where it offers no qemu domain type, Nova emulates nothing.

Sources: Nova ``nova/virt/libvirt/driver.py`` ``_get_cpu_info``,
``_get_instance_capabilities``; libvirt ``src/cpu_map``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

from hvfilter.model import catalogue
from hvfilter.model.catalogue import Arch, Vendor
from hvfilter.model.policy import Policy, WhenUnknown
from hvfilter.model.verdict import HostCapabilities

_LONGEST_CPU_INFO = 1 << 20
"""Nova's column holds 64 KiB; what is longer is none of Nova's."""

_ALL = frozenset(catalogue.BY_KEY)

_VENDORS = {
    'Intel': Vendor.INTEL,
    'AMD': Vendor.AMD,
    'Hygon': Vendor.AMD,
}
"""By libvirt's vendor names. Zhaoxin and Centaur have none there."""

_KVM_DRIVERS = frozenset({'', 'qemu', 'kvm'})


@dataclasses.dataclass(frozen=True)
class HostFacts:
    """What Nova's host state shows, as far as it is valid and matters.

    :ivar kvm_host: the hypervisor is QEMU, which may use KVM; a host
        without that information counts as one
    :ivar machine: the processor's architecture, '' when not known
    :ivar vendor: libvirt's name of its vendor, '' when not known
    :ivar virtual: the processor has the hypervisor bit
    :ivar native: architectures of the guests offered under KVM; None when
        nothing is known of any guest
    :ivar emulates: whether any guest is offered without KVM; likewise
    """

    kvm_host: bool = True
    machine: str = ''
    vendor: str = ''
    virtual: bool = False
    native: frozenset[str] | None = None
    emulates: bool | None = None


@dataclasses.dataclass(frozen=True)
class Processor:
    """What ``cpu_info`` shows; see :class:`HostFacts`."""

    machine: str = ''
    vendor: str = ''
    virtual: bool = False


def processor(cpu_info: object) -> Processor:
    """From ``HostState.cpu_info``: a JSON text, None, or garbage."""
    if not isinstance(cpu_info, str) or len(cpu_info) > _LONGEST_CPU_INFO:
        return Processor()
    try:
        parsed = json.loads(cpu_info)
    except (ValueError, RecursionError):
        return Processor()
    if not isinstance(parsed, dict):
        return Processor()
    features = parsed.get('features')
    return Processor(
        _text(parsed.get('arch')),
        _text(parsed.get('vendor')),
        isinstance(features, list) and 'hypervisor' in features,
    )


def native(supported_instances: object) -> frozenset[str] | None:
    """From ``HostState.supported_instances``: the architectures offered
    under KVM; None when nothing usable is there."""
    triples = _triples(supported_instances)
    if not triples:
        return None
    return frozenset(
        arch
        for arch, hv_type, _ in triples
        if hv_type == 'kvm' and isinstance(arch, str)
    )


def emulates(supported_instances: object) -> bool | None:
    """From ``HostState.supported_instances``: whether any guest is offered
    without KVM; None when nothing usable is there."""
    triples = _triples(supported_instances)
    if not triples:
        return None
    return any(hv_type == 'qemu' for _, hv_type, _ in triples)


def _triples(supported_instances: object) -> list[Sequence[object]]:
    """Architecture, hypervisor type and mode of each guest type."""
    if not isinstance(supported_instances, (list, tuple)):
        return []
    return [
        triple
        for triple in supported_instances
        if isinstance(triple, (list, tuple)) and len(triple) == 3
    ]


_OF_ONE_KIND = (
    frozenset({'x86_64', 'i686'}),
    frozenset({'aarch64', 'armv7l'}),
    frozenset({'ppc64le', 'ppc64'}),
    frozenset({'s390x', 's390'}),
)
"""Guests that processors of one kind may execute themselves."""


def native_at_most(machine: str) -> frozenset[str] | None:
    """The architectures that a host of this one can offer under KVM, where
    ``supported_instances`` is not shown; None when nothing is known.

    Whether it offers any under KVM does not follow from it.
    """
    if not machine:
        return None
    for kind in _OF_ONE_KIND:
        if machine in kind:
            return kind
    return frozenset({machine})


def may_use_kvm(hypervisor_type: object) -> bool:
    """Whether a host's hypervisor is QEMU, or is not known.

    libvirt's driver reports 'QEMU' with KVM and without it, 'LXC',
    'Parallels'; others report 'VMware vCenter Server', 'ironic', 'zvm',
    'fake'.
    """
    if not isinstance(hypervisor_type, str):
        return True
    return hypervisor_type.strip().lower() in _KVM_DRIVERS


def guest_types(hypervisor_type: str) -> frozenset[str]:
    """The values of ``img_hv_type`` that a hypervisor can suit at most.

    Each driver names itself and, in ``supported_instances``, what it runs:
    Nova ``nova/objects/fields.py``, ``HVType``.
    """
    if may_use_kvm(hypervisor_type):
        return frozenset({'kvm', 'qemu'})
    name = hypervisor_type.strip().lower().partition(' ')[0]
    if name == 'ironic':
        return frozenset({name, 'baremetal'})
    return frozenset({name})


def absent(facts: HostFacts) -> frozenset[str]:
    """The capabilities that the host certainly does not have."""
    gone: set[str] = set()
    arch = Arch.from_machine(facts.machine)
    if arch is not Arch.OTHER:
        gone.update(
            capability.key
            for capability in catalogue.CATALOGUE
            if arch not in capability.archs
        )
    vendor = _VENDORS.get(facts.vendor)
    if vendor is not None:
        gone.update(
            capability.key
            for capability in catalogue.CATALOGUE
            if vendor not in capability.vendors
        )
    if facts.virtual:
        gone.add('bare_metal')
    if facts.native is not None and not facts.native:
        gone.update(catalogue.KVM_GUESTS_ONLY)
    if facts.emulates is False:
        gone.add('tcg')
    return frozenset(gone)


def advertised(
    capabilities: Iterable[str] | None,
    reported: bool,
    facts: HostFacts,
    policy: Policy,
    *,
    unknown: Iterable[str] = (),
    unanswered: frozenset[str] = frozenset(),
    expired: str = '',
) -> HostCapabilities:
    """All that is known of one host, for :func:`hvfilter.rules.judge.judge`.

    :param capabilities: those whose traits the host's provider carries; None
        when Placement is unreachable and nothing recent is cached
    :param reported: whether the provider carries the marker trait
    :param unknown: capabilities that the host reported as unknown
    :param unanswered: capabilities of which Placement could not be asked
    :param expired: the week of a report that is too old to be believed; the
        host then neither reported nor has any of ``capabilities``
    """
    known = frozenset(capabilities or ())
    ruled_out = absent(facts)
    denied: frozenset[str] = frozenset()
    if facts.kvm_host:
        # A trait is older than what Nova reads from the host now.
        denied = known & ruled_out
    doubts: dict[WhenUnknown, frozenset[str]] = {}
    if capabilities is None:
        doubts[policy.unreachable] = _ALL
    elif reported or not facts.kvm_host:
        # Nobody reports from hosts without KVM: what they do not have
        # according to Placement, they do not have.
        doubts[policy.unreported] = frozenset(unknown) - unanswered
        more = doubts.get(policy.unreachable, frozenset())
        doubts[policy.unreachable] = unanswered | more
    else:
        doubts[policy.unreported] = _ALL
    undecided = frozenset[str]()
    for when_unknown, keys in doubts.items():
        inferred = (
            ruled_out if when_unknown is WhenUnknown.INFER else frozenset()
        )
        undecided |= keys - known - inferred
    return HostCapabilities(
        known,
        reported,
        undecided,
        facts.native,
        facts.kvm_host,
        denied=denied,
        expired=expired,
        unknown=undecided.intersection(unknown) - unanswered,
        machine=facts.machine,
        unreachable=capabilities is None,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ''
