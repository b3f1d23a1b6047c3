# SPDX-License-Identifier: Apache-2.0
"""Which resource provider belongs to this host, as far as its files show."""

from __future__ import annotations

import socket
from pathlib import Path

from oslo_config import cfg

from hvfilter.conf import agent
from hvfilter.host.base import Denied, Host
from hvfilter.publish import base

COMPUTE_ID = 'compute_id'
"""The name of nova-compute's identity file, Nova ``nova/virt/node.py``."""


def identity(host: Host, conf: cfg.ConfigOpts) -> base.Identity:
    """The compute_id files and the names of this host.

    nova-compute searches its identity file beside each of its configuration
    files and in its state path.
    """
    folders = [Path(name).parent for name in conf.config_file or ()]
    state_path, unreadable = _state_path(conf)
    folders.append(Path(state_path))
    compute_ids = []
    for folder in dict.fromkeys(folders):
        path = str(folder / COMPUTE_ID)
        try:
            text = host.read(path)
        except Denied as denied:
            if not denied.not_found:
                unreadable.append((path, str(denied)))
            continue
        compute_ids.append((path, text.decode('ascii', 'replace')))
    return base.Identity(tuple(compute_ids), host_names(), tuple(unreadable))


def _state_path(conf: cfg.ConfigOpts) -> tuple[str, list[tuple[str, str]]]:
    """nova-compute's state path, and why it is uncertain."""
    try:
        return str(conf.state_path), []
    except cfg.Error:
        default = str(agent.NOVA_OPTS[0].default)
        reason = (
            "it uses a variable that only Nova's own code defines, such as "
            f'$pybasedir; searched {default} instead'
        )
        return default, [('[DEFAULT] state_path', reason)]


def host_names() -> tuple[str, ...]:
    """The names under which nova-compute may know this host.

    The first is what libvirt reports to nova-compute (libvirt
    ``src/util/virutil.c``, ``virGetHostname``): the host name if it has a dot,
    else its canonical form if that can be resolved.
    """
    name = socket.gethostname()
    if '.' in name or name.startswith('localhost'):
        return (name,)
    try:
        answers = socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)
    except OSError:
        return (name,)
    canonical = answers[0][3] if answers else ''
    if not canonical or canonical.startswith('localhost'):
        return (name,)
    return tuple(dict.fromkeys((canonical, name)))
