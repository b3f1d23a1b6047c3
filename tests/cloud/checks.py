# SPDX-License-Identifier: Apache-2.0
"""What is checked, in order, and how it is told."""

from __future__ import annotations

import dataclasses
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
    without,
)
from tests.cloud.cloud import Cloud

Check = Callable[[Cloud], str]

_INSTALL: tuple[tuple[str, Check], ...] = (
    ('hvfilter is installed by the guide', installing.install),
)
ALL: tuple[tuple[str, Check], ...] = (
    ('without hvfilter', without.before),
    *_INSTALL,
    ('nova-api and extra specs', operating.extra_specs),
    ('Glance shows what Horizon offers', metadefs.load),
    ('KVM guests and the host that emulates KVM', landing.refused),
    ('img_hv_type=qemu, ten out of ten', landing.ten),
    ('required and forbidden', landing.landing),
    ('nobody can', landing.nobody),
    ('multi-create', landing.multi_create),
    ('an operator asks the cloud', asking.ask),
    ('hvfilter-status', asking.status),
    ('resize', moving.resize),
    ('cold migration', moving.cold_migration),
    ('live migration', moving.live_migration),
    ('shelve and unshelve', moving.unshelve),
    ('rebuild', moving.rebuild),
    ('evacuation', moving.evacuation),
    ('aggregates', policies.aggregates),
    ('SIGHUP with good values', policies.permissive),
    ('SIGHUP with bad values', policies.nonsense),
    ('a report of each worker', operating.report),
    ('a host loses nested and gets it back', operating.lost),
    ('Placement, Keystone, RabbitMQ are away', failures.outages),
    ('restarts of each service', failures.restarts),
    ('preferred, reserved, prefilter', policies.prefilter),
    ('an agent dies', agents.died),
    ('an agent is cloned', agents.cloned),
    ('an agent loses permissions', agents.blind),
    ('an agent leaves', agents.left),
    ('provider.yaml', leaving.provider_yaml),
    ('hvfilter is removed by the guide', leaving.remove),
    ('all logs', operating.logs),
)


def chosen(only: Sequence[str]) -> list[tuple[str, Check]]:
    """The checks with such words in their titles; without words, all."""
    if not only:
        return list(ALL)
    return [
        each
        for each in ALL
        if each in _INSTALL or any(word in each[0] for word in only)
    ]


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
