# SPDX-License-Identifier: Apache-2.0
"""The names by which a host knows itself, live or recorded.

Only for leaving them out of a recording: what a host says of them goes to
nobody else.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from hvfilter.host.base import Host, unless_denied
from hvfilter.host.cmdline import CommandLine
from hvfilter.host.question import Options
from hvfilter.host.recorded import RecordedHost

_FILES = (
    '/etc/hostname',
    '/etc/HOSTNAME',
    '/etc/mailname',
    '/proc/sys/kernel/hostname',
    '/proc/sys/kernel/domainname',
)

_NOVA_FILES = (
    '/etc/nova/nova.conf',
    '/etc/nova/nova-compute.conf',
    '/etc/nova/nova-cpu.conf',
    '/etc/kolla/nova-compute/nova.conf',
)
_NOVA_OPTIONS = {'DEFAULT': ('host',)}

_HOSTS_LINE = re.compile(r'(?m)^127\.0\.1\.1[ \t]+(.+)$')
_MESSAGE = re.compile(r'(?i)(?:hostname set to|set hostname to) <?([\w.-]+)')

_IP_HOSTNAME = 4
"""The part of ``ip=`` that is the host's name (kernel
Documentation/admin-guide/nfs/nfsroot.rst)."""

_NOBODYS = frozenset({'(none)', 'localhost', 'localdomain', 'unknown'})


def names(host: Host) -> tuple[str, ...]:
    """Host names and domains, as they are written there, none twice."""
    known: dict[str, None] = {}
    for ask in (_of_files, _of_nova, _of_kernel, _of_recording):
        for name in ask(host):
            whole = name.strip().rstrip('.')
            short = whole.partition('.')[0]
            if short and short.lower() not in _NOBODYS:
                known.update(dict.fromkeys((whole, short)))
    return tuple(known)


def _of_files(host: Host) -> Iterator[str]:
    for path in _FILES:
        yield from _text(host, path).split()
    for line in _HOSTS_LINE.finditer(_text(host, '/etc/hosts')):
        yield from line[1].partition('#')[0].split()


def _of_nova(host: Host) -> Iterator[str]:
    for path in _NOVA_FILES:
        nothing: Options = {}
        ask = functools.partial(host.options, path, _NOVA_OPTIONS)
        for options in unless_denied(ask, nothing).values():
            for values in options.values():
                yield from values


def _of_kernel(host: Host) -> Iterator[str]:
    line = CommandLine(_text(host, '/proc/cmdline'))
    for parameter in line.parameters:
        value = parameter.value or ''
        if parameter.name in ('hostname', 'systemd.hostname'):
            yield value
        elif parameter.name == 'ip':
            yield ''.join(value.split(':')[_IP_HOSTNAME : _IP_HOSTNAME + 1])
    yield from _MESSAGE.findall(_text(host, '/dev/kmsg'))


def _of_recording(host: Host) -> Iterator[str]:
    """Who recorded it with --keep-names wrote down where."""
    if isinstance(host, RecordedHost):
        where = host.snapshot.origin.where
        if where and not re.search(r'\s', where):
            yield where


def _text(host: Host, path: str) -> str:
    data = unless_denied(functools.partial(host.read, path), b'')
    return data.decode('utf-8', 'replace')
