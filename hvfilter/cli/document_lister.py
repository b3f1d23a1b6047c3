# SPDX-License-Identifier: Apache-2.0
"""The base of commands that print a table, and a document as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cliff.lister import Lister

from hvfilter.model import form


class DocumentLister(Lister):
    """Mixed into a command whose ``-f json`` is more than its rows."""

    def document(
        self, parsed_args: argparse.Namespace
    ) -> Mapping[str, Any] | None:
        """What json gets unless columns are chosen; None for the rows.

        Called after ``take_action``.
        """
        return None

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Sequence[str],
        data: Iterable[Sequence[Any]],
    ) -> int:
        """See ``cliff.lister.Lister``."""
        if parsed_args.formatter == 'json' and not parsed_args.columns:
            whole = self.document(parsed_args)
            if whole is not None:
                self.app.stdout.write(form.dumps(whole))
                return 0
        status: int = super().produce_output(parsed_args, column_names, data)
        return status
