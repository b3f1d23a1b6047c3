# SPDX-License-Identifier: Apache-2.0
"""Schedules while publishers change traits and Placement fails at random.

On a real Nova and a real Placement in this process. Ends with exit code 0
only if

* nothing but NoValidHost came out of the scheduler, and the filter never had
  to catch anything;
* no guest was put on a host that had lacked what it required ever since the
  cache's hard age;
* what hvfilter keeps in memory did not grow once it was warm;
* guests were placed all the while: a cloud that refuses all shows nothing.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import random
import statistics
import sys
import threading
import time
import unittest
from collections.abc import Callable

from nova import exception

from hvfilter.model import catalogue
from hvfilter.scheduler import worker_state
from tests import functional, kept
from tests.fakes import placement as gate
from tests.functional.scheduler import crowd

HOSTS = 24
KEYS = ('kvm', 'nested', 'slat', 'tdx')
OTHERS = tuple(sorted(set(catalogue.BY_KEY) - set(KEYS)))
PUBLISHERS = 2
CHANGES_S = 20.0
"""Each host changes about so often: less often than the hard age, or each has
had everything lately."""
REFRESH_S, TRUST_S, RETRY_S = 1.0, 4.0, 0.5
OUTAGES_S = (TRUST_S + 10.0, 0.2, 0.5, 3.0, 1.0, 2.0, 1.0)
"""In turn. The first shows whether the hard age is kept."""
SLACK_S = 0.25
SAMPLES = 30
MOST_GROWTH_KIB = 160
"""Twice and more what it goes up and down by; in ten minutes a single object
kept for each request comes to more."""
MOST_MORE_OBJECTS = 500
WARM = 200
"""Requests until as many verdicts are remembered as ever will be."""
LEAST_SAMPLES = 4
TELLS_S = 300.0
"""A run of this length is to tell whether memory grows."""
LEAST_A_SECOND = 0.5

_length_s = 60.0
_schedulers = 8


@dataclasses.dataclass
class History:
    """Who had what, and since when; times by the monotonic clock."""

    changes: dict[str, list[tuple[float, frozenset[str]]]]
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def note(self, uuid: str, has: frozenset[str]) -> None:
        with self.lock:
            self.changes[uuid].append((time.monotonic(), has))

    def had(self, uuid: str, key: str, since_s: float) -> bool:
        """Whether it had it at any moment since then."""
        with self.lock:
            changes = [*self.changes[uuid]]
        for number, (_, has) in enumerate(changes):
            last = number + 1 == len(changes)
            until_s = time.monotonic() if last else changes[number + 1][0]
            if key in has and until_s >= since_s:
                return True
        return False


class Soak(crowd.CrowdTestCase):
    """A test case, for the sake of the cloud that those stand on."""

    def runTest(self) -> None:  # noqa: N802  (unittest names it)
        self.flags(
            refresh_s=REFRESH_S,
            trust_s=TRUST_S,
            retry_s=RETRY_S,
            group='hvfilter',
        )
        dice = random.Random(1)
        nodes = [
            crowd.node(f'host-{number:02}', self._some(dice))
            for number in range(HOSTS)
        ]
        self.crowd(nodes)
        self._uuids = {node.name: node.uuid for node in nodes}
        self._history = History(collections.defaultdict(list))
        for node in nodes:
            self._history.note(node.uuid, node.capabilities)
        self._ended = threading.Event()
        self._outages_s = itertools.cycle(OUTAGES_S)
        self._wrong: list[str] = []
        self._counts: collections.Counter[str] = collections.Counter()
        uuids = [*self._uuids.values()]
        works: list[Callable[[random.Random], None]] = [
            *[self._schedule] * _schedulers,
            # Each has hosts of its own, as each agent has.
            *[
                functools.partial(self._publish, uuids[number::PUBLISHERS])
                for number in range(PUBLISHERS)
            ],
            self._disturb,
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(work, seed))
            for seed, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        # Once it is warm.
        self._sizes: list[float] = []
        self._alive: list[float] = []
        manager = self.scheduler_service.manager.host_manager
        for _ in range(SAMPLES):
            self._ended.wait(_length_s / SAMPLES)
            if worker_state.current().counts().get('requests', 0) < WARM:
                continue
            size, alive = kept.kept(
                'hvfilter', [worker_state.current(), *manager.enabled_filters]
            )
            self._sizes.append(size / 1024)
            self._alive.append(alive)
        self._ended.set()
        for thread in threads:
            thread.join()
        self._counts.update(worker_state.current().counts())

    @staticmethod
    def _some(dice: random.Random) -> frozenset[str]:
        return frozenset(dice.sample(KEYS, dice.randint(0, len(KEYS))))

    def _repeat(
        self, work: Callable[[random.Random], None], seed: int
    ) -> None:
        dice = random.Random(seed)
        while not self._ended.is_set():
            try:
                work(dice)
            except Exception as error:
                self._wrong.append(f'{work}: {error!r}')

    def _schedule(self, dice: random.Random) -> None:
        key = dice.choice(KEYS)
        # More kinds of requests than verdicts are remembered for.
        specs = dict.fromkeys(
            (f'hvfilter:{other}' for other in dice.sample(OTHERS, 2)),
            'preferred',
        )
        specs[f'hvfilter:{key}'] = 'required'
        began_s = time.monotonic()
        try:
            host = self.schedule(specs)
        except exception.NoValidHost:
            self._counts['refused'] += 1
            self._ended.wait(0.5)
            return
        self._counts['placed'] += 1
        since_s = began_s - TRUST_S - SLACK_S
        if not self._history.had(self._uuids[host], key, since_s):
            self._wrong.append(f'{host} had no {key} for {TRUST_S} s')

    def _publish(self, uuids: list[str], dice: random.Random) -> None:
        self._ended.wait(dice.uniform(0, 2 * CHANGES_S / len(uuids)))
        uuid = dice.choice(uuids)
        has = self._some(dice)
        ours = {catalogue.REPORTED_TRAIT}
        ours.update(catalogue.BY_KEY[key].trait for key in has)
        seen = self.placement.get(
            f'/resource_providers/{uuid}/traits', version='1.6'
        )
        if seen.status != 200:
            return
        theirs = set(seen.body['traits']) - catalogue.OWN_TRAITS
        # Had both, as long as the write is on its way.
        before = self._history.changes[uuid][-1][1]
        self._history.note(uuid, before | has)
        done = self.placement.put(
            f'/resource_providers/{uuid}/traits',
            {
                'resource_provider_generation': seen.body[
                    'resource_provider_generation'
                ],
                'traits': sorted(ours | theirs),
            },
            version='1.6',
        )
        self._history.note(uuid, has if done.status == 200 else before)
        self._counts['published'] += 1

    def _disturb(self, dice: random.Random) -> None:
        self._ended.wait(dice.uniform(0, 10))
        when = dice.choice([gate.looks_up_holders, _looks_for_traits])
        status = dice.choice(
            ['503 Service Unavailable', '500 Internal Server Error', '404 X']
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.gate.refusing(when, status))
            self._counts['outages'] += 1
            self._ended.wait(next(self._outages_s))

    def schedule(self, specs: dict[str, str] | None = None) -> str:
        """As it is, and the room is given back at once."""
        spec = self.request_spec(specs)
        host = self.select(spec)
        self.scheduler_service.manager.placement_client.delete(
            f'/allocations/{spec.instance_uuid}'
        )
        return host


def _looks_for_traits(request: gate.Request) -> bool:
    return gate.looks_up_holders(request) or request.path == '/traits'


def growth(sizes: list[float]) -> float | None:
    """From the first half to the second; None: too few to tell."""
    if len(sizes) < LEAST_SAMPLES:
        return None
    half = len(sizes) // 2
    return statistics.median(sizes[half:]) - statistics.median(sizes[:half])


def complaints(soak: Soak) -> list[str]:
    """What went wrong."""
    found = soak._wrong[:10]
    if soak._counts['errors']:
        found.append(f'the filter caught {soak._counts["errors"]} exceptions')
    grown_kib, more = growth(soak._sizes), growth(soak._alive)
    if grown_kib is None or more is None:
        if _length_s >= TELLS_S:
            found.append('too few requests to tell whether memory grows')
    elif grown_kib > MOST_GROWTH_KIB or more > MOST_MORE_OBJECTS:
        found.append(
            f'memory grew by {grown_kib:.0f} KiB and {more:.0f} objects'
        )
    if soak._counts['placed'] < LEAST_A_SECOND * _length_s:
        found.append('next to no guest was placed')
    return found


def main() -> None:
    global _length_s, _schedulers
    parser = argparse.ArgumentParser(prog='soak', description=__doc__)
    parser.add_argument('--seconds', type=float, default=_length_s)
    parser.add_argument('--schedulers', type=int, default=_schedulers)
    options = parser.parse_args()
    _length_s, _schedulers = options.seconds, options.schedulers
    soak, result = Soak(), unittest.TestResult()
    soak.run(result)
    for _, what in (*result.errors, *result.failures):
        sys.exit(what)
    wrong = complaints(soak)
    found = {
        'seconds': _length_s,
        'threads': 'native' if functional.native() else 'green',
        'wrong': wrong,
        'caught_by_the_filter': soak._counts['errors'],
        'kept_kib': [*map(round, soak._sizes)],
        'objects': soak._alive,
        'growth_kib': growth(soak._sizes),
        **soak._counts,
    }
    print(json.dumps(found))
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
