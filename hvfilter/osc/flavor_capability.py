# SPDX-License-Identifier: Apache-2.0
"""What ``openstack flavor capability set``, ``unset`` and ``show`` share."""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from osc_lib import exceptions

from hvfilter.model.policy import Policy
from hvfilter.model.problem import Problem
from hvfilter.model.requirement import Demand, Requirements
from hvfilter.osc import base, fleet
from hvfilter.osc.cloud import Cloud
from hvfilter.osc.compute import Flavor
from hvfilter.osc.fleet import Host
from hvfilter.osc.judging import Judge
from hvfilter.placement import errors
from hvfilter.rules import contradiction, explain
from hvfilter.rules.requests import Asked

OPTIONS = (
    ('require', Demand.REQUIRED),
    ('forbid', Demand.FORBIDDEN),
    ('prefer', Demand.PREFERRED),
)


def add_flavor(parser: argparse.ArgumentParser) -> None:
    """The argument that all three take."""
    parser.add_argument(
        'flavor', metavar='<flavor>', help='Flavor (name or ID)'
    )


def add_options(parser: argparse.ArgumentParser, texts: Sequence[str]) -> None:
    """One option for each demand.

    :param texts: their helps
    """
    for (option, _), text in zip(OPTIONS, texts, strict=True):
        parser.add_argument(
            f'--{option}',
            metavar='<capability>',
            action='append',
            default=[],
            type=base.capability,
            help=f'{text} (repeat for several)',
        )


def given(parsed_args: argparse.Namespace) -> dict[str, Demand]:
    """The capabilities of the command line, each with one demand."""
    found = [
        (key, demand)
        for option, demand in OPTIONS
        for key in dict.fromkeys(getattr(parsed_args, option))
    ]
    if not found:
        raise exceptions.CommandError(
            'No capability is named. Use --require, --forbid or --prefer.'
        )
    counts = collections.Counter(key for key, _ in found)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        raise exceptions.CommandError(
            f'{", ".join(twice)} is named by several options. Name each '
            'capability once.'
        )
    return dict(found)


def flavor(cloud: Cloud, name: str) -> Flavor:
    """A flavor with its extra specs.

    :raises errors.PlacementError: there is none, or it may not be seen
    """
    found = cloud.compute.flavor(name)
    if not found.specs_shown:
        raise errors.Forbidden(
            f'This user may not see the extra specs of flavor {found.name}',
            'Use credentials with the role "admin".',
        )
    return found


@dataclasses.dataclass(frozen=True)
class Request:
    """What extra specs ask of hosts, with nothing that a policy adds."""

    policy: Policy
    requirements: Requirements

    @classmethod
    def of(cls, judge: Judge, specs: Mapping[str, str]) -> Request:
        """That of a flavor's extra specs."""
        policy = Policy(required=())
        return cls(policy, judge.requirements(Asked.of(specs), policy))


def check(cloud: Cloud, name: str, specs: Mapping[str, str]) -> None:
    """That some host could serve a flavor with these extra specs.

    :raises Problem: none could
    """
    judge = Judge()
    request = Request.of(judge, specs)
    if not request.requirements.hard:
        return
    why = contradiction.contradictions(request.requirements)
    if why:
        raise _refused(name, '; '.join(why))
    hosts = fleet.read(cloud, base.MAX_AGE_WEEKS, places=False).hosts
    rejected = judge.rejected(request.requirements, request.policy, hosts)
    if _total(rejected.values()) == len(hosts):
        why_not = 'the cloud has no compute host'
        if hosts:
            why_not = explain.line(rejected, len(hosts))
        raise _refused(name, why_not)


def serving(judge: Judge, request: Request, hosts: Sequence[Host]) -> int:
    """How many hosts could serve it, whether or not there is room."""
    rejected = judge.rejected(request.requirements, request.policy, hosts)
    return len(hosts) - _total(rejected.values())


def _refused(name: str, why: str) -> Problem:
    return Problem(
        f'No host could serve flavor {name}, so it was not changed: {why}',
        'Ask for something else, or use --force to change it anyway.',
    )


def _total(lists: Iterable[Sequence[str]]) -> int:
    return sum(map(len, lists))
