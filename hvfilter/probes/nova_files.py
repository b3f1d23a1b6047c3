# SPDX-License-Identifier: Apache-2.0
"""Which configuration files nova-compute reads on a host.

What its systemd unit names, else where oslo.config looks for them
(``find_config_files`` and ``find_config_dirs`` of ``oslo_config/cfg.py``), or
where deployment tools keep what a container or a snap reads.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator

from hvfilter.host.base import Denied
from hvfilter.probes.context import ProbeContext


@dataclasses.dataclass(frozen=True)
class Layout:
    """One set of files and directories that nova-compute may read.

    :ivar name: what puts them there
    :ivar files: in the order in which they are read; the last value wins
    :ivar directories: read after the files, each ``*.conf`` by name
    :ivar host_qemu: the guests' QEMU is the host's own, not a container's
    :ivar named: a person or a systemd unit names these, so each must be there
    """

    name: str
    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    host_qemu: bool = True
    named: bool = False


LAYOUTS = (
    Layout(
        'nova packages',
        (
            # RDO's defaults; DevStack's copy for nova-compute comes last.
            '/usr/share/nova/nova-dist.conf',
            '/etc/nova/nova.conf',
            '/etc/nova/nova-compute.conf',
            '/etc/nova/nova-cpu.conf',
        ),
        ('/etc/nova/nova.conf.d', '/etc/nova/nova-compute.conf.d'),
    ),
    Layout(
        'Kolla',
        ('/etc/kolla/nova-compute/nova.conf',),
        ('/etc/kolla/nova-compute/nova.conf.d',),
        host_qemu=False,
    ),
    Layout(
        'the snap openstack-hypervisor',
        ('/var/snap/openstack-hypervisor/common/etc/nova/nova.conf',),
        ('/var/snap/openstack-hypervisor/common/etc/nova/nova.conf.d',),
        host_qemu=False,
    ),
    Layout(
        'the snap microstack',
        ('/var/snap/microstack/common/etc/nova/nova.conf',),
        ('/var/snap/microstack/common/etc/nova/nova.conf.d',),
        host_qemu=False,
    ),
    Layout(
        'TripleO',
        (
            '/var/lib/config-data/puppet-generated/nova_libvirt/etc/nova/'
            'nova.conf',
        ),
        host_qemu=False,
    ),
    Layout(
        'edpm-ansible',
        directories=('/var/lib/openstack/config/nova',),
        host_qemu=False,
    ),
)

DEFAULTS_ONLY = '/usr/share/nova/nova-dist.conf'
"""A file of a package that alone does not configure nova-compute."""

_UNITS = (
    'nova-compute.service',
    'openstack-nova-compute.service',
    'devstack@n-cpu.service',
)
_UNIT_FOLDERS = ('/etc/systemd/system', '/usr/lib/systemd/system')


def layouts(host: ProbeContext) -> tuple[Layout, ...]:
    """Where to read, each of them if it is there.

    One that the operator names, or that a systemd unit names, stands alone.

    :raises hvfilter.host.base.Denied: a unit may not be read, so that it is
        not known which files count
    """
    if host.nova_config is not None:
        return (_named(host, 'the command line', host.nova_config),)
    return usual(host)


def usual(host: ProbeContext) -> tuple[Layout, ...]:
    """Where to read when nobody names anything.

    :raises hvfilter.host.base.Denied: as :func:`layouts`
    """
    started = tuple(_of_units(host))
    return started or LAYOUTS


def _of_units(host: ProbeContext) -> Iterator[Layout]:
    """What the unit of nova-compute names on its command line."""
    for unit in _UNITS:
        for folder in _UNIT_FOLDERS:
            path = f'{folder}/{unit}'
            try:
                units = host.options(path, {'Service': ('ExecStart',)})
            except Denied as denied:
                if denied.forbidden:
                    raise
                # Not there, not in this recording, or not in a form that
                # can be parsed: then the usual places count.
                continue
            commands = units.get('Service', {}).get('ExecStart', ())
            names = _config_arguments(commands[-1]) if commands else ()
            if names:
                yield _named(host, path, names)
            break


def _config_arguments(command: str) -> tuple[str, ...]:
    """The values of --config-file and --config-dir, in their order."""
    try:
        words = iter(shlex.split(command.replace('\\\n', ' ')))
    except ValueError:
        return ()
    paths = []
    for word in words:
        option, parted, value = word.partition('=')
        if option in ('--config-file', '--config-dir'):
            paths.append(value if parted else next(words, ''))
    # A specifier or variable of systemd's is not known here.
    if any('%' in path or '$' in path for path in paths):
        return ()
    return tuple(filter(None, paths))


def _named(host: ProbeContext, name: str, paths: tuple[str, ...]) -> Layout:
    """Paths that a person or a unit names, files and directories alike."""
    directories = tuple(path for path in paths if _is_directory(host, path))
    files = tuple(path for path in paths if path not in directories)
    return Layout(name, files, directories, named=True)


def _is_directory(host: ProbeContext, path: str) -> bool:
    if path.endswith('.conf'):
        return False
    try:
        host.names(path)
    except Denied as denied:
        return denied.error != 'ENOTDIR'
    return True


def files_in(host: ProbeContext, directory: str) -> tuple[str, ...]:
    """The files that oslo.config reads of a directory: ``*.conf``, by name.

    :raises hvfilter.host.base.Denied: it cannot be listed
    """
    return tuple(
        f'{directory}/{name}'
        for name in host.names(directory)
        if name.endswith('.conf') and not name.startswith('.')
    )
