# SPDX-License-Identifier: Apache-2.0
"""``hvfilter history``: what changed on this host, when and why."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hvfilter.cli import document_lister, exit_codes
from hvfilter.model import form
from hvfilter.model.plain import plain
from hvfilter.model.problem import Problem
from hvfilter.publish import state_directory
from hvfilter.report import history

_AGO = re.compile(r'(\d{1,6})([hdw])')
_HOURS = {'h': 1, 'd': 24, 'w': 7 * 24}


class ShowHistory(document_lister.DocumentLister):
    """Show what changed on this host, when and why.

    "hvfilter publish" remembers each change of the processor, kernel,
    microcode, firmware, kernel command line, module parameters and nova.conf,
    and what it did to capabilities: one line for each run that found a change.
    Needs no privileges beyond reading the state directory. The format json
    gives hvfilter/history/1, unless columns are chosen.
    """

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            '--since',
            metavar='<time>',
            type=since,
            help='Only changes since then: a date or time such as '
            '2026-11-26 or 2026-11-26T14:00 (UTC), or a duration such as '
            '36h, 7d or 4w',
        )
        parser.add_argument(
            '--limit',
            metavar='<number>',
            type=_number,
            help='Only the latest changes, at most so many',
        )
        parser.add_argument(
            '--directory',
            metavar='<directory>',
            type=Path,
            default=state_directory.default(),
            help='State directory of the agent (default: $STATE_DIRECTORY, '
            f'else {state_directory.DEFAULT})',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
        """See ``cliff.command.Command``."""
        directory = state_directory.StateDirectory(parsed_args.directory)
        whole = _with_recordings(_read(directory), directory.recordings())
        if whole.removed is not None:
            print(
                f'Removed to make room: {whole.removed}.', file=self.app.stderr
            )
        self._history = _chosen(whole, parsed_args.since, parsed_args.limit)
        if not self._history.entries:
            print(self._nothing(whole, directory), file=self.app.stderr)
        return history.COLUMNS, [
            tuple(map(plain, entry.cells)) for entry in self._history.entries
        ]

    @staticmethod
    def _nothing(
        whole: history.History, directory: state_directory.StateDirectory
    ) -> str:
        if whole.entries:
            return 'No remembered change matches --since and --limit.'
        return (
            f'No changes in {directory.file}: nothing changed since the '
            'first run of "hvfilter publish".'
        )

    def document(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """hvfilter/history/1"""
        return history.to_document(self._history)


def _read(directory: state_directory.StateDirectory) -> history.History:
    try:
        text = directory.read()
        found = None if text is None else history.loads(text)
    except (form.DocumentError, state_directory.NotHistory) as error:
        raise Problem(
            f'{directory.file} is not a history of a host: {error}',
            'The next "hvfilter publish" sets it aside and begins a new one.',
        ) from None
    if found is None:
        raise Problem(
            f'There is no history in {directory.path}',
            '"hvfilter publish" keeps one if that directory exists and its '
            'user may write there; systemd creates it for '
            'hvfilter-publish.service. Name another one with --directory.',
        )
    return found


def _with_recordings(
    whole: history.History, there: frozenset[str]
) -> history.History:
    """The same, naming only recordings that are still there."""
    entries = tuple(
        entry
        if entry.snapshot in there
        else dataclasses.replace(entry, snapshot='')
        for entry in whole.entries
    )
    return dataclasses.replace(whole, entries=entries)


def _chosen(
    whole: history.History, begin: str | None, limit: int | None
) -> history.History:
    entries = [e for e in whole.entries if begin is None or e.time >= begin]
    if limit is not None:
        entries = entries[max(0, len(entries) - limit) :]
    return dataclasses.replace(whole, entries=tuple(entries))


def since(text: str) -> str:
    """A time as entries have it, so that texts compare as times do."""
    ago = _AGO.fullmatch(text)
    try:
        if ago:
            hours = int(ago[1]) * _HOURS[ago[2]]
            now = datetime.datetime.now(datetime.timezone.utc)
            moment = now - datetime.timedelta(hours=hours)
        else:
            moment = datetime.datetime.fromisoformat(text.replace('Z', ''))
            if moment.tzinfo is not None:
                moment = moment.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a time such as 2026-11-26T14:00 nor a '
            'duration such as 36h, 7d or 4w'
        ) from None
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number')
    return int(text)
