# SPDX-License-Identifier: Apache-2.0
"""From observations to findings: the strongest source decides a stage."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from hvfilter.model.catalogue import CATALOGUE, Arch, Capability, Stage
from hvfilter.model.finding import (
    Finding,
    HostReport,
    Observation,
    StageFinding,
    State,
    Strength,
)


def report(
    machine: str,
    kernel: str,
    origin: str,
    observations: Iterable[Observation],
) -> HostReport:
    """All findings of one host, in the catalogue's order.

    A stage without an observation is UNKNOWN; a capability that the host's
    architecture cannot have is ABSENT at stage cpu. The order of the
    observations does not matter.
    """
    grouped: dict[tuple[str, Stage], list[Observation]]
    grouped = collections.defaultdict(list)
    for observation in observations:
        key = (observation.capability, observation.stage)
        grouped[key].append(observation)
    arch = Arch.from_machine(machine)
    findings = tuple(
        Finding(
            capability.key,
            tuple(
                decide(
                    stage,
                    grouped[capability.key, stage],
                    _not_observed(stage, arch, machine),
                )
                for stage in capability.stages
            ),
        )
        if possible(capability, arch)
        else _impossible(capability, machine)
        for capability in CATALOGUE
    )
    return HostReport(machine, kernel, origin, findings)


def possible(capability: Capability, arch: Arch) -> bool:
    """Whether hosts of this family can have it; OTHER might have anything."""
    return arch in capability.archs or arch is Arch.OTHER


def _not_observed(stage: Stage, arch: Arch, machine: str) -> str:
    """Why nothing was observed."""
    if arch is Arch.OTHER:
        return f'{machine[:40]!r} machines are not known to hvfilter'
    return f'nothing was observed at {stage.value}'


def decide(
    stage: Stage, observations: Sequence[Observation], reason: str = ''
) -> StageFinding:
    """The finding of one stage from its observations.

    The strongest definite observation decides; among equals ABSENT decides,
    because a wrong PRESENT costs more than a wrong ABSENT. Where it could
    not be determined whether KVM runs any guest, what KVM is set up to use
    is not PRESENT: see :func:`_yes_withheld`. All observations are kept.

    :param reason: where nothing was observed
    """
    if not observations:
        reason = reason or f'nothing was observed at {stage.value}'
        return StageFinding(stage, State.UNKNOWN, reason, '', ())
    ranked = _yes_withheld(sorted(observations, key=_rank))
    first = ranked[0]
    opposite = {
        State.PRESENT: State.ABSENT,
        State.ABSENT: State.PRESENT,
        State.UNKNOWN: None,
    }[first.state]
    return StageFinding(
        stage,
        first.state,
        first.reason,
        first.remedy,
        tuple(ranked),
        any(observation.state is opposite for observation in ranked),
    )


def _yes_withheld(ranked: list[Observation]) -> list[Observation]:
    """The same with a doubt first that outweighs a PRESENT.

    A guest that was to be run and could not be leaves open whether KVM runs
    any; what KVM is set up to use, it then may use for none. That a guest
    was to be run is evidence of SMOKE strength. The capability kvm itself
    has other evidence where no run was requested.
    """
    first = ranked[0]
    if first.state is not State.PRESENT or first.strength is Strength.SMOKE:
        return ranked
    return sorted(
        ranked,
        key=lambda one: (
            one.state is not State.UNKNOWN
            or one.stage is not Stage.KVM
            or one.strength is not Strength.SMOKE
            or one.capability == 'kvm'
        ),
    )


def _rank(observation: Observation) -> tuple[bool, int, bool, list[str]]:
    """Smallest first; observations of equal strength are ordered by their
    texts, so that the order of the probes never matters."""
    return (
        observation.state is State.UNKNOWN,
        -observation.strength,
        observation.state is State.PRESENT,
        [
            str(getattr(observation, field.name))
            for field in dataclasses.fields(observation)
        ],
    )


def _impossible(capability: Capability, machine: str) -> Finding:
    reason = f'{machine} machines do not have it'
    known = Observation(
        capability.key,
        Stage.CPU,
        State.ABSENT,
        Strength.REGISTER,
        'uname -m',
        'machine',
        machine,
        reason,
    )
    return Finding(
        capability.key,
        tuple(
            decide(stage, [known] if stage is Stage.CPU else [])
            for stage in capability.stages
        ),
    )
