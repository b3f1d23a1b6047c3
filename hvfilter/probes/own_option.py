# SPDX-License-Identifier: Apache-2.0
"""Options of hvfilter's own that decide what a probe does."""

from __future__ import annotations

import dataclasses

from hvfilter.host.base import NOT_RECORDED, Denied
from hvfilter.probes import nova_files
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.nova_options import NovaOptions

SECTION = 'hvfilter'
CONFIGURATION = '/etc/hvfilter/hvfilter.conf'
DIRECTORY = '/etc/hvfilter/hvfilter.conf.d'
"""Read after nova-compute's own files, as by "hvfilter publish"."""


@dataclasses.dataclass(frozen=True)
class OwnOption:
    """What the files say of one option.

    :ivar path: the file that counts, or the one that cannot be read
    :ivar value: as it stands
    :ivar denied: why what counts is not known; None where it is
    """

    path: str
    value: str
    denied: Denied | None = None


def find(
    host: ProbeContext, options: NovaOptions, name: str
) -> OwnOption | None:
    """``[hvfilter]`` and a name; None where no file sets it.

    :param options: which files nova-compute reads
    """
    value = None
    try:
        paths = _files(host, options)
    except Denied as denied:
        return OwnOption(DIRECTORY, '', denied)
    for path in paths:
        try:
            sections = host.options(path, {SECTION: (name,)})
        except Denied as denied:
            if denied.not_found or denied.error == NOT_RECORDED:
                # Recordings of earlier releases do not hold it.
                continue
            return OwnOption(path, '', denied)
        values = sections.get(SECTION, {}).get(name, ())
        if values:
            value = OwnOption(path, values[-1])
    return value


def _files(host: ProbeContext, options: NovaOptions) -> tuple[str, ...]:
    """:raises Denied: a directory of such files cannot be listed"""
    if host.nova_config is not None:
        return options.read
    try:
        own = nova_files.files_in(host, DIRECTORY)
    except Denied as denied:
        if not denied.not_found and denied.error != NOT_RECORDED:
            raise
        own = ()
    return (*options.read, CONFIGURATION, *own)
