# SPDX-License-Identifier: Apache-2.0
"""The operator's policy: required capabilities, and unknown ones."""

from __future__ import annotations

import dataclasses
import enum


class WhenUnknown(enum.Enum):
    """What to do when it is not known whether a host has a capability.

    INFER: Nova's own host state decides where it can. Otherwise the host is
    accepted for what the policy requires of every guest, and rejected for
    what a flavor or an image requests explicitly.
    ACCEPT: accept the host. REJECT: reject it.
    """

    INFER = 'infer'
    ACCEPT = 'accept'
    REJECT = 'reject'


class Mode(enum.Enum):
    """Whether a verdict is enforced: PERMISSIVE only logs and counts it."""

    ENFORCING = 'enforcing'
    PERMISSIVE = 'permissive'


class NestedSetOnMove(enum.Enum):
    """Whether a server that asks for nested and is moved must keep its
    virtualization features: PREFER weighs, REQUIRE rejects too."""

    IGNORE = 'ignore'
    PREFER = 'prefer'
    REQUIRE = 'require'


@dataclasses.dataclass(frozen=True)
class Policy:
    """What the operator decides.

    :ivar required: capability keys that every KVM guest needs
    :ivar unreported: for hosts without a report
    :ivar unreachable: for when Placement is unreachable and nothing recent is
        cached
    :ivar reserved: capability keys whose hosts are reserved for guests that
        request them
    :ivar mode: whether verdicts are enforced; it does not change them
    :ivar required_by: where ``required`` was set, for reasons: the option,
        or the metadata of an aggregate; the others ending in ``_by`` likewise
    """

    required: tuple[str, ...] = ('kvm',)
    unreported: WhenUnknown = WhenUnknown.INFER
    unreachable: WhenUnknown = WhenUnknown.INFER
    reserved: frozenset[str] = frozenset()
    mode: Mode = Mode.ENFORCING
    required_by: str = '[hvfilter] required'
    reserved_by: str = '[hvfilter] reserved'
    unreachable_by: str = '[hvfilter] placement_unreachable'
    mode_by: str = '[hvfilter] mode'

    @property
    def reserved_words(self) -> str:
        """What is reserved and where that was set, for reasons."""
        return f'{self.reserved_by} = {",".join(sorted(self.reserved))}'
