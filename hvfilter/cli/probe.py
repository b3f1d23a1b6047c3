# SPDX-License-Identifier: Apache-2.0
"""``hvfilter probe``: the capabilities of a host, with reasons."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from cliff.columns import FormattableColumn
from cliff.lister import Lister

from hvfilter.cli import exit_codes, host_command, streams
from hvfilter.model import document, form
from hvfilter.model.finding import HostReport, State
from hvfilter.model.plain import plain
from hvfilter.report import table, verdict

DOCUMENT_FORMATS = ('json', 'yaml')

_COLOURS = {'present': 32, 'absent': 31, 'unknown': 33}


if TYPE_CHECKING:
    Column = FormattableColumn[str]
else:
    Column = FormattableColumn  # not generic in older releases


class ColouredState(Column):
    """A state, in colour on a terminal."""

    def human_readable(self) -> str:
        """For the table."""
        return f'\033[{_COLOURS[self._value]}m{self._value}\033[0m'

    def machine_readable(self) -> str:
        """For all other formats."""
        return self._value


class Probe(host_command.HostCommand, Lister):
    """Show the capabilities a host offers to KVM guests, with reasons.

    First the verdict on the host, then its capabilities; those that are
    missing for the same cause share an entry with the reason and the remedy.
    Nothing on the host is changed. The formats json and yaml give the whole
    report, hvfilter/report/1, with all evidence, unless columns are chosen;
    csv and value give one row for each capability.
    """

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            '--long',
            action='store_true',
            help='Show a table with one row for each capability, those of '
            'other processors too, and the state of each stage',
        )
        group.add_argument(
            '--evidence',
            action='store_true',
            help='Show all observations, one row each',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """See ``cliff.command.Command``."""
        self._report = host_command.report_from_args(parsed_args)
        columns, rows = _table(self._report, parsed_args)
        coloured = parsed_args.formatter == 'table' and (
            host_command.colours_wanted(self.app.stdout)
        )
        if coloured:
            # Every other cell is escaped below.
            streams.keep_colours(self.app.stdout)
        return columns, (_cells(row, coloured) for row in rows)

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """See ``cliff.lister.Lister``: json and yaml get the whole report,
        and a person the verdict first."""
        if parsed_args.formatter in DOCUMENT_FORMATS and not (
            parsed_args.columns
        ):
            written = _document(self._report, parsed_args)
            self.app.stdout.write(written)
            return 0
        if _for_a_person(parsed_args):
            self._write_verdict(parsed_args)
            return 0
        return super().produce_output(parsed_args, column_names, data)

    def _write_verdict(self, parsed_args: argparse.Namespace) -> None:
        out = self.app.stdout
        coloured = host_command.colours_wanted(out)
        if coloured:
            streams.keep_colours(out)
        width = parsed_args.max_width or _terminal_width(out)
        for line in verdict.lines(self._report, width):
            word, blank, rest = line.partition(' ')
            if coloured and word in _COLOURS:
                word = f'\033[{_COLOURS[word]}m{word}\033[0m'
            out.write(f'{word}{blank}{rest}\n')


def _for_a_person(parsed_args: argparse.Namespace) -> bool:
    """Neither a form, nor rows, nor columns are asked for."""
    return parsed_args.formatter == 'table' and not (
        parsed_args.columns
        or parsed_args.sort_columns
        or parsed_args.long
        or parsed_args.evidence
    )


def _terminal_width(out: TextIO) -> int:
    """That of the terminal; where there is none, what fits into a letter."""
    if not out.isatty():
        return verdict.WIDTH
    return shutil.get_terminal_size((verdict.WIDTH, 0)).columns


def _table(
    report: HostReport, parsed_args: argparse.Namespace
) -> tuple[tuple[str, ...], Iterator[table.Row]]:
    if parsed_args.evidence:
        return table.EVIDENCE_COLUMNS, table.evidence_rows(report)
    if parsed_args.long:
        return table.LONG_COLUMNS, table.long_rows(report)
    return table.COLUMNS, table.rows(report)


def _cells(row: table.Row, coloured: bool) -> tuple[Any, ...]:
    return tuple(_cell(cell, coloured) for cell in row)


def _cell(cell: str | State, coloured: bool) -> str | ColouredState:
    if not isinstance(cell, State):
        return plain(cell)
    return ColouredState(cell.value) if coloured else cell.value


def _document(report: HostReport, parsed_args: argparse.Namespace) -> str:
    if parsed_args.formatter == 'json' and parsed_args.noindent:
        import json

        return json.dumps(document.to_document(report)) + '\n'
    if parsed_args.formatter == 'json':
        return form.dumps(document.to_document(report))
    import yaml

    # What is not ASCII is escaped, as in JSON: YAML calls characters
    # printable that change what a reader sees.
    written: str = yaml.safe_dump(
        document.to_document(report), sort_keys=False
    )
    return written
