# SPDX-License-Identifier: Apache-2.0
"""``hvfilter record``: write a snapshot of a host to a file."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cliff.command import Command

from hvfilter import version
from hvfilter.cli import exit_codes, host_command
from hvfilter.host import own_names, record_extras, snapshot
from hvfilter.host.base import Host
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance, Snapshot
from hvfilter.model.finding import HostReport
from hvfilter.model.plain import plain
from hvfilter.probes import nova_release
from hvfilter.publish import output_file

_FORBIDDEN = ('EACCES', 'EPERM')


class Record(host_command.HostCommand, Command):
    """Record a host as a snapshot that can be probed anywhere.

    Serial numbers, unique identifiers, MAC addresses and this host's names
    are redacted, so that the file can be attached to a bug report. It is one
    JSON file: read it before you send it.
    """

    error_status = exit_codes.UNUSABLE

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'file',
            metavar='<file>',
            help='Where to write the snapshot; "-" for standard output',
        )
        parser.add_argument(
            '--note',
            metavar='<text>',
            default='',
            help='A comment about this host that the snapshot keeps',
        )
        parser.add_argument(
            '--keep-names',
            action='store_true',
            help='Do not redact: record serial numbers, addresses and host '
            'names as they are',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """See ``cliff.command.Command``."""
        host = host_command.host_from_args(parsed_args)
        redaction = (
            None
            if parsed_args.keep_names
            else Redaction(names_to_redact(host))
        )
        recording = RecordingHost(host, redaction)
        report = host_command.report_on(recording, parsed_args)
        if parsed_args.nova_release is not None:
            # The recording must give the same result.
            recording.state_versions(
                nova_release.PACKAGE, (str(parsed_args.nova_release),)
            )
        record_extras.ask(recording)
        origin = Provenance(
            Making.RECORDED,
            by=f'hvfilter {version.version_string()}',
            where=_where(host) if parsed_args.keep_names else '',
            note=parsed_args.note,
        )
        recorded = recording.snapshot(origin)
        text = snapshot.dumps(recorded)
        if parsed_args.file == '-':
            self.app.stdout.write(text)
            return 0
        output_file.write(Path(parsed_args.file), text)
        for line in self._advice(parsed_args.file, recorded):
            print(plain(line), file=self.app.stderr)
        copy = host_command.report_on(RecordedHost(recorded), parsed_args)
        changed = _changed(report, copy)
        if changed:
            print(
                f'The recording gives other states than the host for '
                f'{", ".join(changed)}: a redacted item matters. Report this '
                'as a bug in hvfilter, or use --keep-names.',
                file=self.app.stderr,
            )
        return 0

    @staticmethod
    def _advice(path: str, recorded: Snapshot) -> Iterator[str]:
        machine = recorded.machine
        yield (
            f'Recorded {machine.arch} Linux {machine.kernel} in {path}. Read '
            'the file before you send it to others.'
        )
        refused = [r for r in recorded.refusals if r.error in _FORBIDDEN]
        if refused:
            yield (
                f'Permission was denied for {len(refused)} items; run as '
                'root for a complete recording.'
            )
        yield (
            'To report a wrong result, attach the file to an issue and name '
            'the wrong capability and how you know: see "Sending a host" in '
            'the documentation.'
        )


def _changed(before: HostReport, after: HostReport) -> list[str]:
    """The capabilities whose states the two reports differ in."""
    return [
        one.capability
        for one, other in zip(before.findings, after.findings, strict=True)
        if (one.state, one.deciding.stage)
        != (other.state, other.deciding.stage)
    ]


def names_to_redact(host: Host) -> tuple[str, ...]:
    """The names of the recorded host, to be redacted."""
    known = own_names.names(host)
    return (*known, *live_names()) if host.origin == 'live' else known


def _where(host: Host) -> str:
    """The name of the recorded host, as far as it is known."""
    if host.origin == 'live':
        return socket.gethostname()
    return next(iter(own_names.names(host)), '')


def live_names() -> tuple[str, ...]:
    """The names of this host, to be redacted."""
    names = [socket.gethostname(), os.uname().nodename]
    short = [name.partition('.')[0] for name in names]
    unlike = {'localhost', 'localdomain', ''}
    return tuple(dict.fromkeys(n for n in names + short if n not in unlike))
