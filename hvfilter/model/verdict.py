# SPDX-License-Identifier: Apache-2.0
"""Verdicts: whether a host accepts a guest, and why not."""

from __future__ import annotations

import dataclasses
import enum

from hvfilter.model.requirement import Origin


@dataclasses.dataclass(frozen=True)
class HostCapabilities:
    """What a host is known to have.

    :ivar capabilities: keys of the catalogue that are PRESENT
    :ivar reported: the host carries the marker trait
    :ivar undecided: keys whose state is not known; what is neither here nor
        in ``capabilities`` is missing
    :ivar unknown: those of ``undecided`` that the host itself reported as
        unknown
    :ivar native: architectures, in Nova's names, of the guests that the
        host's libvirt offers under KVM; None when that is not known
    :ivar kvm_host: False for a host whose hypervisor has no KVM at all
        (VMware, ironic, LXC, ...): it is left alone, but never taken for
        having what a guest asks for explicitly
    :ivar denied: of the capabilities, those that the host was reported to
        have and that Nova's own host state rules out by now: nothing lands
        there because of them, and nothing that avoids them does either
    :ivar expired: the week of the host's last report, in words, where that is
        too long ago: it counts as a host that never reported
    :ivar machine: the host's architecture, in Nova's name; '' when that is
        not known
    :ivar unreachable: Placement is unreachable and nothing recent is cached
    """

    capabilities: frozenset[str]
    reported: bool
    undecided: frozenset[str] = frozenset()
    native: frozenset[str] | None = None
    kvm_host: bool = True
    denied: frozenset[str] = frozenset()
    expired: str = ''
    unknown: frozenset[str] = frozenset()
    machine: str = ''
    unreachable: bool = False


class Cause(enum.Enum):
    """Why a host was rejected. The values are frozen: programs read logs and
    counters."""

    LACKS = 'lacks'
    HAS_FORBIDDEN = 'has_forbidden'
    UNKNOWN = 'unknown'
    UNREPORTED = 'unreported'
    STALE = 'stale'
    NO_KNOWLEDGE = 'no_knowledge'
    NOT_UNDERSTOOD = 'not_understood'
    ARCHITECTURE = 'architecture'
    RESERVED = 'reserved'
    NESTED_SET = 'nested_set'
    NESTED_SET_UNKNOWN = 'nested_set_unknown'


@dataclasses.dataclass(frozen=True)
class Reason:
    """One cause of a rejection.

    :ivar subject: the capability key, the architecture, or the words that
        were not understood; '' when the cause says all
    :ivar asked_by: who asked for it, in the words used
    :ivar origin: the kind of who asked for it; None when the cause says all
    """

    cause: Cause
    subject: str
    asked_by: str = ''
    origin: Origin | None = None

    @property
    def summary(self) -> str:
        """A short text that groups hosts: "lacks nested"."""
        return _SUMMARIES[self.cause].format(subject=self.subject)

    def __str__(self) -> str:
        if self.asked_by:
            return f'{self.summary} ({self.asked_by})'
        return self.summary


_SUMMARIES = {
    Cause.LACKS: 'lacks {subject}',
    Cause.HAS_FORBIDDEN: 'has forbidden {subject}',
    Cause.UNKNOWN: 'reported {subject} as unknown',
    Cause.UNREPORTED: 'unreported',
    Cause.STALE: 'report is stale (week {subject})',
    Cause.NO_KNOWLEDGE: 'Placement unreachable and no cached data',
    Cause.NOT_UNDERSTOOD: 'request not understood: {subject}',
    Cause.ARCHITECTURE: 'does not run {subject} under KVM',
    Cause.RESERVED: 'reserved for guests that ask for {subject}',
    Cause.NESTED_SET: 'lacks nested features of the source host: {subject}',
    Cause.NESTED_SET_UNKNOWN: 'has an unknown nested set',
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether the guest may land; accepted exactly when no reason is given.

    :ivar reasons: every cause of the rejection, in the order of the request
    """

    reasons: tuple[Reason, ...] = ()

    @property
    def accepted(self) -> bool:
        """True when the host may take the guest."""
        return not self.reasons

    def __str__(self) -> str:
        return '; '.join(map(str, self.reasons)) or 'accepted'
