# SPDX-License-Identifier: Apache-2.0
"""nova-compute's options that decide what guests get, as Nova reads them.

Nova 27 to 34: nova/conf/libvirt.py and the search rules of oslo.config
(files in the order given, then the directories' ``*.conf`` in order of
name; the last value wins).
"""

from __future__ import annotations

import dataclasses

from hvfilter.host.door import Denied
from hvfilter.probes.context import NOVA_CONFIG, Look

WANTED = {
    'DEFAULT': ('compute_driver',),
    'libvirt': (
        'virt_type',
        'cpu_mode',
        'cpu_models',
        'cpu_model',
        'cpu_model_extra_flags',
    ),
}

_USUAL_DIRECTORIES = (
    '/etc/nova/nova.conf.d',
    '/etc/nova/nova-compute.conf.d',
)


@dataclasses.dataclass(frozen=True)
class NovaOptions:
    """What nova-compute is told.

    :ivar values: option name to its value as it stands
    :ivar read: the files that were read, in order
    :ivar refused: denials of files that are there
    """

    values: dict[str, str]
    read: tuple[str, ...]
    refused: tuple[Denied, ...]

    @property
    def virt_type(self) -> str:
        """``[libvirt] virt_type``; Nova's default is kvm."""
        return self.values.get('virt_type', 'kvm').strip()

    @property
    def compute_driver(self) -> str:
        """``compute_driver``; '' when it is not set."""
        return self.values.get('compute_driver', '').strip()

    @property
    def cpu_mode(self) -> str:
        """``[libvirt] cpu_mode``; '' when it is not set."""
        return self.values.get('cpu_mode', '').strip()

    @property
    def cpu_models(self) -> tuple[str, ...]:
        """``[libvirt] cpu_models``, or its older name cpu_model."""
        text = self.values.get('cpu_models', self.values.get('cpu_model', ''))
        return _list(text)

    @property
    def extra_flags(self) -> tuple[str, ...]:
        """``[libvirt] cpu_model_extra_flags`` in lower case."""
        text = self.values.get('cpu_model_extra_flags', '')
        return tuple(flag.lower() for flag in _list(text))

    def switched(self, feature: str) -> bool | None:
        """Whether the extra flags add (True) or remove (False) a feature.

        None when they do not name it. Named both ways, removal counts:
        Nova hands both to libvirt in the order of a set.
        """
        if any(
            flag.startswith('-') and flag.lstrip('-') == feature
            for flag in self.extra_flags
        ):
            return False
        if any(flag.lstrip('+') == feature for flag in self.extra_flags):
            return True
        return None

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Options whose values refer to others ($name): not resolved here."""
        return tuple(
            name for name, value in self.values.items() if '$' in value
        )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(',') if part.strip())


def read(look: Look) -> NovaOptions:
    """Read the configuration through the door; nothing is raised."""
    values: dict[str, str] = {}
    done: list[str] = []
    refused: list[Denied] = []
    for path in _paths(look, refused):
        try:
            sections = look.host.options(path, WANTED)
        except Denied as denied:
            if not denied.missing:
                refused.append(denied)
            continue
        done.append(path)
        for options in sections.values():
            for name, given in options.items():
                values[name] = given[-1]
    return NovaOptions(values, tuple(done), tuple(refused))


def _paths(look: Look, refused: list[Denied]) -> list[str]:
    """The files to read; a directory that is given stands for its *.conf."""
    if look.nova_config is None:
        files = list(NOVA_CONFIG)
        directories: tuple[str, ...] = _USUAL_DIRECTORIES
    else:
        directories = tuple(
            path for path in look.nova_config if not path.endswith('.conf')
        )
        files = [p for p in look.nova_config if p not in directories]
    for directory in directories:
        try:
            names = look.names(directory)
        except Denied as denied:
            if denied.error == 'ENOTDIR':
                files.append(directory)
            elif not denied.missing:
                refused.append(denied)
            continue
        files += [f'{directory}/{n}' for n in names if n.endswith('.conf')]
    return files
