# SPDX-License-Identifier: Apache-2.0
"""The base of the commands that probe a host: its options and its report."""

from __future__ import annotations

import argparse
import os
from typing import TextIO

from hvfilter.cli import configuration, exit_codes, inputs
from hvfilter.host.base import Host
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem


class HostCommand(configuration.ConfigCommand):
    """Mixed into a cliff command: options that choose the host."""

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        add_host_arguments(parser)
        return parser


def add_host_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that choose the host and how it is probed."""
    group = parser.add_argument_group('the host')
    group.add_argument(
        '--snapshot',
        metavar='<file>',
        help='Probe a recording that "hvfilter record" wrote ("-" for '
        'standard input) instead of this host',
    )
    group.add_argument(
        '--sysroot',
        metavar='<directory>',
        help='Probe a copy of a host: a directory laid out like its root file '
        'system, as far as it was copied (proc/cpuinfo, sys/...)',
    )
    group.add_argument(
        '--cpuid',
        metavar='<file>',
        help='Probe the output of "cpuid -r" ("-" for standard input); '
        'with --sysroot or --snapshot it is added to those',
    )
    add_probe_arguments(group)


def add_probe_arguments(parser: argparse._ActionsContainer) -> None:
    """Options of how any host is probed."""
    parser.add_argument(
        '--no-smoke',
        action='store_true',
        help='Do not run the small guest that shows whether KVM works',
    )
    parser.add_argument(
        '--nova-release',
        metavar='<number>',
        type=_release,
        help='Major version of Nova on the host, such as 34; it decides which '
        'confidential guests can be started (default: '
        '[hvfilter] nova_release, else the installed package)',
    )


def _release(text: str) -> int:
    from hvfilter.probes import nova_release

    number = nova_release.number(text)
    if number is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a Nova version, such as 34 or 34.0.0'
        )
    return number


def host_from_args(parsed_args: argparse.Namespace) -> Host:
    """The host that the options choose.

    :raises Problem: when a recording cannot be used
    """
    chosen: list[Host] = []
    if parsed_args.snapshot is not None and parsed_args.sysroot is not None:
        raise Problem(
            '--snapshot and --sysroot exclude each other',
            'Use one of them.',
        )
    if parsed_args.snapshot is not None:
        chosen.append(inputs.open_snapshot(parsed_args.snapshot))
    if parsed_args.sysroot is not None:
        chosen.append(inputs.open_sysroot(parsed_args.sysroot))
    if parsed_args.cpuid is not None:
        chosen.append(inputs.open_cpuid(parsed_args.cpuid))
    if not chosen:
        return live_host(parsed_args)
    if len(chosen) == 1:
        return configuration.with_named_files(
            chosen[0], configuration.named_paths(parsed_args)
        )
    from hvfilter.host.layered import LayeredHost

    return configuration.with_named_files(
        LayeredHost(chosen), configuration.named_paths(parsed_args)
    )


def live_host(parsed_args: argparse.Namespace) -> Host:
    """This host."""
    from hvfilter.host.live import LiveHost

    return LiveHost(smoke=not parsed_args.no_smoke)


def report_from_args(parsed_args: argparse.Namespace) -> HostReport:
    """The report on the host that the options choose.

    The overrides of this host's configuration are applied.
    """
    host = host_from_args(parsed_args)
    report = report_on(host, parsed_args)
    if host.origin != 'live':
        return report
    from hvfilter.cli import overrides

    return overrides.as_published(host, report, parsed_args)


def report_on(host: Host, parsed_args: argparse.Namespace) -> HostReport:
    """The report on a host, with the options for Nova's configuration."""
    from hvfilter.probes.host_report import probe_host

    return probe_host(
        host,
        configuration.named_paths(parsed_args),
        nova_release=parsed_args.nova_release,
    )


def colours_wanted(stream: TextIO) -> bool:
    """Whether the stream is a terminal whose user accepts colours.

    https://no-color.org: any non-empty NO_COLOR means none.
    """
    if os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb':
        return False
    return stream.isatty()
