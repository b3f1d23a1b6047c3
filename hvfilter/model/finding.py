# SPDX-License-Identifier: Apache-2.0
"""Findings: the state of each capability of a host, with the evidence."""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Mapping

from hvfilter.model import catalogue
from hvfilter.model.catalogue import Stage, Vendor


class State(enum.Enum):
    """Three-valued: a failed check is UNKNOWN, never ABSENT."""

    PRESENT = 'present'
    ABSENT = 'absent'
    UNKNOWN = 'unknown'


class Strength(enum.IntEnum):
    """How much a source proves; the stronger decides a contradiction.

    Raw registers come last because they ignore what the firmware and the
    kernel made of them.
    """

    REGISTER = 1
    FLAGS = 2
    PARAMETER = 3
    IOCTL = 4
    SMOKE = 5


@dataclasses.dataclass(frozen=True)
class Observation:
    """What one source shows of one stage of one capability.

    :ivar capability: a key of the catalogue
    :ivar source: the file, ioctl, register or option that was read
    :ivar asked: what was read from it
    :ivar value: the raw value; or the errno and its text
    :ivar reason: one sentence for a person
    :ivar remedy: what a person can do about it, '' when nothing
    """

    capability: str
    stage: Stage
    state: State
    strength: Strength
    source: str
    asked: str
    value: str
    reason: str
    remedy: str = ''


@dataclasses.dataclass(frozen=True)
class StageFinding:
    """One stage of one capability, decided.

    :ivar observations: all that was observed, the deciding one first
    :ivar contradicted: a weaker source shows the opposite
    """

    stage: Stage
    state: State
    reason: str
    remedy: str
    observations: tuple[Observation, ...]
    contradicted: bool = False


@dataclasses.dataclass(frozen=True)
class Override:
    """An operator's override of a finding.

    :ivar state: what to publish instead
    :ivar origin: where it is set, such as the option and its file
    """

    state: State
    origin: str


@dataclasses.dataclass(frozen=True)
class Finding:
    """One capability of one host.

    :ivar stages: in the catalogue's order, one for each stage it has
    """

    capability: str
    stages: tuple[StageFinding, ...]
    override: Override | None = None

    @property
    def found(self) -> State:
        """The state that the evidence shows, without the override.

        ABSENT as soon as one stage is; PRESENT when every decisive stage
        is; UNKNOWN otherwise.
        """
        states = {stage.stage: stage.state for stage in self.stages}
        if State.ABSENT in states.values():
            return State.ABSENT
        decisive = catalogue.BY_KEY[self.capability].decisive
        if all(states.get(stage) is State.PRESENT for stage in decisive):
            return State.PRESENT
        return State.UNKNOWN

    @property
    def state(self) -> State:
        """What is published: the finding, unless it is overridden."""
        return self.override.state if self.override else self.found

    @property
    def deciding(self) -> StageFinding:
        """The stage that explains ``found``.

        The first ABSENT one; else the first decisive one that is not
        PRESENT; else the last decisive one.
        """
        for stage in self.stages:
            if stage.state is State.ABSENT:
                return stage
        decisive = catalogue.BY_KEY[self.capability].decisive
        candidates = [s for s in self.stages if s.stage in decisive]
        for stage in candidates:
            if stage.state is not State.PRESENT:
                return stage
        return candidates[-1]

    @property
    def reason(self) -> str:
        """One sentence that explains ``found``."""
        return self.deciding.reason

    @property
    def remedy(self) -> str:
        """What a person can do, '' when nothing or nothing is needed."""
        return self.deciding.remedy


@dataclasses.dataclass(frozen=True)
class Processor:
    """What a person knows a processor by.

    :ivar name: as the processor or the kernel names it, '' when not known
    :ivar vendor: whose extensions it has; None: not x86, or not known
    """

    name: str = ''
    vendor: Vendor | None = None


@dataclasses.dataclass(frozen=True)
class HostReport:
    """All findings of one host.

    :ivar machine: the ``uname -m`` of the host
    :ivar kernel: the ``uname -r`` of the host
    :ivar origin: 'live', or which recording was read
    :ivar findings: one for each row of the catalogue, in its order
    :ivar processor: for people; no document contains it
    :ivar failed_probes: the names of probes that failed, in order: what only
        they observe is UNKNOWN; for metrics, no document contains them
    """

    machine: str
    kernel: str
    origin: str
    findings: tuple[Finding, ...]
    processor: Processor = dataclasses.field(
        default=Processor(), compare=False
    )
    failed_probes: tuple[str, ...] = dataclasses.field(
        default=(), compare=False
    )

    def __getitem__(self, key: str) -> Finding:
        """The finding of a capability key; KeyError when there is none."""
        return self.by_key[key]

    @property
    def by_key(self) -> Mapping[str, Finding]:
        """Findings by capability key."""
        return types.MappingProxyType(
            {finding.capability: finding for finding in self.findings}
        )
