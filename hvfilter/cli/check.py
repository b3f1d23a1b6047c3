# SPDX-License-Identifier: Apache-2.0
"""``hvfilter check``: can this host do all that is asked? For scripts."""

from __future__ import annotations

import argparse

from cliff.command import Command

from hvfilter.cli import command
from hvfilter.model.catalogue import BY_KEY
from hvfilter.model.finding import Finding, State
from hvfilter.model.plain import plain
from hvfilter.model.policy import Policy

ABLE = 0
UNABLE = 1
NOT_FOUND_OUT = command.TROUBLE


class Check(command.HostCommand, Command):
    """Tell by the exit status whether a host can do all that is asked.

    0: it can. 1: it cannot. 2: it could not be found out. Each capability
    that fails gets one line: why, and what to do about it.
    """

    error_status = command.TROUBLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--require',
            metavar='<capability>[,...]',
            action='append',
            help='Capabilities that the host must have; may be repeated '
            f'(default: {",".join(Policy().required)})',
        )
        parser.add_argument(
            '--forbid',
            metavar='<capability>[,...]',
            action='append',
            help='Capabilities that the host must not have; may be repeated',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``."""
        forbidden = keys(parsed_args.forbid or ())
        required = keys(parsed_args.require or ())
        if not required and not forbidden:
            required = Policy().required
        report = command.chosen_report(parsed_args)
        status = ABLE
        for wanted, names in (
            (State.PRESENT, required),
            (State.ABSENT, forbidden),
        ):
            for key in names:
                finding = report[key]
                if finding.state is wanted:
                    continue
                print(told(finding, wanted), file=self.app.stdout)
                if finding.state is not State.UNKNOWN:
                    status = UNABLE
                elif status is ABLE:
                    status = NOT_FOUND_OUT
        return status


def keys(words: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Capability keys out of comma-separated lists.

    :raises Trouble: when there is no such capability
    """
    names = [name.strip() for word in words for name in word.split(',')]
    for name in names:
        if name not in BY_KEY:
            raise command.Trouble(
                f'There is no capability "{name}"; there are: '
                f'{", ".join(BY_KEY)}'
            )
    return tuple(dict.fromkeys(names))


def told(finding: Finding, wanted: State) -> str:
    """One line on a capability that is not as wanted."""
    where = finding.deciding.stage.value
    state = finding.state.value
    if finding.state is not State.PRESENT:
        state = f'{state} at stage {where}'
    line = f'{finding.capability}: {state}: {finding.reason}'
    if wanted is State.PRESENT and finding.remedy:
        line += f'; to mend it: {finding.remedy}'
    return plain(line)
