# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common.

A command derives from :class:`Lister`, or from :class:`Command` if it prints
no table, and has ``execute`` instead of ``take_action``: a
:class:`~hvfilter.model.problem.Problem` it raises becomes one line with the
remedy, and ``openstack`` exits with 1.
"""

from __future__ import annotations

import abc
import argparse
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from osc_lib import exceptions
from osc_lib.command import command

from hvfilter.model import catalogue
from hvfilter.model.problem import Problem
from hvfilter.osc import policies
from hvfilter.osc.cloud import Cloud
from hvfilter.osc.plugin import API_NAME
from hvfilter.rules import spelling

MAX_AGE_WEEKS = 2
"""The default of ``[hvfilter] report_max_age_weeks`` in nova-scheduler."""

Table: TypeAlias = tuple[Sequence[str], Iterable[Sequence[Any]]]
"""The column names and the rows."""

UNAVAILABLE = 'n/a'
"""In a column that this user may not see."""


class Command(command.Command):
    """Reads the cloud, and says what it could not read."""

    max_age = False
    """Whether the command takes ``--max-age-weeks``."""

    takes_policy = False
    """Whether it takes ``--policy``, and the age from there by default."""

    @property
    def cloud(self) -> Cloud:
        """Of the credentials that ``openstack`` was given."""
        # Set by openstackclient for each plug-in: see plugin.API_NAME.
        cloud: Cloud = getattr(self.app.client_manager, API_NAME)
        return cloud

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """The options of the command."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        if self.takes_policy:
            policies.add_option(parser)
        if self.max_age:
            shown = 'that of --policy' if self.takes_policy else '%(default)s'
            parser.add_argument(
                '--max-age-weeks',
                metavar='<weeks>',
                type=_weeks,
                default=None if self.takes_policy else MAX_AGE_WEEKS,
                help='Age from which a report counts as stale: '
                '[hvfilter] report_max_age_weeks of nova-scheduler '
                f'(default: {shown}; 0: never)',
            )
        return parser

    def policies(
        self, parsed_args: argparse.Namespace, *, warn: bool = True
    ) -> policies.Policies:
        """By which the command judges, and how old a report may be.

        :param warn: say where verdicts may differ from those of Nova; False
            where the command judges nothing now
        :raises Problem: a file or a value is not valid
        """
        return policies.load(
            parsed_args.policy,
            parsed_args.max_age_weeks,
            self.cloud.notes.append if warn else self.log.debug,
        )

    @abc.abstractmethod
    def execute(self, parsed_args: argparse.Namespace) -> Any:
        """What cliff's ``take_action`` returns for a command of this kind."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        """Called by cliff: add what the user should know of the output."""
        try:
            result = self.execute(parsed_args)
        except Problem as problem:
            raise exceptions.CommandError(str(problem)) from None
        for sentence in dict.fromkeys(self.cloud.notes):
            self.log.warning(sentence)
        return result


class Lister(Command, command.Lister):
    """A command that prints a table: column names and rows."""


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that :meth:`hvfilter.osc.fleet.Fleet.inside` takes."""
    parser.add_argument(
        '--aggregate',
        metavar='<aggregate>',
        help='Only hosts in this host aggregate (name or UUID)',
    )
    parser.add_argument(
        '--availability-zone',
        metavar='<zone>',
        help='Only hosts in this availability zone',
    )


def capability(text: str) -> str:
    """The key of a capability, as the type of an argument.

    ``-`` for ``_`` and capitals are accepted, and the trait's name.
    """
    key = text.strip().lower().replace('-', '_')
    key = key.removeprefix(catalogue.TRAIT_PREFIX.lower())
    if key in catalogue.BY_KEY:
        return key
    near = spelling.nearest(key, catalogue.BY_KEY)
    known = f'Known are: {", ".join(catalogue.BY_KEY)}.'
    hint = f'Did you mean {near!r}?' if near else known
    raise argparse.ArgumentTypeError(
        f'{text!r} is no capability that this release of hvfilter knows. '
        f'{hint}'
    )


def _weeks(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 3:
        raise argparse.ArgumentTypeError(f'{text!r} is no number of weeks')
    return int(text)
