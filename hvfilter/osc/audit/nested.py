# SPDX-License-Identifier: Apache-2.0
"""Host aggregates whose hosts cannot exchange nested guests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hvfilter.model.nested_registers import Registers
from hvfilter.osc import live_migration
from hvfilter.osc.audit.finding import Kind, Problem, Row, row
from hvfilter.osc.compute import Aggregate
from hvfilter.osc.fleet import Host
from hvfilter.rules import nested_classes


def aggregates(
    hosts: Iterable[Host], by_uuid: Mapping[str, Registers | None]
) -> Iterator[Row]:
    """One for each aggregate; hosts whose set is unknown do not count.

    :param by_uuid: the nested set of each provider
    """
    listed = list(hosts)
    known = live_migration.known_sets(listed, by_uuid)
    groups: dict[str, Aggregate] = {}
    members: dict[str, dict[str, Registers]] = {}
    for host in listed:
        if host.uuid not in known:
            continue
        for each in host.aggregates:
            groups[each.uuid] = each
            inside = members.setdefault(each.uuid, {})
            inside[host.name] = known[host.uuid]
    for uuid, group in sorted(groups.items(), key=lambda item: item[1].name):
        words = nested_classes.differences(members[uuid])
        if words:
            yield row(
                Kind.AGGREGATE,
                Problem.NESTED_SETS,
                group.name,
                f'running guests that use nested cannot move freely: {words}',
                'See "openstack hypervisor capability classes --aggregate '
                f'{group.name}".',
                uuid=uuid,
            )
