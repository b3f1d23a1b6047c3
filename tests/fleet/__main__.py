# SPDX-License-Identifier: Apache-2.0
"""Ten thousand hosts publish after a power cut, and go on.

``python -m tests.fleet [--providers N] [--workers N] [--spread SECONDS]``

Real: Placement, its database server, our client and reconciliation, and the
moment at which each host comes. Made: the providers (with traits of others on
them), what the hosts found, and the line in which hosts wait while many are
under way, as a load balancer before Placement has it. A host's time in that
line counts.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime
import logging
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from keystoneauth1 import adapter, session, token_endpoint
from placement.db.sqlalchemy import migration, models

from hvfilter.model import catalogue, dated
from hvfilter.model.dated import Kind
from hvfilter.model.week import Week
from hvfilter.placement import client, errors, keystone, reconcile
from hvfilter.rules.traits import DesiredTraits
from tests.fleet import database, service

FOREIGN = ('OWNER_NOVA', 'HW_CPU_X86_VMX', 'CUSTOM_GOLD')
AT_ONCE = 100
"""Publications under way at once unless told otherwise. Thousands would be
threads of one Python, and take the processors away from Placement."""

BACKLOG = 511
"""Connections that may wait to be taken: the default of Apache's httpd. Who
comes later is not heard, and knocks again as TCP does."""

TIMEOUT_S = 30.0
DEADLINE_S = 600.0
"""The default of the option, and what the unit says."""

STACK_BYTES = 256 << 10

THIS_WEEK = Week(datetime.date.fromisocalendar(2026, 53, 1))
NEXT_WEEK = Week(datetime.date.fromisocalendar(2027, 1, 1))
"""The turn of a year, of all the weeks."""

LOST = catalogue.BY_KEY['nested'].trait
PRESENT = frozenset(
    catalogue.BY_KEY[key].trait
    for key in ('kvm', 'hvm', 'vtx', 'slat', 'ept', 'nested', 'nested_slat')
) | {catalogue.REPORTED_TRAIT}


@dataclasses.dataclass(frozen=True)
class Published:
    """How one publication went."""

    took_s: float
    requests: int
    writes: int
    unanswered: int
    conflicts: int = 0
    error: str = ''


class Counting:
    """A way to Placement that counts.

    :ivar requests: how many were sent
    :ivar writes: how often the traits of a provider were replaced
    :ivar unanswered: how many of them got no answer, or none but "later"
    """

    def __init__(self, transport: client.Transport) -> None:
        self._transport = transport
        self.requests = 0
        self.writes = 0
        self.unanswered = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        microversion: str,
        body: Mapping[str, Any] | None = None,
    ) -> client.Response:
        self.requests += 1
        try:
            answer = self._transport.request(
                method, path, microversion=microversion, body=body
            )
        except errors.PlacementError:
            self.unanswered += 1
            raise
        self.unanswered += answer.status == 429 or answer.status >= 500
        replaced = method == 'PUT' and path.endswith('/traits')
        self.writes += replaced and answer.status == 200
        return answer


def desired(present: frozenset[str], week: Week) -> DesiredTraits:
    """These are there, all others are not, and it is that week."""
    return DesiredTraits(present, catalogue.OWN_TRAITS - present, week, 2)


def names(present: frozenset[str], week: Week) -> frozenset[str]:
    """What a provider is to carry of ours."""
    gone = frozenset({LOST}) - present if week == THIS_WEEK else ()
    marks = {str(dated.Dated(each, Kind.REMOVED, week)) for each in gone}
    return present | marks | {dated.reported_in(week)}


class Cloud:
    """Placement with its workers, filled."""

    def __init__(self, url: str, providers: int, workers: int) -> None:
        self._database = url
        self.engine = sqlalchemy.create_engine(url)
        service.configuration(url)
        migration.upgrade('head')
        listening = socket.socket()
        listening.bind(('127.0.0.1', 0))
        listening.listen(BACKLOG)
        listening.set_inheritable(True)
        self.url = f'http://127.0.0.1:{listening.getsockname()[1]}'
        self._workers = [
            self._worker(listening.fileno()) for _ in range(workers)
        ]
        listening.close()
        for worker in self._workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        self.uuids = self._fill(providers)

    def _worker(self, descriptor: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                '-W',
                'ignore',
                '-m',
                'tests.fleet.service',
                str(descriptor),
                self._database,
            ],
            pass_fds=(descriptor,),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End the workers and forget the database."""
        for worker in self._workers:
            worker.kill()
            worker.communicate()
        self.engine.dispose()

    def _fill(self, providers: int) -> list[str]:
        """As nova-compute would have, but at once."""
        client.PlacementClient(self.transport()).ensure_trait('CUSTOM_GOLD')
        uuids = [str(uuid.uuid4()) for _ in range(providers)]
        table = models.ResourceProvider.__table__
        marks = models.ResourceProviderTrait.__table__
        with self.engine.begin() as connection:
            connection.execute(
                table.insert(),
                [
                    {'id': number, 'uuid': each, 'name': f'n{number}.example'}
                    | {'generation': 1, 'root_provider_id': number}
                    for number, each in enumerate(uuids, 1)
                ],
            )
            known = dict(
                connection.execute(
                    sqlalchemy.select(models.Trait.name, models.Trait.id)
                ).all()
            )
            connection.execute(
                marks.insert(),
                [
                    {'resource_provider_id': number, 'trait_id': known[name]}
                    for number in range(1, providers + 1)
                    for name in FOREIGN
                ],
            )
        with self.engine.connect().execution_options(
            isolation_level='AUTOCOMMIT'
        ) as connection:
            connection.execute(sqlalchemy.text('ANALYZE'))
        return uuids

    def transport(self) -> Counting:
        """A host's way to Placement, a session of its own."""
        reach = session.Session(
            auth=token_endpoint.Token(self.url, 'admin'), timeout=TIMEOUT_S
        )
        return Counting(
            keystone.KeystoneTransport(
                adapter.Adapter(reach, service_type='placement')
            )
        )

    def size_mib(self) -> float:
        """What the database takes on the disk."""
        asked = sqlalchemy.text('SELECT pg_database_size(current_database())')
        with self.engine.connect() as connection:
            return float(connection.execute(asked).scalar_one()) / (1 << 20)

    def wrong(self, expected: Callable[[str], frozenset[str]]) -> int:
        """How many providers do not carry exactly what they should."""
        asked = sqlalchemy.text(
            'SELECT p.uuid, t.name FROM resource_providers p '
            'LEFT JOIN resource_provider_traits m '
            'ON m.resource_provider_id = p.id '
            'LEFT JOIN traits t ON t.id = m.trait_id'
        )
        found: dict[str, set[str]] = {each: set() for each in self.uuids}
        with self.engine.connect() as connection:
            for each, name in connection.execute(asked):
                found[each].add(name)
        return sum(
            names != expected(each) | set(FOREIGN)
            for each, names in found.items()
        )


