# SPDX-License-Identifier: Apache-2.0
"""Whether a guest may land on a host: :func:`judge` alone decides it."""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.policy import Policy, WhenUnknown
from hvfilter.model.requirement import (
    Demand,
    Origin,
    Requirement,
    Requirements,
)
from hvfilter.model.verdict import (
    Cause,
    HostCapabilities,
    Reason,
    Verdict,
)


def judge(
    requirements: Requirements, advertised: HostCapabilities, policy: Policy
) -> Verdict:
    """Whether a guest may land on a host, with every reason against it.

    A request that was not understood rejects every host. PREFERRED never
    rejects. A capability whose state is not known is treated as the policy
    says for ignorance of that kind. A host without KVM is measured only by
    what was asked explicitly.

    The policy's requirements are those of KVM guests. What a guest becomes
    is decided by the host: they do not concern a guest that Nova starts
    without KVM on this host, provided that its image allows that.
    """
    reasons = [
        Reason(Cause.NOT_UNDERSTOOD, request.words, request.problem)
        for request in requirements.invalid
    ]
    reasons.extend(_unmet(requirements, advertised, policy))
    reasons.extend(_wrong_architecture(requirements, advertised, policy))
    reasons.extend(_reserved(requirements, advertised, policy))
    return Verdict(tuple(reasons))


def _unmet(
    requirements: Requirements, advertised: HostCapabilities, policy: Policy
) -> Iterator[Reason]:
    emulated = _emulated(requirements, advertised)
    reasons: dict[Reason, None] = {}
    for item in requirements.items:
        if item.demand is Demand.PREFERRED:
            continue
        if not (item.explicit or advertised.kvm_host):
            continue
        if emulated and item.origin is Origin.POLICY:
            continue
        has = item.capability in advertised.capabilities
        if not has and item.capability in advertised.undecided:
            unknown_key = item.capability
        elif _meets(item, advertised):
            continue
        elif emulated is None and item.origin is Origin.POLICY:
            # Whether this matters hangs on what Nova makes of the guest.
            unknown_key = 'tcg'
        elif item.demand is Demand.REQUIRED:
            yield _reason(Cause.LACKS, item.capability, item)
            continue
        else:
            yield _reason(Cause.HAS_FORBIDDEN, item.capability, item)
            continue
        if _unknown_rejects(unknown_key, item, advertised, policy):
            reasons[_unknown_reason(unknown_key, item, advertised)] = None
    yield from reasons


def _reason(cause: Cause, key: str, item: Requirement) -> Reason:
    return Reason(cause, key, item.words, item.origin)


def _meets(item: Requirement, advertised: HostCapabilities) -> bool:
    """Whether a host has what is required, or has not what is forbidden.

    What Nova's own host state denies serves neither.
    """
    has = item.capability in advertised.capabilities
    if item.demand is Demand.REQUIRED:
        return has and item.capability not in advertised.denied
    return not has


def _emulated(
    requirements: Requirements, advertised: HostCapabilities
) -> bool | None:
    """Whether Nova starts the guest without KVM on this host, as its image
    allows; None when that is not known.

    On a host with ``virt_type = qemu`` it does so with every guest, and
    elsewhere with those whose ``hw_emulation_architecture`` is not the
    host's: Nova ``nova/virt/libvirt/driver.py``,
    ``_configure_guest_by_virt_type``.
    """
    if not requirements.emulable:
        return False
    if 'tcg' in advertised.capabilities - advertised.denied:
        return True
    requested = requirements.emulation_architecture
    own = advertised.native or frozenset()
    if advertised.machine:
        own = frozenset({advertised.machine})
    if requested and own and requested not in own:
        return True
    return None if 'tcg' in advertised.undecided else False


def _unknown_reason(
    key: str, item: Requirement, advertised: HostCapabilities
) -> Reason:
    """The reason when not knowing whether a host has a capability rejects."""
    if key in advertised.unknown:
        return _reason(Cause.UNKNOWN, key, item)
    if _unreachable(advertised):
        return Reason(Cause.NO_KNOWLEDGE, '')
    if advertised.expired:
        return Reason(Cause.STALE, advertised.expired)
    return Reason(Cause.UNREPORTED, '')


def _unreachable(advertised: HostCapabilities) -> bool:
    """Whether it is Placement's silence, not the host's, that leaves doubt.

    A host that reported, or from which nobody would, leaves none itself.
    """
    if advertised.reported or not advertised.kvm_host:
        return True
    return advertised.unreachable


def _unknown_rejects(
    key: str, item: Requirement, advertised: HostCapabilities, policy: Policy
) -> bool:
    """Whether not knowing of a capability rejects: see :class:`WhenUnknown`.

    What a host reported as unknown is no better known than what a host
    without a report has.
    """
    unanswered = key not in advertised.unknown and _unreachable(advertised)
    when_unknown = policy.unreachable if unanswered else policy.unreported
    if when_unknown is WhenUnknown.INFER:
        return item.explicit
    return when_unknown is WhenUnknown.REJECT


def _wrong_architecture(
    requirements: Requirements, advertised: HostCapabilities, policy: Policy
) -> Iterator[Reason]:
    """A KVM guest of another architecture than the host's.

    A host that offers no KVM at all is not the wrong kind: whether it has
    KVM is a question of its own.
    """
    requested = requirements.architecture
    known = advertised.native if advertised.kvm_host else None
    if not (requested and known) or requested in known:
        return
    asking = [item for item in requirements.items if item.needs_kvm]
    emulated = _emulated(requirements, advertised)
    if (
        emulated is False
        or any(map(_excludes_emulation, asking))
        or (
            emulated is None
            and any(
                _unknown_rejects('tcg', i, advertised, policy) for i in asking
            )
        )
    ):
        words = requirements.architecture_words
        yield Reason(Cause.ARCHITECTURE, requested, words)


def _excludes_emulation(item: Requirement) -> bool:
    """Whether a request for KVM counts although the image allows emulation.

    ``img_hv_type = kvm`` does not: it is of the same image, and Nova emulates
    the guest all the same.
    """
    if item.capability == 'kvm':
        return item.explicit
    return item.origin is not Origin.POLICY


def _reserved(
    requirements: Requirements, advertised: HostCapabilities, policy: Policy
) -> Iterator[Reason]:
    """Hosts with a reserved capability are kept for guests asking for it."""
    if requirements.in_place or not policy.reserved:
        return
    kept_for = sorted(policy.reserved & advertised.capabilities)
    if kept_for and not requirements.asked.intersection(kept_for):
        yield Reason(
            Cause.RESERVED,
            ', '.join(kept_for),
            policy.reserved_words,
            Origin.POLICY,
        )
