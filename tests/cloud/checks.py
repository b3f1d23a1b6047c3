# SPDX-License-Identifier: Apache-2.0
"""What is checked, in order, and how it is told."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from tests.cloud import guests, landing, moving, operating, processes
from tests.cloud.cloud import Cloud

Check = Callable[[Cloud], str]

ALL: tuple[tuple[str, Check], ...] = (
    ('prepare and publish', operating.publish),
    ('the documented nova.conf', operating.loaded),
    ('nova-api and extra specs', operating.extra_specs),
    ('landing', landing.landing),
    ('nobody can', landing.nobody),
    ('resize', moving.resize),
    ('cold migration', moving.cold_migration),
    ('live migration', moving.live_migration),
    ('shelve and unshelve', moving.unshelve),
    ('evacuation', moving.evacuation),
    ('mode = permissive by SIGHUP', operating.permissive),
    ('a report of each worker', operating.report),
    ('a host loses nested', operating.lost),
    ('Placement is down and comes back', operating.outage),
    ('the prefilter', operating.prefilter),
    ('the end, and all logs', operating.logs),
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