def publish(
    cloud: Cloud, target: str, present: DesiredTraits, due: float
) -> Published:
    """As the agent of one host does that came when it was due."""
    transport = cloud.transport()
    reconciler = reconcile.Reconciler(
        client.PlacementClient(transport),
        reconcile.RetryPolicy(deadline_s=DEADLINE_S),
    )
    conflicts, error = 0, ''
    try:
        conflicts = reconciler.reconcile(
            reconcile.ProviderRef(uuid=target), present
        ).conflicts
    except errors.PlacementError as failed:
        error = type(failed).__name__
    return Published(
        time.monotonic() - due,
        transport.requests,
        transport.writes,
        transport.unanswered,
        conflicts,
        error,
    )


def phase(
    title: str,
    cloud: Cloud,
    present: Callable[[str], frozenset[str]],
    options: argparse.Namespace,
    week: Week = THIS_WEEK,
) -> bool:
    """Every host publishes once, at some moment of the spread."""
    chance = random.Random(title)
    due = sorted(
        (chance.uniform(0, options.spread), each) for each in cloud.uuids
    )
    began = time.monotonic()
    done: list[Published] = []
    pool = concurrent.futures.ThreadPoolExecutor(options.at_once)
    try:
        waiting = []
        for when, each in due:
            moment = began + when
            time.sleep(max(0.0, moment - time.monotonic()))
            waiting.append(
                pool.submit(
                    publish, cloud, each, desired(present(each), week), moment
                )
            )
        for each in progress(title, waiting):
            done.append(each.result())
    finally:
        pool.shutdown(cancel_futures=True)
    seconds = time.monotonic() - began
    times = sorted(each.took_s for each in done)
    failed = [each.error for each in done if each.error]
    wrong = cloud.wrong(lambda each: names(present(each), week))
    requests = sum(each.requests for each in done)
    print(
        f'{title}: {len(done)} hosts in {seconds:.0f} s; '
        f'{requests} requests ({requests / seconds:.0f}/s), '
        f'{sum(each.writes for each in done)} providers written, '
        f'{sum(each.unanswered for each in done)} of them unanswered, '
        f'{sum(each.conflicts for each in done)} conflicts, '
        f'{len(failed)} failed {sorted(set(failed)) or ""}; a publication '
        f'took {statistics.median(times):.1f} s in the middle, '
        f'{times[int(len(times) * 0.99)]:.1f} s at the 99th '
        f'percentile, {times[-1]:.1f} s at most; {wrong} providers wrong; '
        f'database {cloud.size_mib():.0f} MiB',
        flush=True,
    )
    return not failed and not wrong


