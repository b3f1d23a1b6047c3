# SPDX-License-Identifier: Apache-2.0
"""The base of the commands that change Placement, and their configuration."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from oslo_config import cfg

from hvfilter.cli import configuration as config_files
from hvfilter.cli import document_lister, exit_codes
from hvfilter.conf import agent
from hvfilter.host.live import LiveHost
from hvfilter.model.plain import plain
from hvfilter.publish import base, outcome_document


class PlacementCommand(
    config_files.ConfigCommand, document_lister.DocumentLister
):
    """A command that changes Placement and lists the changes."""

    error_status = exit_codes.FAILED

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Show what would be changed, and change nothing',
        )
        return parser

    def say(self, text: str) -> None:
        """Print one line to standard error."""
        print(plain(text), file=self.app.stderr)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``: the status is that of the command."""
        self.status = 0
        super().run(parsed_args)
        return self.status


class PublisherCommand(PlacementCommand):
    """A command that runs publishers and lists their changes."""

    _outcomes: Sequence[base.Outcome] | None = None
    _dry_run = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--to',
            metavar='<publisher>',
            action='append',
            help='Publisher to run; may be repeated (default: [hvfilter] '
            'publishers)',
        )
        parser.add_argument(
            '--provider-uuid',
            metavar='<uuid>',
            help="Uuid of this host's resource provider (default: that in "
            "nova-compute's compute_id file)",
        )
        parser.add_argument(
            '--provider-name',
            metavar='<name>',
            help="Name of this host's resource provider (default: this "
            "host's name, as libvirt reports it)",
        )
        parser.add_argument(
            '--wait',
            metavar='<seconds>',
            type=seconds,
            help='How long to retry while Placement is unreachable or busy, '
            'or the resource provider does not exist yet; 0 tries once '
            '(default: [hvfilter] publish_deadline_s)',
        )
        return parser

    def list_outcomes(
        self, outcomes: Sequence[base.Outcome], *, dry_run: bool
    ) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
        """The listing of the changes; notes go to standard error."""
        self._outcomes, self._dry_run = outcomes, dry_run
        for outcome in outcomes:
            for line in format_outcome(outcome, dry_run=dry_run):
                self.say(line)
        columns = ('Publisher', 'Trait', 'Change')
        return columns, change_rows(outcomes)

    def document(
        self, parsed_args: argparse.Namespace
    ) -> dict[str, Any] | None:
        """hvfilter/publish/1, where publishers ran."""
        if self._outcomes is None:
            return None
        return outcome_document.to_document(
            self._outcomes, dry_run=self._dry_run, status=self.status
        )


def seconds(text: str) -> float:
    """A finite number of seconds, for argparse."""
    value: float = agent.Seconds(min=0)(text) or 0.0
    return value


def load_config(parsed_args: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration in the files.

    :raises hvfilter.model.problem.Problem: a file is not usable.
    """
    located = config_files.find_files(parsed_args, LiveHost(smoke=False))
    return agent.load(located.files, located.directories)


def config_from_args(parsed_args: argparse.Namespace) -> cfg.ConfigOpts:
    """The configuration in the files, overridden by the command line.

    :raises hvfilter.model.problem.Problem: a file is not usable.
    """
    conf = load_config(parsed_args)
    for option, value in (
        ('provider_uuid', parsed_args.provider_uuid),
        ('provider_name', parsed_args.provider_name),
        ('publish_deadline_s', parsed_args.wait),
        ('publishers', parsed_args.to),
    ):
        if value is not None:
            conf.set_override(option, value, agent.GROUP.name)
    if parsed_args.provider_name and not parsed_args.provider_uuid:
        # A name on the command line takes precedence over a uuid in a file.
        conf.set_override('provider_uuid', None, agent.GROUP.name)
    return conf


def exit_status(outcomes: Sequence[base.Outcome]) -> int:
    """The exit status that follows from the results of the publishers.

    TRY_AGAIN, too, where traits are published that are not certain or that
    come back: the next run may settle it, and a monitor sees it.
    """
    problems = [each.problem for each in outcomes if each.problem]
    if not all(problem.transient for problem in problems):
        return exit_codes.FAILED
    settled = all(outcome.settled for outcome in outcomes)
    return 0 if settled else exit_codes.TRY_AGAIN


def change_rows(outcomes: Sequence[base.Outcome]) -> Iterator[tuple[str, ...]]:
    """One row for each hvfilter trait, changes first."""
    for outcome in outcomes:
        if outcome.problem:
            yield (outcome.publisher, '', 'failed')
        for names, change in (
            (outcome.added, 'added'),
            (outcome.removed, 'removed'),
            (outcome.kept, 'kept'),
        ):
            for name in sorted(names):
                yield (outcome.publisher, name, change)


def format_outcome(outcome: base.Outcome, *, dry_run: bool) -> Iterator[str]:
    """The result of one publisher as lines of text."""
    if outcome.problem:
        yield f'{outcome.publisher}: {outcome.problem}'
        return
    done = 'would be changed' if dry_run else 'changed'
    state = done if outcome.changed else 'nothing to change'
    yield f'{outcome.publisher}: {outcome.target}: {state}{_summary(outcome)}'
    for note in outcome.notes:
        yield f'{outcome.publisher}: {note}'
    if dry_run and outcome.changed and outcome.content:
        yield from outcome.content.rstrip().split('\n')


def _summary(outcome: base.Outcome) -> str:
    parts = []
    # By name: the journal has no table.
    for names, label in (
        (outcome.added, 'added'),
        (outcome.removed, 'removed'),
    ):
        if names:
            parts.append(f'{label} {", ".join(sorted(names))}')
    for number, label in (
        (outcome.requests, 'requests'),
        (outcome.conflicts, 'conflicts'),
    ):
        if number:
            parts.append(f'{number} {label}')
    return f' ({"; ".join(parts)})' if parts else ''
