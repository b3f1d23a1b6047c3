# SPDX-License-Identifier: Apache-2.0
"""The operator's policy: what guests need and what ignorance means."""

from __future__ import annotations

import dataclasses
import enum


class WhenUnknown(enum.Enum):
    """What to do when it is not known whether a host has a capability.

    INFER: whatever Nova's own host state can honestly tell is used; beyond
    that, what the policy wants of every guest is let pass, and what a flavor
    or an image asks for explicitly is not.
    ACCEPT: let everything pass. REJECT: let nothing pass.
    """

    INFER = 'infer'
    ACCEPT = 'accept'
    REJECT = 'reject'


class Mode(enum.Enum):
    """What becomes of a verdict: PERMISSIVE logs and counts it only."""

    ENFORCING = 'enforcing'
    PERMISSIVE = 'permissive'


@dataclasses.dataclass(frozen=True)
class Policy:
    """What the operator decides.

    :ivar required: capability keys that every KVM guest needs
    :ivar unreported: hosts on which hvfilter never looked
    :ivar unreachable: Placement does not answer and nothing recent is known
    :ivar reserved: capability keys whose hosts are kept for guests that ask
        for them
    :ivar mode: whether verdicts are carried out; it does not change them
    :ivar required_by: where ``required`` was set, for reasons
    :ivar reserved_by: where ``reserved`` was set, likewise
    """

    required: tuple[str, ...] = ('kvm',)
    unreported: WhenUnknown = WhenUnknown.INFER
    unreachable: WhenUnknown = WhenUnknown.INFER
    reserved: frozenset[str] = frozenset()
    mode: Mode = Mode.ENFORCING
    required_by: str = '[hvfilter] required'
    reserved_by: str = '[hvfilter] reserved'

    @property
    def reserved_words(self) -> str:
        """What is reserved and where that was set, for reasons."""
        return f'{self.reserved_by} = {",".join(sorted(self.reserved))}'
