# SPDX-License-Identifier: Apache-2.0
"""Schedules while publishers change traits and Placement fails at random.

On a real Nova and a real Placement in this process. Ends with exit code 0
only if

* nothing but NoValidHost came out of the scheduler, and the filter never had
  to catch anything;
* no guest was put on a host that had lacked what it required ever since the
  cache's hard age;
* what the filter keeps in memory did not grow.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import gc
import json
import random
import sys
import threading
import time
import tracemalloc
import unittest
from collections.abc import Callable

from nova import exception

from hvfilter.model import catalogue
from hvfilter.scheduler import knowledge
from tests.fakes import placement as gate
from tests.functional.scheduler import crowd

HOSTS = 40
KEYS = ('kvm', 'nested', 'slat', 'tdx')
REFRESH_S, TRUST_S, RETRY_S = 1.0, 6.0, 0.5
SLACK_S = 3.0
"""From the verdict to the claim, on a machine with much to do."""
MOST_GROWTH_KIB = 1_024

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
        self._wrong: list[str] = []
        self._counts: collections.Counter[str] = collections.Counter()
        works: list[Callable[[random.Random], None]] = [
            *[self._schedule] * _schedulers,
            self._publish,
            self._publish,
            self._disturb,
        ]
        threads = [
            threading.Thread(target=self._repeat, args=(work, seed))
            for seed, work in enumerate(works)
        ]
        tracemalloc.start()
        for thread in threads:
            thread.start()
        sizes = []
        for _ in range(4):
            self._ended.wait(_length_s / 4)
            sizes.append(_kept_kib())
        self._ended.set()
        for thread in threads:
            thread.join()
        self._sizes = sizes
        self._counts.update(knowledge.current().counts())

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
                self._wrong.append(f'{work.__name__}: {error!r}')

    def _schedule(self, dice: random.Random) -> None:
        key = dice.choice(KEYS)
        began_s = time.monotonic()
        try:
            host = self.schedule({f'hvfilter:{key}': 'required'})
        except exception.NoValidHost:
            self._counts['refused'] += 1
            time.sleep(0.05)
            return
        self._counts['placed'] += 1
        since_s = began_s - TRUST_S - SLACK_S
        if not self._history.had(self._uuids[host], key, since_s):
            self._wrong.append(f'{host} had no {key} for {TRUST_S} s')

    def _publish(self, dice: random.Random) -> None:
        uuid = dice.choice([*self._uuids.values()])
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
        time.sleep(dice.uniform(0, 0.2))

    def _disturb(self, dice: random.Random) -> None:
        self._ended.wait(dice.uniform(0, 10))
        when = dice.choice([gate.looks_up_holders, _looks_for_traits])
        status = dice.choice(
            ['503 Service Unavailable', '500 Internal Server Error', '404 X']
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.gate.refusing(when, status))
            self._counts['outages'] += 1
            # Longer than the hard age now and then.
            self._ended.wait(dice.choice([0.2, 0.5, 1, 3, TRUST_S + 3]))

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


def _kept_kib() -> float:
    """What code of ours allocated and still holds."""
    gc.collect()
    found = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, '*/hvfilter/*')]
    )
    return sum(stat.size for stat in found.statistics('filename')) / 1024


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
    growth_kib = soak._sizes[-1] - soak._sizes[0]
    counts = dict(soak._counts)
    found = {
        'seconds': _length_s,
        'wrong': soak._wrong[:10],
        'caught_by_the_filter': counts.get('errors', 0),
        'kept_kib': [round(size) for size in soak._sizes],
        **counts,
    }
    print(json.dumps(found))
    bad = soak._wrong or counts.get('errors') or growth_kib > MOST_GROWTH_KIB
    sys.exit(1 if bad or not counts.get('placed') else 0)


if __name__ == '__main__':
    main()
