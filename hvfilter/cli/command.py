# SPDX-License-Identifier: Apache-2.0
"""What the commands that look at a host have in common."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from hvfilter.cli import configuration, exit_codes
from hvfilter.host.door import Host
from hvfilter.model import form
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem


class HostCommand(configuration.ConfigCommand):
    """Mixed into a cliff command: options that choose the host."""

    error_status = exit_codes.UNUSABLE

    def get_epilog(self) -> str:
        """See ``cliff.command.Command``.

        Cliff names the package of each plug-in here, for which it reads the
        metadata of everything that is installed: more time than the probe
        takes.
        """
        return self._epilog or ''

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        add_host_arguments(parser)
        return parser


def add_host_arguments(parser: argparse.ArgumentParser) -> None:
    """How a host is chosen and looked at."""
    group = parser.add_argument_group('the host')
    group.add_argument(
        '--snapshot',
        metavar='<file>',
        help='Look at a recording that "hvfilter record" made, "-" for '
        'standard input, and not at this host',
    )
    group.add_argument(
        '--sysroot',
        metavar='<directory>',
        help='Look at a copy of a host: a directory laid out like its root '
        'file system, as far as it was copied (proc/cpuinfo, sys/...)',
    )
    group.add_argument(
        '--cpuid',
        metavar='<file>',
        help='Look at the text that "cpuid -r" printed, "-" for standard '
        'input; together with --sysroot or --snapshot it adds to those',
    )
    add_look_arguments(group)


def add_look_arguments(parser: argparse._ActionsContainer) -> None:
    """How any host is looked at."""
    parser.add_argument(
        '--no-smoke',
        action='store_true',
        help='Do not run the tiny guest that shows whether KVM works',
    )
    parser.add_argument(
        '--nova-release',
        metavar='<number>',
        type=_release,
        help='Major version of the Nova that runs on the host, such as 34; it '
        'decides which confidential guests can be started (default: '
        '[hvfilter] nova_release, else the installed package)',
    )


def _release(text: str) -> int:
    from hvfilter.probes import nova_release

    number = nova_release.number(text)
    if number is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no version of Nova, such as 34 or 34.0.0'
        )
    return number


def chosen_host(parsed_args: argparse.Namespace) -> Host:
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
        chosen.append(open_snapshot(parsed_args.snapshot))
    if parsed_args.sysroot is not None:
        chosen.append(open_sysroot(parsed_args.sysroot))
    if parsed_args.cpuid is not None:
        chosen.append(open_cpuid(parsed_args.cpuid))
    if not chosen:
        return live_host(parsed_args)
    if len(chosen) == 1:
        return configuration.with_named_files(
            chosen[0], configuration.named(parsed_args)
        )
    from hvfilter.host.combined import CombinedHost

    return configuration.with_named_files(
        CombinedHost(chosen), configuration.named(parsed_args)
    )


def live_host(parsed_args: argparse.Namespace) -> Host:
    """This very host."""
    from hvfilter.host.live import LiveHost

    return LiveHost(smoke=not parsed_args.no_smoke)


def chosen_report(parsed_args: argparse.Namespace) -> HostReport:
    """The report on the host that the options choose.

    What this host's configuration overrules is shown as overruled.
    """
    host = chosen_host(parsed_args)
    report = look_at(host, parsed_args)
    if host.origin != 'live':
        return report
    from hvfilter.cli import overruled

    return overruled.as_published(host, report, parsed_args)


def look_at(host: Host, parsed_args: argparse.Namespace) -> HostReport:
    """The report on a host, with the options for Nova's configuration."""
    from hvfilter.report.examine import examine

    return examine(
        host,
        configuration.named(parsed_args),
        nova_release=parsed_args.nova_release,
    )


def open_snapshot(path: str) -> Host:
    """A recorded host.

    :raises Problem: when the file is not there or is no snapshot
    """
    from hvfilter.host import snapshot
    from hvfilter.host.recorded import RecordedHost

    data = read_input(path)
    try:
        return RecordedHost(snapshot.loads(data), path)
    except form.FormError as error:
        raise Problem(
            f'{path} is not a snapshot: {error}',
            'Write one with "hvfilter record <file>".',
        ) from None


def open_sysroot(path: str) -> Host:
    """A host of which a directory is a copy.

    :raises Problem: when it is none
    """
    from hvfilter.host.sysroot import SysrootHost

    try:
        return SysrootHost(path)
    except (OSError, ValueError) as error:
        problem = getattr(error, 'strerror', None) or str(error)
        raise Problem(
            f'Cannot use {path!r} as --sysroot: {problem}',
            'Name a directory laid out like the root file system of a host.',
        ) from None


def open_cpuid(path: str) -> Host:
    """A host of which a text with CPUID leaves is known.

    :raises Problem: when there is none in it
    """
    from hvfilter.host import cpuid_dump

    text = cpuid_dump.text_of(read_input(path))
    try:
        return cpuid_dump.DumpHost(text, f'cpuid {path}')
    except cpuid_dump.NoDump as error:
        raise Problem(
            f'Cannot use {path} as --cpuid: {error}',
            'Write one with "cpuid -r > <file>".',
        ) from None


def read_input(path: str) -> bytes:
    """The bytes of an input file, or of standard input for "-".

    :raises Problem: when it cannot be read, or no document is that large
    """
    try:
        with _opened(path) as file:
            data = file.read(form.SIZE_LIMIT + 1)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise _unreadable(path, problem) from None
    except ValueError as error:
        raise _unreadable(repr(path), str(error)) from None
    if len(data) > form.SIZE_LIMIT:
        raise _unreadable(
            path,
            f'it is larger than {form.SIZE_LIMIT >> 20} MiB, and no hvfilter '
            'document is',
        )
    return data


def _unreadable(path: str, reason: str) -> Problem:
    return Problem(
        f'Cannot read {path}: {reason}',
        'Check that it is the right file and that this user may read it.',
    )


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """An input that does not block for ever: a pipe must have a writer."""
    if path == '-':
        yield sys.stdin.buffer
        return
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    with open(descriptor, 'rb') as file:
        kind = os.fstat(descriptor).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise OSError(errno.EINVAL, 'it is a device')
        os.set_blocking(descriptor, True)
        yield file


def colours_wanted(stream: TextIO) -> bool:
    """Whether a person looks at the stream and minds no colours.

    https://no-color.org: any non-empty NO_COLOR means none.
    """
    if os.environ.get('NO_COLOR') or os.environ.get('TERM') == 'dumb':
        return False
    return stream.isatty()
