# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as one JSON object.

Hosts that are alike share one *kind*: what hvfilter reported of each
capability, the processor, and what Nova itself shows. So the page is small,
and the browser folds equal rows without comparing anything.

The form is private to the page: scripts use ``-f json`` of the other commands.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.plain import plain
from hvfilter.model.verdict import Cause
from hvfilter.osc import explanation
from hvfilter.osc.capability_counts import available
from hvfilter.osc.compute import Aggregate
from hvfilter.osc.fleet import Host
from hvfilter.placement.capacity import Free
from hvfilter.rules import infer, nova_evidence
from hvfilter.rules.capability_state import CapabilityState

_STATES = tuple(CapabilityState)

_CAUSES = {
    CapabilityState.LACKS: Cause.LACKS,
    CapabilityState.UNKNOWN: Cause.UNKNOWN,
    CapabilityState.STALE: Cause.STALE,
    CapabilityState.UNREPORTED: Cause.UNREPORTED,
}


@dataclasses.dataclass(frozen=True)
class About:
    """How the page was made.

    :ivar made_at: seconds since the epoch
    :ivar max_age_weeks: from which age on a report is stale; 0: never
    :ivar selection: which hosts were asked for, in words, '' for all
    :ivar notes: what could not be read, and why
    """

    title: str
    made_at: float
    version: str
    max_age_weeks: int
    selection: str = ''
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Kind:
    """What hosts that are alike have in common.

    :ivar report: as :attr:`hvfilter.osc.fleet.Host.report`
    :ivar stale_weeks: of the stale reports, '' where the report is not stale
    :ivar processor: maker and architecture, '' when not known
    :ivar states: in the order of the catalogue
    :ivar ruled_out: capabilities that such a processor cannot have
    :ivar seen: what Nova shows of a capability, by key
    :ivar contradictions: how that disagrees with the report, by key
    """

    report: str
    stale_weeks: str
    processor: str
    states: tuple[CapabilityState, ...]
    ruled_out: frozenset[str] = frozenset()
    seen: tuple[tuple[str, str], ...] = ()
    contradictions: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """For the page; a state is its number in ``states``."""
        return {
            'report': self.report,
            'stale_weeks': self.stale_weeks,
            'processor': self.processor,
            'states': ''.join(
                str(_STATES.index(each)) for each in self.states
            ),
            'ruled_out': sorted(self.ruled_out),
            'seen': dict(self.seen),
            'contradictions': dict(self.contradictions),
        }


class _Table:
    """Distinct values in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[Any]:
        return list(self._numbers)


def document(
    hosts: Iterable[Host], free: Mapping[str, Free], about: About
) -> dict[str, Any]:
    """All of it; every text that others chose is fit to be shown.

    :param free: by uuid: what :func:`hvfilter.placement.capacity.read` found
    """
    kinds, zones, aggregates = _Table(), _Table(), _Table()
    columns: dict[str, list[Any]] = {
        'name': [],
        'uuid': [],
        'kind': [],
        'zone': [],
        'aggregates': [],
        'state': [],
        'status': [],
        'vcpus': [],
        'memory_mib': [],
    }
    for host in hosts:
        left = free.get(host.uuid)
        nova = host.hypervisor
        row: tuple[Any, ...] = (
            plain(host.name),
            plain(host.uuid),
            kinds.number(kind(host, left.traits if left else frozenset())),
            zones.number(plain(host.zone)),
            None
            if nova is None
            else [
                aggregates.number(_aggregate(each)) for each in host.aggregates
            ],
            '' if nova is None else 'up' if nova.up else 'down',
            '' if nova is None else 'enabled' if nova.enabled else 'disabled',
            left.total('VCPU') if left and available(host) else 0,
            left.total('MEMORY_MB') if left and available(host) else 0,
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return {
        **_about(about),
        'capabilities': [
            {'key': row.key, 'name': row.name, 'meaning': row.meaning}
            for row in catalogue.CATALOGUE
        ],
        'kinds': [each.document() for each in kinds.values],
        'zones': zones.values,
        'aggregates': [
            {'name': name, 'uuid': uuid} for name, uuid in aggregates.values
        ],
        'hosts': columns,
    }


def _about(about: About) -> dict[str, Any]:
    made = time.gmtime(about.made_at)
    return {
        'title': plain(about.title),
        'made_at': time.strftime('%Y-%m-%dT%H:%M:%SZ', made),
        'version': about.version,
        'max_age_weeks': about.max_age_weeks,
        'selection': plain(about.selection),
        'notes': [plain(each) for each in about.notes],
        'states': [each.value for each in CapabilityState],
        'advice': {
            state.value: explanation.CHANGES[cause]
            for state, cause in _CAUSES.items()
        },
    }


def _aggregate(aggregate: Aggregate) -> tuple[str, str]:
    return plain(aggregate.name), plain(aggregate.uuid)


def kind(host: Host, more_traits: frozenset[str] = frozenset()) -> Kind:
    """Of which kind a host is.

    :param more_traits: of its provider, those of nova-compute among them, as
        far as they are known
    """
    facts = host.facts or infer.HostFacts()
    flags = host.hypervisor.flags if host.hypervisor else frozenset[str]()
    names = host.names | more_traits
    states = {key: host.state_of(key) for key in catalogue.BY_KEY}
    seen: dict[str, str] = {}
    contradictions: dict[str, str] = {}
    for key, state in states.items():
        shown = nova_evidence.observations(key, facts, flags, names)
        why = nova_evidence.contradiction(key, host.known, state, shown)
        if shown:
            seen[key] = ', '.join(shown)
        if why:
            contradictions[key] = why
    return Kind(
        host.report,
        host.known.expired,
        _processor(host, facts),
        tuple(states.values()),
        infer.absent(facts) if facts.kvm_host else frozenset(),
        tuple(seen.items()),
        tuple(contradictions.items()),
    )


def _processor(host: Host, facts: infer.HostFacts) -> str:
    if host.hypervisor is not None and not facts.kvm_host:
        return plain(host.hypervisor.kind)
    return plain(f'{facts.vendor} {facts.machine}'.strip())
