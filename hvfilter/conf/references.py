# SPDX-License-Identifier: Apache-2.0
"""Options that others refer to, as in ``auth_url = http://$my_ip/v3``.

oslo.config resolves a reference only to an option that is registered. In
nova-compute Nova registers hundreds; here those that are referred to are
registered as texts.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from oslo_config import cfg, iniparser

# As oslo_config.cfg.ConfigOpts.Template; "$$" and "\$" are escapes.
_REFERENCE = re.compile(
    r'(?<!\\)\$(?:\$|(?P<name>[_a-z][._a-z0-9]*)'
    r'|\{(?P<braced>[_a-z][._a-z0-9]*)\})',
    re.IGNORECASE,
)
DEFAULT = 'DEFAULT'


def register(conf: cfg.ConfigOpts, sections: Iterable[str]) -> tuple[str, ...]:
    """Register what these sections refer to, and what that refers to.

    :param conf: parsed; its own options in these sections are registered
    :returns: references to options that no file sets and that have no
        default, sorted
    """
    values = _Values()
    for path in _files(conf):
        values.read(path)
    own = {section.lower() for section in sections}
    todo = set(values.references(own))
    done: set[str] = set()
    unset = set()
    while todo - done:
        name = min(todo - done)
        done.add(name)
        group, _, option = name.rpartition('.')
        # Without a section, one of the same section is meant first.
        if group.lower() in own or (not group and values.sets(own, option)):
            continue
        if not _known(conf, group, option):
            default = _default(option)
            with contextlib.suppress(cfg.DuplicateOptError):
                opt = cfg.StrOpt(option, default=default)
                conf.register_opt(opt, group=group or None)
            if default is None and not values.sets({group or DEFAULT}, option):
                unset.add(name)
        todo.update(values.references({group or DEFAULT}, option))
    return tuple(sorted(unset))


def _known(conf: cfg.ConfigOpts, group: str, option: str) -> bool:
    try:
        return option in (conf[group] if group else conf)
    except cfg.Error:
        return False


def _default(option: str) -> str | None:
    """What Nova takes for an option that no file sets.

    Source: nova/conf/netconf.py.
    """
    if option == 'host':
        return socket.gethostname()
    if option in ('my_ip', 'my_block_storage_ip', 'my_shared_fs_storage_ip'):
        from oslo_utils import netutils

        return str(netutils.get_my_ipv4())
    return None


def _files(conf: cfg.ConfigOpts) -> Iterator[str]:
    """All configuration files, in the order in which they are read."""
    yield from conf.config_file or ()
    for directory in conf.config_dir or ():
        yield from map(str, sorted(Path(directory).glob('*.conf')))


# oslo.config has no types to check against.
class _Values(iniparser.BaseParser):  # type: ignore[misc]
    """All values of all files, by section and option."""

    def __init__(self) -> None:
        super().__init__()
        self._section = ''
        self._found: dict[tuple[str, str], list[str]] = {}

    def read(self, path: str) -> None:
        with Path(path).open() as file:
            self.parse(file)

    def new_section(self, section: str) -> None:
        self._section = section

    def assignment(self, key: str, value: list[str]) -> None:
        place = _normal(self._section), key
        self._found.setdefault(place, []).append('\n'.join(value))

    def sets(self, sections: Iterable[str], option: str) -> bool:
        return any(
            (_normal(section), option) in self._found for section in sections
        )

    def references(
        self, sections: Iterable[str], option: str | None = None
    ) -> Iterator[str]:
        """Names in the values of these sections, or of one option there."""
        names = {_normal(section) for section in sections}
        for (section, key), values in self._found.items():
            if section in names and option in (None, key):
                for reference in _REFERENCE.finditer('\n'.join(values)):
                    name = reference['name'] or reference['braced']
                    if name:
                        yield name.rstrip('.')


def _normal(section: str) -> str:
    return section if section == DEFAULT else section.lower()