def progress(
    title: str, waiting: Sequence[concurrent.futures.Future[Published]]
) -> Iterator[concurrent.futures.Future[Published]]:
    """Each as it ends, with a line for a person now and then."""
    shown = time.monotonic()
    ended = concurrent.futures.as_completed(waiting)
    for number, each in enumerate(ended, 1):
        yield each
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f'  {title}: {number}/{len(waiting)}', flush=True)


def main() -> int:
    """Run all phases: 0 if no provider is ever wrong and none failed."""
    parser = argparse.ArgumentParser(prog='tests.fleet', description=__doc__)
    parser.add_argument('--providers', type=int, default=10_000)
    parser.add_argument('--workers', type=int, default=4)
    parser.add_argument('--spread', type=float, default=30.0)
    parser.add_argument('--at-once', type=int, default=AT_ONCE)
    options = parser.parse_args()
    # A thread and a connection for each host under way.
    threading.stack_size(STACK_BYTES)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # What thousands of agents would say to their journals is counted instead.
    logging.getLogger('hvfilter').setLevel(logging.ERROR)
    # However it ends, the database server ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        server = database.PostgreSQL()
    except database.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    with server:
        began = time.monotonic()
        cloud = Cloud(server.url, options.providers, options.workers)
        try:
            print(
                f'{options.providers} providers, {options.workers} workers '
                f'of Placement, {server.release}, filled in '
                f'{time.monotonic() - began:.0f} s; database '
                f'{cloud.size_mib():.0f} MiB',
                flush=True,
            )
            return 0 if run(cloud, options) else 1
        finally:
            cloud.stop()


def run(cloud: Cloud, options: argparse.Namespace) -> bool:
    """The life of a cloud in six phases, over the turn of a week."""
    tenth = frozenset(cloud.uuids[::10])

    def everything(_: str) -> frozenset[str]:
        return PRESENT

    def some_lost(each: str) -> frozenset[str]:
        return PRESENT - {LOST} if each in tenth else PRESENT

    return all(
        [
            phase('first time, after a power cut', cloud, everything, options),
            phase('steady state', cloud, everything, options),
            phase('a tenth lost nested', cloud, some_lost, options),
            phase('steady state again', cloud, some_lost, options),
            phase('the week turns', cloud, some_lost, options, NEXT_WEEK),
            phase(
                'steady state, next week', cloud, some_lost, options, NEXT_WEEK
            ),
        ]
    )


if __name__ == '__main__':
    sys.exit(main())
