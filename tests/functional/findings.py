# SPDX-License-Identifier: Apache-2.0
"""Reports on hosts that have exactly what a test wants them to have."""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.model.catalogue import CATALOGUE, Capability
from hvfilter.model.finding import HostReport, Observation, State, Strength
from hvfilter.model.nested_registers import Registers
from hvfilter.rules import combine
from tests.fakes import reports

INTEL = frozenset(
    {'kvm', 'hvm', 'vtx', 'slat', 'ept', 'nested', 'nested_slat', 'bare_metal'}
)
AMD = frozenset(
    {'kvm', 'hvm', 'amdv', 'slat', 'npt', 'nested', 'nested_slat'}
    | {'bare_metal'}
)
EMULATED = frozenset({'hvm', 'vtx', 'bare_metal', 'tcg'})
"""Nova was told ``virt_type=qemu``: no guest of Nova's uses the hardware."""


def report(
    present: frozenset[str],
    unknown: frozenset[str] = frozenset(),
    nested_set: Registers | None = None,
) -> HostReport:
    """All of ``present`` is there, nothing else is.

    :param nested_set: what KVM offers to guests; None: that is not known
    """
    observations = [
        observation
        for capability in CATALOGUE
        for observation in _observe(
            capability, capability.key in present, capability.key in unknown
        )
    ]
    if nested_set is not None:
        observations.append(reports.observed(nested_set))
    return combine.report('x86_64', '6.12.1', 'a test', observations)


def _observe(
    capability: Capability, there: bool, unknown: bool
) -> Iterator[Observation]:
    if unknown:
        return
    for stage in capability.stages:
        yield Observation(
            capability.key,
            stage,
            State.PRESENT if there else State.ABSENT,
            Strength.IOCTL,
            'a test',
            capability.key,
            'yes' if there else 'no',
            f'{capability.key} is {"" if there else "not "}there',
        )
