# SPDX-License-Identifier: Apache-2.0
"""Who has what without a Placement, and time that stands still."""

from __future__ import annotations

from collections.abc import Callable

from hvfilter.placement import errors


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


class Fleet:
    """Answers who carries a trait, from a table that tests change.

    :ivar traits: trait to the uuids of those that carry it; a trait that is
        not there is not known to Placement
    :ivar down: Placement does not answer
    :ivar asked: every trait asked for, in order
    :ivar before: called with each trait before it is answered
    """

    def __init__(self, **traits: set[str]) -> None:
        self.traits = {
            f'CUSTOM_HVFILTER_{key.upper()}': set(uuids)
            for key, uuids in traits.items()
        }
        self.down: errors.PlacementError | None = None
        self.asked: list[str] = []
        self.before: Callable[[str], object] = bool

    def __getitem__(self, key: str) -> set[str]:
        return self.traits.setdefault(f'CUSTOM_HVFILTER_{key.upper()}', set())

    def __call__(self, trait: str) -> frozenset[str]:
        self.asked.append(trait)
        self.before(trait)
        if self.down is not None:
            raise self.down
        if trait not in self.traits:
            raise errors.UnknownTrait(
                f'no {trait}', 'publish', traits=frozenset({trait})
            )
        return frozenset(self.traits[trait])

    def carried(self) -> frozenset[str]:
        """The traits that any provider carries."""
        if self.down is not None:
            raise self.down
        return frozenset(trait for trait in self.traits if self.traits[trait])

    def fall(self, error: errors.PlacementError | None = None) -> None:
        """Placement does not answer from now on."""
        self.down = error or errors.Unreachable('No answer', 'Wait.')

    def rise(self) -> None:
        """Placement answers again."""
        self.down = None
