# SPDX-License-Identifier: Apache-2.0
"""``hvfilter diff``: differences of two hosts that matter to guests."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from hvfilter.cli import (
    configuration,
    document_lister,
    exit_codes,
    host_command,
    inputs,
)
from hvfilter.host.base import Denied, Host
from hvfilter.report import difference, difference_document
from hvfilter.rules import nested_set

LIVE = 'live'

SAME = 0
DIFFERENT = 1


class Diff(host_command.HostCommand, document_lister.DocumentLister):
    """Compare two hosts, or two recordings of hosts.

    Shows the capabilities that differ and the virtualization features that
    guests get: a guest that uses nested virtualization can only migrate to a
    host that offers all that it has. Where these features differ, the line
    "nested features" names the direction in which such guests can migrate.
    Exit status: 0 if nothing differs, 1 if something differs, 2 if the hosts
    could not be compared. The format json gives hvfilter/diff/1, unless
    columns are chosen.
    """

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super(configuration.ConfigCommand, self).get_parser(prog_name)
        parser.add_argument(
            'first',
            metavar='<first>',
            help='A recording that "hvfilter record" made, "-" for standard '
            f'input, or "{LIVE}" for this host',
        )
        parser.add_argument(
            'second',
            metavar='<second>',
            nargs='?',
            default=LIVE,
            help='The same of the other host (default: this host)',
        )
        host_command.add_probe_arguments(parser)
        configuration.add_arguments(parser)
        parser.add_argument(
            '--all',
            action='store_true',
            help='Also show what does not differ',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
        """See ``cliff.command.Command``."""
        first, second = (
            _facts(_host(name, parsed_args), parsed_args)
            for name in (parsed_args.first, parsed_args.second)
        )
        self._hosts = first, second
        lines = list(difference.compare(first, second))
        if any(line.differs for line in lines):
            self._status = DIFFERENT
        return difference.COLUMNS, [
            line.cells for line in lines if line.differs or parsed_args.all
        ]

    def document(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """hvfilter/diff/1"""
        return difference_document.to_document(
            *self._hosts, everything=parsed_args.all
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``."""
        self._status = SAME
        return super().run(parsed_args) or self._status


def _host(name: str, parsed_args: argparse.Namespace) -> Host:
    if name != LIVE:
        return configuration.with_named_files(
            inputs.open_snapshot(name), configuration.named_paths(parsed_args)
        )
    return host_command.live_host(parsed_args)


def _facts(host: Host, parsed_args: argparse.Namespace) -> difference.Facts:
    report = host_command.report_on(host, parsed_args)
    return difference.Facts(report, *nested_features(host))


def nested_features(
    host: Host,
) -> tuple[nested_set.NestedSet | None, str]:
    """The VMX or SVM features that guests get, or why they are not known."""
    try:
        features = nested_set.vmx(host.kvm_feature_msrs())
        if features is None:
            for entry in host.kvm_supported_cpuid():
                if entry.leaf == 0x8000000A:
                    regs = entry.regs
                    features = nested_set.svm(regs.eax, regs.edx)
    except Denied as denied:
        return None, f'unknown: {denied}'
    return features, 'none'
