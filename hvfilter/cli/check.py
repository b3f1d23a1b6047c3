# SPDX-License-Identifier: Apache-2.0
"""``hvfilter check``: exit status by capability, for scripts and units."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliff.command import Command

from hvfilter.cli import exit_codes, host_command
from hvfilter.model import form
from hvfilter.model.catalogue import BY_KEY
from hvfilter.model.finding import Finding, State
from hvfilter.model.plain import plain
from hvfilter.model.policy import Policy
from hvfilter.model.problem import Problem
from hvfilter.report import check_document

ABLE = 0
UNABLE = 1
NOT_FOUND_OUT = 2
FAIL_UNIT = 255
"""The only status with which ExecCondition= fails a unit; with any other but
0, systemd skips the unit."""

CONDITION = '--condition'

_STATUS = {True: ABLE, False: UNABLE, None: NOT_FOUND_OUT}


class Check(host_command.HostCommand, Command):
    """Exit status 0 if a host has all required capabilities.

    1: it lacks one. 2: the state of one is not known. 64: wrong usage or
    unusable input. For each capability that fails, one line gives the reason
    and the remedy.
    """

    error_status = exit_codes.WRONG_USAGE

    @staticmethod
    def usage_status(argv: Sequence[str]) -> int:
        """The exit status where these arguments cannot be parsed."""
        return FAIL_UNIT if CONDITION in argv else exit_codes.WRONG_USAGE

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
        parser.add_argument(
            CONDITION,
            action='store_true',
            help='For ExecCondition= of a systemd unit: exit with 255, which '
            'fails the unit, if the state of a capability is not known',
        )
        parser.add_argument(
            '-f',
            '--format',
            choices=('text', 'json'),
            default='text',
            help='text: one line for each capability that fails; json: all '
            'of them, as a document hvfilter/check/1 (default: %(default)s)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``."""
        if parsed_args.condition:
            self.error_status = FAIL_UNIT
        forbidden = parse_keys(parsed_args.forbid or ())
        required = parse_keys(parsed_args.require or ())
        if not required and not forbidden:
            required = Policy().required
        report = host_command.report_from_args(parsed_args)
        checks = [
            check_document.Check(report[key], wanted)
            for wanted, names in (
                (State.PRESENT, required),
                (State.ABSENT, forbidden),
            )
            for key in names
        ]
        if parsed_args.format == 'json':
            whole = check_document.to_document(report.origin, checks)
            self.app.stdout.write(form.dumps(whole))
        else:
            for check in checks:
                if not check.met:
                    line = format_finding(check.finding, check.wanted)
                    print(line, file=self.app.stdout)
        status = _STATUS[check_document.result(checks)]
        if status is NOT_FOUND_OUT and parsed_args.condition:
            return FAIL_UNIT
        return status


def parse_keys(lists: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Capability keys out of comma-separated lists.

    :raises Problem: there is no such capability
    """
    names = [name.strip() for text in lists for name in text.split(',')]
    for name in names:
        if name not in BY_KEY:
            raise Problem(
                f'Unknown capability: "{name}"',
                f'Use one of: {", ".join(BY_KEY)}.',
            )
    return tuple(dict.fromkeys(names))


def format_finding(finding: Finding, wanted: State) -> str:
    """One line about a capability that is not in the required state."""
    where = finding.deciding.stage.value
    state = finding.state.value
    if finding.state is not State.PRESENT:
        state = f'{state} at stage {where}'
    line = f'{finding.capability}: {state}: {finding.reason}'
    if wanted is State.PRESENT and finding.remedy:
        line += f'; to fix this: {finding.remedy}'
    return plain(line)
