# SPDX-License-Identifier: Apache-2.0
"""Recorded hosts, and a fleet of them, as Prometheus finds them.

There is a host for whatever an alert or a panel is about.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import catalogue
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.model.week import Week
from hvfilter.osc import fleet, fleet_metrics
from hvfilter.osc.compute import Aggregate
from hvfilter.placement import capacity, census, client
from hvfilter.probes.host_report import probe_host
from hvfilter.publish import (
    base,
    exposition,
    metrics,
    previous_metrics,
    textfile,
)
from hvfilter.rules import capability_state, override, traits
from tests.prometheus import tool

RECORDED = (
    'intel-all-on',
    'intel-nested-off',
    'amd-everything',
    'arm64-vhe',
    'kvm-refused',
)
_HOUR = 3600
_MAX_AGE_WEEKS = 2


def report(name: str) -> HostReport:
    """That of a recorded host."""
    text = (tool.ROOT / f'tests/hosts/{name}.json').read_text()
    return probe_host(RecordedHost(snapshot.loads(text)))


def _outcome(name: str, failed: bool = False) -> base.Outcome:
    problem = Problem('x', 'y', code='unreachable') if failed else None
    provider = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    return base.Outcome(
        'placement', '', problem=problem, provider='' if failed else provider
    )


def _text(
    found: HostReport, now_s: float, outcome: base.Outcome, before: bytes
) -> bytes:
    context = base.PublishContext(
        found,
        traits.desired(found, Week.at(now_s), _MAX_AGE_WEEKS),
        base.Identity(),
        probed_s=now_s,
        now_s=now_s,
        previous=(outcome,),
    )
    earlier = previous_metrics.read(before)
    return exposition.render(textfile.families(context, earlier))


def pages() -> Mapping[str, bytes]:
    """What each target answers, by the name of its host."""
    now_s = time.time()
    reports = {name: report(name) for name in RECORDED}
    found = {
        name: _text(each, now_s, _outcome(name), b'')
        for name, each in reports.items()
    }
    # It had nested two hours ago, and does not reach Placement since.
    before = _text(
        reports['intel-all-on'], now_s - 2 * _HOUR, _outcome('lost'), b''
    )
    found['lost'] = _text(
        reports['intel-nested-off'], now_s, _outcome('lost', True), before
    )
    overridden = override.apply(
        reports['amd-everything'], override.parse(['sev=absent'], 'a test')
    )
    found['overridden'] = _text(overridden, now_s, _outcome('o'), b'')
    found['old'] = _text(
        reports['intel-all-on'], now_s - 2 * _HOUR, _outcome('old'), b''
    )
    found['withdrawn'] = exposition.render(
        [(metrics.WITHDRAWN, [((), now_s)])]
    )
    found['controller'] = b''.join(_fleet(reports, now_s))
    return found


def _fleet(reports: Mapping[str, HostReport], now_s: float) -> Iterator[bytes]:
    week = Week.at(now_s)
    names = {
        name: traits.desired(each, week, _MAX_AGE_WEEKS).applied_to(
            frozenset()
        )
        for name, each in reports.items()
    }
    names['silent'] = frozenset()
    hosts = tuple(
        fleet.Host(
            name,
            name,
            capability_state.advertised(names[name]),
            catalogue.own(names[name]),
            zone='east' if name.startswith('intel') else 'west',
            aggregates=(Aggregate('lab', 'lab', '', frozenset()),),
        )
        for name in sorted(names)
    )
    everything = fleet.Fleet(
        hosts,
        census.Census(
            {name: client.Provider(name, name) for name in names},
            names,
            frozenset().union(*names.values()),
        ),
    )
    amounts = {'VCPU': (8,), 'MEMORY_MB': (4096,)}
    free = {name: capacity.Free(amounts, names[name]) for name in names}
    yield exposition.render(
        fleet_metrics.families(
            everything, free, week, read_s=now_s, complete=True
        )
    )
