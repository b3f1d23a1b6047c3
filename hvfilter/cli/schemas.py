# SPDX-License-Identifier: Apache-2.0
"""``hvfilter schemas``: the JSON Schemas of what the commands write."""

from __future__ import annotations

import argparse
import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence

from cliff.lister import Lister

from hvfilter.cli import exit_codes
from hvfilter.host import snapshot
from hvfilter.model import form
from hvfilter.model.problem import Problem

PACKAGES = ('hvfilter.model', 'hvfilter.publish', 'hvfilter.report')
"""Each has its schemas in a folder of that name."""


class Schemas(Lister):
    """List the JSON Schemas of what commands write, or print one of them.

    Every document names its schema in the member "schema". Within the number
    at its end no member is added, removed or given another meaning.
    """

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            'name',
            metavar='<name>',
            nargs='?',
            help='Print this schema, such as hvfilter/report/1',
        )
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``: a named schema is printed as it is.

        :raises Problem: there is none of that name
        """
        if parsed_args.name is None:
            status: int = super().run(parsed_args)
            return status
        texts = all_schemas()
        if parsed_args.name not in texts:
            raise Problem(
                f'There is no schema "{parsed_args.name}"',
                f'Use one of: {", ".join(texts)}.',
            )
        self.app.stdout.write(texts[parsed_args.name])
        return 0

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
        """See ``cliff.command.Command``."""
        rows = [
            (name, json.loads(text)['description'])
            for name, text in all_schemas().items()
        ]
        return ('Name', 'Description'), rows


def all_schemas() -> Mapping[str, str]:
    """The text of each schema by its name, sorted."""
    texts = {snapshot.SCHEMA: form.dumps(snapshot.schema())}
    for package in PACKAGES:
        folder = importlib.resources.files(package).joinpath('schemas')
        for file in folder.iterdir():
            if file.name.endswith('.json'):
                text = file.read_text('utf-8')
                texts[json.loads(text)['title']] = text
    return dict(sorted(texts.items()))
