# SPDX-License-Identifier: Apache-2.0
"""``openstack hypervisor capability classes``."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from osc_lib.cli import format_columns

from hvfilter.model import form, nested_evidence
from hvfilter.model.finding import State
from hvfilter.model.nested_registers import Kind, Registers
from hvfilter.model.problem import Problem
from hvfilter.osc import base, fleet, live_migration
from hvfilter.osc.fleet import Host
from hvfilter.placement import nested_sets
from hvfilter.rules import nested_classes
from hvfilter.rules.capability_state import CapabilityState
from hvfilter.rules.nested_classes import Classes

COLUMNS = (
    'Class',
    'Hosts',
    'Accepts',
    'Lacks',
    'Module Parameters',
    'Flags To Common',
    'Names',
    'Set',
)

COMMON = 'common'
UNKNOWN = 'unknown'
WITHOUT = 'without nested'

_MOST_NAMED = 3


class ClassesOfCapability(base.Lister):
    """Group compute hosts by the nested virtualization that guests get.

    Running guests that use VMX or SVM can move to hosts of their own class,
    and of each class that accepts it. "Lacks" is what another class has; the
    row "common" is the greatest set that all classes of a kind accept. With
    the module parameters a host may offer what it lacks; with "Flags To
    Common" in [libvirt] cpu_model_extra_flags of nova-compute new guests of
    the class get no more than the common set.
    """

    max_age = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--aggregate',
            metavar='<aggregate>',
            help='Only hosts in this host aggregate (name or UUID)',
        )
        parser.add_argument(
            '--check',
            metavar='<snapshot>',
            help='Add the host that this recording of "hvfilter record" is '
            'of, and say what that changes',
        )
        return parser

    def execute(self, parsed_args: argparse.Namespace) -> base.Table:
        """The fleet, and one request for each set in use."""
        everything = fleet.read(
            self.cloud,
            parsed_args.max_age_weeks,
            places=bool(parsed_args.aggregate),
        )
        hosts = everything.inside(parsed_args.aggregate, None)
        by_uuid = nested_sets.read(
            self.cloud.placement, everything.census.names
        )
        sets = known_sets(hosts, by_uuid)
        found = nested_classes.group(sets)
        if parsed_args.check:
            added = _recorded(parsed_args.check)
            name = pathlib.Path(parsed_args.check).name
            after = nested_classes.group({**sets, name: added})
            self.log.warning(_change(name, found, after))
            found = after
        return COLUMNS, [*rows(found), *_others(hosts, sets)]


def known_sets(
    hosts: Iterable[Host], by_uuid: dict[str, Registers | None]
) -> dict[str, Registers]:
    """By name, of hosts with a valid report that have nested."""
    listed = list(hosts)
    known = live_migration.known_sets(listed, by_uuid)
    return {
        host.name: known[host.uuid] for host in listed if host.uuid in known
    }


def rows(found: Classes) -> Iterable[tuple[Any, ...]]:
    """One for each class, and the greatest common set of each kind."""
    for kind in Kind:
        alike = found.of(kind)
        if not alike:
            continue
        common = found.common[kind]
        for each in alike:
            others = (other.registers for other in alike)
            yield (
                each.label,
                len(each.hosts),
                _listed(each.accepts),
                _listed(each.lacks),
                _listed(nested_classes.parameters(each.registers, others)),
                _listed(
                    nested_classes.flags(common, each.registers)
                    if common is not None
                    else ()
                ),
                _names(each.hosts),
                each.registers.trait,
            )
        yield (
            f'{kind.value} {COMMON}',
            sum(len(each.hosts) for each in alike),
            *[_listed(())] * 5,
            'none' if common is None else common.trait,
        )


def _others(
    hosts: Iterable[Host], sets: dict[str, Registers]
) -> Iterable[tuple[Any, ...]]:
    """Hosts that are in no class."""
    unknown: list[str] = []
    without: list[str] = []
    for host in hosts:
        if host.name not in sets and host.known.kvm_host:
            lacks = host.state_of('nested') is CapabilityState.LACKS
            (without if lacks else unknown).append(host.name)
    for label, names in ((UNKNOWN, unknown), (WITHOUT, without)):
        if names:
            empty = [_listed(())] * 4
            yield label, len(names), *empty, _names(names), ''


def _recorded(path: str) -> Registers:
    # Imported here: only this option needs the probes.
    from hvfilter.probes import recorded_report

    try:
        report = recorded_report.report_of(
            pathlib.Path(path).read_bytes(), path
        )
    except (OSError, form.DocumentError) as error:
        raise Problem(
            f'Cannot use {path} as --check: {error}',
            'Write a recording with "hvfilter record <file>" on the host.',
        ) from None
    nested = report['nested']
    registers = nested_evidence.registers(report)
    if nested.state is State.PRESENT and registers is not None:
        return registers
    raise Problem(
        f'{path}: the host has no known nested set: {nested.reason}',
        f'{nested.remedy or "See hvfilter probe --snapshot"}.',
    )


def _change(name: str, before: Classes, after: Classes) -> str:
    """What a host does to the classes, in a sentence."""
    (own,) = (each for each in after.classes if name in each.hosts)
    kind = own.registers.kind
    fresh = len(own.hosts) == 1
    text = f'{name} would '
    text += 'be a class of its own' if fresh else 'join a class'
    text += f', {own.label}'
    earlier = before.common.get(kind)
    if earlier is None or earlier == after.common[kind]:
        return f'{text}. The greatest common set would not change.'
    lost = nested_classes.lost(earlier, after.common[kind])
    return f'{text}. The greatest common set would lose: {", ".join(lost)}.'


def _names(hosts: Sequence[str]) -> format_columns.ListColumn:
    more = ['...'] if len(hosts) > _MOST_NAMED else []
    return _listed([*hosts[:_MOST_NAMED], *more])


def _listed(words: Sequence[str]) -> format_columns.ListColumn:
    return format_columns.ListColumn(list(words))
