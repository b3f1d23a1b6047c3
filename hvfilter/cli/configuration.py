# SPDX-License-Identifier: Apache-2.0
"""The configuration files that all commands read.

nova-compute's own, found as the probes find them, then hvfilter's. Imports
neither oslo.config nor keystoneauth1: probing needs none.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hvfilter.host.base import Denied, Host
from hvfilter.host.live import LiveHost
from hvfilter.probes import nova_files, nova_options, nova_release
from hvfilter.probes.context import ProbeContext

if TYPE_CHECKING:
    from cliff.command import Command

    Base = Command
else:
    Base = object

OWN_FILE = '/etc/hvfilter/hvfilter.conf'
OWN_DIRECTORY = '/etc/hvfilter/hvfilter.conf.d'


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Options that name files; all are in ``config_paths``, in order."""
    for options, metavar, text in (
        (
            ('--config-file',),
            '<file>',
            'nova-compute configuration file; may be repeated, later files '
            'override earlier ones (default: the standard locations of '
            f'nova-compute, then {OWN_FILE})',
        ),
        (
            ('--config-dir',),
            '<directory>',
            'Directory whose files with names in .conf are read after the '
            'files; may be repeated',
        ),
        (('--nova-conf',), '<path>', argparse.SUPPRESS),
    ):
        parser.add_argument(
            *options,
            metavar=metavar,
            dest='config_paths',
            action='append',
            help=text,
        )


class ConfigCommand(Base):
    """Mixed into a cliff command: options that name configuration files."""

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
        add_arguments(parser)
        return parser


@dataclasses.dataclass(frozen=True)
class ConfigFiles:
    """Files and directories, each in the order of reading."""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


def named_paths(parsed_args: argparse.Namespace) -> tuple[str, ...] | None:
    """The paths that the command line names; None for the usual ones."""
    paths = parsed_args.config_paths
    return tuple(paths) if paths else None


def find_files(parsed_args: argparse.Namespace, host: Host) -> ConfigFiles:
    """The existing files of a host, readable or not.

    Of several configurations of nova-compute the first is used; the report
    notes that they differ.
    """
    look = ProbeContext(host, named_paths(parsed_args))
    if look.nova_config is not None:
        place = nova_files.layouts(look)[0]
        return ConfigFiles(place.files, place.directories)
    layout = nova_options.read(look).layout
    files, directories = list[str](), list[str]()
    if layout is not None:
        files += [path for path in layout.files if _is_there(host, path)]
        directories += [
            path for path in layout.directories if _lists(look, path)
        ]
    if _is_there(host, OWN_FILE):
        files.append(OWN_FILE)
    if _lists(look, OWN_DIRECTORY):
        directories.append(OWN_DIRECTORY)
    return ConfigFiles(tuple(files), tuple(directories))


def option_values(
    parsed_args: argparse.Namespace, host: Host, section: str, option: str
) -> Iterator[tuple[str, str]]:
    """The values of an option: file and value; the last one takes effect."""
    config = find_files(parsed_args, host)
    look = ProbeContext(host)
    paths = list(config.files)
    for directory in config.directories:
        try:
            paths += nova_files.files_in(look, directory)
        except Denied:
            continue
    for path in paths:
        try:
            options = host.options(path, {section: (option,)})
        except Denied:
            continue
        given = options.get(section, {}).get(option, ())
        if given:
            yield path, given[-1]


def with_named_files(host: Host, paths: tuple[str, ...] | None) -> Host:
    """A recorded host with the named files of this machine added.

    Files in the recording take precedence.
    """
    if paths is None or isinstance(host, LiveHost):
        return host
    from hvfilter.host.layered import LayeredHost

    return LayeredHost([host, _recorded_files(paths)])


def _recorded_files(paths: tuple[str, ...]) -> Host:
    # Only here: probing this host does not need them.
    from hvfilter.host import snapshot
    from hvfilter.host.recorded import RecordedHost
    from hvfilter.host.recording import RecordingHost

    recording = RecordingHost(LiveHost(smoke=False), None)
    look = ProbeContext(recording, paths)
    nova_release.find(look, nova_options.read(look))
    made = snapshot.Provenance(snapshot.Making.RECORDED)
    return RecordedHost(recording.snapshot(made), 'named files')


def _is_there(host: Host, path: str) -> bool:
    return _exists(lambda: host.stat(path))


def _lists(look: ProbeContext, path: str) -> bool:
    return _exists(lambda: look.names(path))


def _exists(read: Any) -> bool:
    try:
        read()
    except Denied as denied:
        return not denied.not_found
    return True
