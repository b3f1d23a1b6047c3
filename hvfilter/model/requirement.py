# SPDX-License-Identifier: Apache-2.0
"""Requirements: what a guest requests of its host."""

from __future__ import annotations

import dataclasses
import enum

from hvfilter.model import catalogue


class Demand(enum.Enum):
    """How strongly a capability is wanted; the values of an extra spec."""

    REQUIRED = 'required'
    FORBIDDEN = 'forbidden'
    PREFERRED = 'preferred'


class Origin(enum.Enum):
    """Where a request comes from."""

    FLAVOR = 'flavor'
    IMAGE = 'image'
    POLICY = 'policy'


@dataclasses.dataclass(frozen=True)
class Requirement:
    """One capability that is required, preferred or forbidden.

    :ivar capability: a key of the catalogue
    :ivar origin: where the request comes from
    :ivar words: the request as it was written: ``hvfilter:nested=required``
    :ivar explicit: asked of this guest in hvfilter's own words. A policy's
        default is not, and neither is ``img_hv_type=kvm``, which images had
        long before any host reported: where nothing is known of a host,
        these may be given the benefit of the doubt.
    """

    capability: str
    demand: Demand
    origin: Origin
    words: str
    explicit: bool = True

    @property
    def needs_kvm(self) -> bool:
        """Whether only a guest under KVM can have what is required."""
        return (
            self.demand is Demand.REQUIRED
            and self.capability in catalogue.KVM_GUESTS_ONLY
        )


@dataclasses.dataclass(frozen=True)
class InvalidRequest:
    """A request that no host can meet because it makes no sense.

    :ivar words: the request as it was written, shortened
    :ivar problem: what is wrong with it and what would be right
    """

    origin: Origin
    words: str
    problem: str


@dataclasses.dataclass(frozen=True)
class Requirements:
    """All that one guest requests.

    :ivar items: required, forbidden and preferred capabilities
    :ivar invalid: requests that were not understood: they reject every host,
        since ignoring them could put the guest on a wrong one
    :ivar architecture: what the guest's processor must be, in Nova's name,
        when the guest is to run under KVM; None when that is not set
    :ivar in_place: the guest is on the host already and only its image
        changes: what is kept free for others does not concern it
    :ivar emulable: the image allows that the guest is emulated: a host will
        do on which Nova starts guests without KVM. On every other host the
        guest is the KVM guest that Nova makes of it
    :ivar emulation_architecture: on hosts of another architecture Nova
        emulates the guest; None when the image does not have it
    """

    items: tuple[Requirement, ...] = ()
    invalid: tuple[InvalidRequest, ...] = ()
    architecture: str | None = None
    in_place: bool = False
    emulable: bool = False
    emulation_architecture: str | None = None

    def wanting(self, demand: Demand) -> tuple[Requirement, ...]:
        """The items of one demand."""
        return tuple(item for item in self.items if item.demand is demand)

    @property
    def asked(self) -> frozenset[str]:
        """The keys that the guest asks for, required or preferred, and those
        that these build on: what is kept free for either is for it."""
        keys = frozenset(
            item.capability
            for item in self.items
            if item.demand is not Demand.FORBIDDEN
        )
        return keys.union(*(catalogue.BUILT_ON.get(k, ()) for k in keys))

    @property
    def architecture_words(self) -> str:
        """The image property that sets :attr:`architecture`."""
        name = 'hw_architecture'
        if self.emulation_architecture:
            name = 'hw_emulation_architecture'
        return f'{name}={self.architecture}'

    @property
    def hard(self) -> bool:
        """Whether any host could be rejected because of these."""
        if self.invalid or self.architecture:
            return True
        return any(item.demand is not Demand.PREFERRED for item in self.items)

    @property
    def capabilities(self) -> frozenset[str]:
        """The keys that a judge must know of a host."""
        keys = frozenset(item.capability for item in self.items)
        return keys | {'tcg'} if self._tcg_matters else keys

    @property
    def doubtful(self) -> frozenset[str]:
        """The keys of which it matters whether a host reported them as
        unknown: all but those that are only preferred."""
        keys = frozenset(
            item.capability
            for item in self.items
            if item.demand is not Demand.PREFERRED
        )
        return keys | {'tcg'} if self._tcg_matters else keys

    @property
    def _tcg_matters(self) -> bool:
        return self.emulable and (
            self.architecture is not None
            or any(item.origin is Origin.POLICY for item in self.items)
        )
