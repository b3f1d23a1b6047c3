# SPDX-License-Identifier: Apache-2.0
"""Which versions of a Python package are installed on a host.

Distributions' packages (dpkg and rpm alike), pip and most deployment tools
leave the metadata of a Python package beside it, in a directory or file whose
name holds the version: ``nova-34.0.0.dist-info``, ``nova-27.5.1.egg-info``,
``nova-29.2.0-py3.9.egg-info`` (packaging.python.org, "Recording installed
projects"). dpkg's own database is read where no such metadata was found. rpm's
is not: the packages of Fedora and RDO always have it, since rpm itself makes
their dependencies of it (pythondistdeps).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator

from hvfilter.host import question
from hvfilter.host.base import Denied

PLACES = (
    # Debian and Ubuntu; Fedora, RHEL, openSUSE and pip; local installations
    '/usr/lib/python3/dist-packages',
    '/usr/lib/python3.*/site-packages',
    '/usr/local/lib/python3.*/dist-packages',
    '/usr/local/lib/python3.*/site-packages',
    # DevStack, OpenStack-Ansible, Kolla's and LOCI's images
    '/opt/stack/data/venv/lib/python3.*/site-packages',
    '/openstack/venvs/nova-*/lib/python3.*/site-packages',
    '/var/lib/kolla/venv/lib/python3.*/site-packages',
    '/var/lib/openstack/lib/python3.*/site-packages',
    # Canonical's snap
    '/snap/openstack-hypervisor/current/usr/lib/python3/dist-packages',
)
"""Directories of Python packages; ``*`` stands for anything in one name."""

DPKG_STATUS = '/var/lib/dpkg/status'

_STANZA_LIMIT = 4096
"""Characters after the package's name in which its version is looked for."""

ListDir = Callable[[str], tuple[str, ...]]
Read = Callable[[str], bytes]


def versions(package: str, listdir: ListDir, read: Read) -> tuple[str, ...]:
    """The versions found, sorted as text, each once.

    :param listdir: the names in a directory; raises Denied
    :param read: the content of a file; raises Denied
    :raises Denied: ENOENT when none was found; what was met when a place
        that exists could not be read
    """
    refused: list[Denied] = []
    releases: set[str] = set()
    pattern = re.compile(
        rf'{re.escape(package)}-(\d+[^-/]*?)(?:-py3[\d.]*)?'
        r'\.(?:dist|egg)-info'
    )
    for place in _places(listdir, refused):
        for name in _names(listdir, place, refused):
            match = pattern.fullmatch(name)
            if match:
                releases.add(match[1])
    if not releases:
        releases.update(_of_dpkg(package, read, refused))
    if releases:
        return tuple(sorted(releases))
    if refused:
        raise refused[0]
    raise Denied(str(question.versions(package)), 'ENOENT')


def _places(listdir: ListDir, refused: list[Denied]) -> Iterator[str]:
    for place in PLACES:
        paths = ['']
        for part in place.split('/')[1:]:
            if '*' not in part:
                paths = [f'{path}/{part}' for path in paths]
                continue
            paths = [
                f'{path}/{name}'
                for path in paths
                for name in _names(listdir, path, refused)
                if fnmatch.fnmatchcase(name, part)
            ]
        yield from paths


def _names(
    listdir: ListDir, path: str, refused: list[Denied]
) -> tuple[str, ...]:
    try:
        return listdir(path)
    except Denied as denied:
        if denied.forbidden:
            refused.append(denied)
        return ()


def _of_dpkg(package: str, read: Read, refused: list[Denied]) -> Iterator[str]:
    """From the stanza of ``python3-<package>``, an epoch taken off."""
    try:
        text = read(DPKG_STATUS).decode('utf-8', 'replace')
    except Denied as denied:
        if denied.forbidden:
            refused.append(denied)
        return
    heading = f'\nPackage: python3-{package}\n'
    start = f'\n{text}'.find(heading)
    if start < 0:
        return
    stanza = text[start : start + _STANZA_LIMIT].split('\n\n')[0]
    version = re.search(r'(?m)^Version: (?:\d+:)?(\d[^\s-]*)', stanza)
    if version and re.search(r'(?m)^Status: .* installed$', stanza):
        yield version[1]
