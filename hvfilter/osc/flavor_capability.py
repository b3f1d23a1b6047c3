# SPDX-License-Identifier: Apache-2.0
"""What ``openstack flavor capability set``, ``unset`` and ``show`` share."""

from __future__ import annotations

import argparse
import collections
import logging
from collections.abc import Iterable, Mapping, Sequence

from osc_lib import exceptions

from hvfilter.conf.policy_file import SchedulerPolicy
from hvfilter.model.policy import Policy
from hvfilter.model.problem import Problem
from hvfilter.model.requirement import Demand, Requirements
from hvfilter.model.verdict import Verdict
from hvfilter.osc import base, fleet
from hvfilter.osc.cloud import Cloud
from hvfilter.osc.compute import Flavor
from hvfilter.osc.fleet import Host
from hvfilter.osc.policies import Policies
from hvfilter.osc.verdicts import Judge
from hvfilter.placement import errors
from hvfilter.rules import contradiction, explain, requests
from hvfilter.rules.requests import GuestRequest

LOG = logging.getLogger(__name__)

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


_NO_POLICY = SchedulerPolicy(Policy(required=()))


def requested(specs: Mapping[str, str]) -> Requirements:
    """What extra specs ask of hosts, with nothing that a policy adds."""
    return requests.requirements(GuestRequest.of(specs), _NO_POLICY.policy)


def check(cloud: Cloud, name: str, specs: Mapping[str, str]) -> None:
    """That some host could serve a flavor with these extra specs.

    :raises Problem: none could
    """
    requirements = requested(specs)
    if not requirements.hard:
        return
    why = contradiction.contradictions(requirements)
    if why:
        raise _refused(name, '; '.join(why))
    hosts = fleet.read(cloud, base.MAX_AGE_WEEKS, places=False).hosts
    against = rejected(specs, hosts)
    if total(against) == len(hosts):
        why_not = 'the cloud has no compute host'
        if hosts:
            why_not = explain.line(against, len(hosts))
        raise _refused(name, why_not)


def rejected(
    specs: Mapping[str, str], hosts: Iterable[Host]
) -> dict[Verdict, list[str]]:
    """The names of the hosts that could not serve it, by verdict."""
    judge = Judge(GuestRequest.of(specs), Policies(_NO_POLICY, LOG.debug))
    found: dict[Verdict, list[str]] = {}
    for host in hosts:
        verdict = judge.verdict(host)
        if not verdict.accepted:
            found.setdefault(verdict, []).append(host.name)
    return found


def total(against: Mapping[Verdict, Sequence[str]]) -> int:
    """How many hosts were rejected."""
    return sum(map(len, against.values()))


def _refused(name: str, why: str) -> Problem:
    return Problem(
        f'No host could serve flavor {name}, so it was not changed: {why}',
        'Ask for something else, or use --force to change it anyway.',
    )
