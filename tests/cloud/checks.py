# SPDX-License-Identifier: Apache-2.0
"""What is checked, in order, and how it is told."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence

from tests.cloud import (
    agents,
    asking,
    failures,
    guests,
    installing,
    landing,
    leaving,
    metadefs,
    moving,
    operating,
    policies,
    processes,
    transcript,
    without,
)
from tests.cloud.cloud import Cloud

Check = Callable[[Cloud], str]
Lane = tuple[tuple[str, Check], ...]
"""Checks one after the other."""

_AGENT = ('the agent is installed by the guide', installing.agent)
_INSTALL = ('hvfilter is installed by the guide', installing.install)
STAGES: tuple[tuple[Lane, ...], ...] = (
    ((('without hvfilter', without.before),), (_AGENT,)),
    ((_INSTALL,),),
    (
        # On the hosts that are pretended.
        (
            ('KVM guests and the host that emulates KVM', landing.refused),
            ('required and forbidden', landing.landing),
            ('nobody can', landing.nobody),
            ('multi-create', landing.multi_create),
            ('resize', moving.resize),
            ('cold migration', moving.cold_migration),
            ('live migration', moving.live_migration),
            ('shelve and unshelve', moving.unshelve),
            ('evacuation', moving.evacuation),
        ),
        # On those with a real libvirt.
        (
            ('img_hv_type=qemu, ten out of ten', landing.ten),
            ('shelve and unshelve, emulated', moving.unshelve_emulated),
            ('rebuild', moving.rebuild),
        ),
        # On none.
        (
            ('nova-api and extra specs', operating.extra_specs),
            ('an operator asks the cloud', asking.ask),
            ('Glance shows what Horizon offers', metadefs.load),
            ('hvfilter-status', asking.status),
            ('an agent is cloned', agents.cloned),
        ),
    ),
    (
        (('aggregates', policies.aggregates),),
        (('an agent loses permissions', agents.blind),),
    ),
    (
        (
            ('a host loses nested and gets it back', operating.lost),
            ('an agent dies', agents.died),
            ('an agent leaves', agents.left),
        ),
        # Its host has no report for a while: plain guests may land there.
        (('provider.yaml', leaving.provider_yaml),),
    ),
    (
        (
            ('SIGHUP with good values', policies.permissive),
            ('SIGHUP with bad values', policies.nonsense),
            ('a report of each worker', operating.report),
            ('Placement, Keystone, RabbitMQ are away', failures.outages),
            ('restarts of each service', failures.restarts),
            # The restart that ends it is the first of the removal.
            ('preferred, reserved, prefilter', policies.prefilter),
            ('hvfilter is removed by the guide', leaving.remove),
            ('all logs', operating.logs),
        ),
    ),
)
"""One after the other; the lanes of each go side by side."""


def chosen(only: Sequence[str]) -> list[tuple[Lane, ...]]:
    """The checks with such words in their titles; without words, all."""
    stages = [
        tuple(lane for each in stage if (lane := _some(each, only)))
        for stage in STAGES
    ]
    return [lanes for lanes in stages if lanes]


def _some(lane: Lane, only: Sequence[str]) -> Lane:
    return tuple(
        each
        for each in lane
        if not only
        or each in (_AGENT, _INSTALL)
        or any(word in each[0] for word in only)
    )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a check came out.

    :ivar told: what was seen, or what is wrong
    """

    title: str
    seconds: float
    told: str
    wrong: bool

    def __str__(self) -> str:
        word = 'WRONG' if self.wrong else 'ok'
        return f'{word:5} {self.seconds:5.1f} s  {self.title}: {self.told}'


def examine(title: str, check: Check, cloud: Cloud) -> Outcome:
    """Run one check; what it breaks on is what is wrong."""
    began = time.monotonic()
    told, wrong = '', True
    try:
        told = check(cloud)
        wrong = False
    except (guests.Wrong, processes.Failed) as found:
        told = str(found)
    except Exception as error:
        told = f'{type(error).__name__}: {error}'
    try:
        guests.delete_all(cloud)
    except Exception as error:
        told, wrong = f'{told}; then: {error}', True
    dead = cloud.died()
    if dead:
        told, wrong = f'{told}; ended by themselves: {dead}', True
    if wrong:
        told += f' (logs: {cloud.layout.logs})'
    return Outcome(title, time.monotonic() - began, told, wrong)


def run(lanes: Sequence[Lane], cloud: Cloud) -> list[Outcome]:
    """Run the checks of one stage."""
    if len(lanes) == 1:
        return [_told(each, cloud) for each in lanes[0]]
    outcomes: list[Outcome] = []
    cloud.together(
        *(functools.partial(_beside, lane, cloud, outcomes) for lane in lanes),
        hands=len(lanes),
    )
    return outcomes


def _told(check: tuple[str, Check], cloud: Cloud) -> Outcome:
    cloud.tell('')
    cloud.tell(f'== {check[0]}')
    outcome = examine(*check, cloud)
    cloud.tell(str(outcome))
    return outcome


def _beside(lane: Lane, cloud: Cloud, outcomes: list[Outcome]) -> None:
    """Run one lane while others run; what a check tells stays together."""
    for check in lane:
        if cloud.ending:
            return
        cloud.tell(f'(begun: {check[0]})')
        part = transcript.Part(cloud.tell)
        outcomes.append(_told(check, cloud.beside(part)))
        part.show()
