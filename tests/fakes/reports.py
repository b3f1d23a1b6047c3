# SPDX-License-Identifier: Apache-2.0
"""Reports as if a host had been looked at."""

from __future__ import annotations

from collections.abc import Iterable

from hvfilter.model.catalogue import BY_KEY, Stage
from hvfilter.model.finding import HostReport, Observation, State, Strength
from hvfilter.model.nested_evidence import SOURCES
from hvfilter.model.nested_registers import Registers
from hvfilter.model.week import Week
from hvfilter.publish import base
from hvfilter.rules import combine, traits


def report(
    present: Iterable[str] = (),
    absent: Iterable[str] = (),
    nested_set: Registers | None = None,
) -> HostReport:
    """These capabilities are so; of all others nothing is known.

    :param nested_set: what KVM offers to guests
    """
    stated = [(key, State.PRESENT) for key in present]
    stated += [(key, State.ABSENT) for key in absent]
    observations = [
        Observation(
            key,
            stage,
            state,
            Strength.IOCTL,
            'the test',
            key,
            state.value,
            f'the test says that {key} is {state.value}',
            'ask the test' if state is State.ABSENT else '',
        )
        for key, state in stated
        for stage in BY_KEY[key].stages
    ]
    if nested_set is not None:
        observations.append(observed(nested_set))
    return combine.report('x86_64', '6.12.0', 'test', observations)


def observed(nested_set: Registers) -> Observation:
    """What the probe makes of a set."""
    return Observation(
        'nested',
        Stage.KVM,
        State.PRESENT,
        Strength.IOCTL,
        *SOURCES[nested_set.kind],
        str(nested_set),
        'KVM offers it to guests',
    )


def context(
    present: Iterable[str] = (),
    absent: Iterable[str] = (),
    identity: base.Identity | None = None,
    *,
    now_s: float = 1_700_000_060.0,
    previous: tuple[base.Outcome, ...] = (),
    week: str = '',
    nested_set: Registers | None = None,
) -> base.PublishContext:
    """The time to publish such a report, a minute after the probing.

    :param week: in which to say that it is, as in 2026W48; empty: none
    """
    made = report(present, absent, nested_set)
    return base.PublishContext(
        made,
        traits.desired(made, Week.parse(week), max_age_weeks=2),
        identity or base.Identity(),
        probed_s=1_700_000_000.0,
        now_s=now_s,
        previous=previous,
    )
