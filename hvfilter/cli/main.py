# SPDX-License-Identifier: Apache-2.0
"""The ``hvfilter`` command."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from cliff.app import App
from cliff.commandmanager import CommandManager

from hvfilter import plugins, version
from hvfilter.cli import exit_codes, streams
from hvfilter.model.problem import Problem

if TYPE_CHECKING:
    from cliff.command import Command

NAMESPACE = 'hvfilter.cli'
"""Entry points of this group are the commands; packages may add some."""


LOG = logging.getLogger(__name__)


class LazyCommands(CommandManager):
    """Finds every command's entry point, and loads only the one to be run.

    Cliff's own manager loads them all, which takes longer than a probe.
    """

    def load_commands(self, namespace: str) -> None:
        """See ``CommandManager``. The first of two namesakes is used."""
        self.group_list.append(namespace)
        points, problems = plugins.entry_points(namespace)
        for name, point in points.items():
            self.commands.setdefault(name.replace('_', ' '), point)
        for problem in problems.values():
            LOG.warning('%s The first is used.', problem)


class Hvfilter(App):
    """The application: global options, commands by entry point."""

    NAME = 'hvfilter'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            description='Detect, publish and inspect the virtualization '
            'capabilities of compute hosts.',
            version=version.version_string(),
            command_manager=LazyCommands(NAMESPACE),
            deferred_help=True,
            **kwargs,
        )
        self._error_status: int | None = None

    def configure_logging(self) -> None:
        """See ``cliff.app.App``; no tracebacks unless --debug."""
        super().configure_logging()
        root = logging.getLogger()
        for handler in root.handlers:
            to_file = isinstance(handler, logging.FileHandler)
            handler.setFormatter(
                streams.PlainFormatter(
                    self.LOG_FILE_MESSAGE_FORMAT
                    if to_file
                    else self.CONSOLE_MESSAGE_FORMAT,
                    tracebacks=to_file or self.options.debug,
                )
            )
        # Records that no handler prints need not be formatted.
        root.setLevel(min(handler.level for handler in root.handlers))

    def interact(self) -> None:
        """There is no interactive mode: without a command, show help."""
        self.run_subcommand(['help'])

    def clean_up(
        self, cmd: Command, result: int, err: BaseException | None
    ) -> None:
        """See ``cliff.app.App``: remember how to exit after an error."""
        if err is not None:
            self._error_status = getattr(cmd, 'error_status', None)
            if isinstance(err, Problem) and err.transient:
                self._error_status = exit_codes.TRY_AGAIN

    def run_subcommand(self, argv: list[str]) -> int:
        """See ``cliff.app.App``; the command chooses its error status."""
        self._error_status = None
        try:
            result = super().run_subcommand(argv)
        except SystemExit as end:
            if end.code != exit_codes.UNUSABLE:
                raise
            raise SystemExit(self._usage_status(argv)) from None
        return result if self._error_status is None else self._error_status

    def _usage_status(self, argv: list[str]) -> int:
        """A command may choose the status for wrong usage too."""
        command, _, arguments = self.command_manager.find_command(argv)
        chosen = getattr(command, 'usage_status', None)
        return (
            exit_codes.UNUSABLE if chosen is None else int(chosen(arguments))
        )


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    :returns: the exit status; 2 when a command is used wrongly
    """
    given = sys.argv[1:] if argv is None else argv
    out, err = sys.stdout, sys.stderr
    try:
        with (
            contextlib.redirect_stdout(streams.plain_stream(out)),
            contextlib.redirect_stderr(streams.plain_stream(err)),
        ):
            status = Hvfilter().run(given or ['help'])
        out.flush()
    except BrokenPipeError:
        # The reader closed the pipe; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 128 + 13
    return status


if __name__ == '__main__':
    sys.exit(main())
