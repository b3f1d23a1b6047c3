# SPDX-License-Identifier: Apache-2.0
"""nova-compute's options that decide what guests get, as Nova reads them.

Nova 27 to 34: nova/conf/libvirt.py, nova/config.py and the search and look-up
rules of oslo.config: the files in the order given, then the directories'
``*.conf`` in order of name; the last file that sets an option wins, and in
one file its last value; in one file a new name wins over a deprecated one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hvfilter.host.base import NOT_RECORDED, Denied
from hvfilter.host.question import Options
from hvfilter.probes import nova_files
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.nova_files import Layout

WANTED = {
    'DEFAULT': ('compute_driver',),
    'libvirt': (
        'virt_type',
        'cpu_mode',
        'cpu_models',
        'cpu_model',
        'cpu_model_extra_flags',
        'num_memory_encrypted_guests',
        'num_intel_tdx_guests',
    ),
}

DEPRECATED = {'cpu_model': 'cpu_models'}
"""Older names that Nova still reads, and what they are called today."""

CPU_MODES = frozenset({'host-model', 'host-passthrough', 'custom', 'none'})


@dataclasses.dataclass(frozen=True)
class NovaOptions:
    """The configuration of nova-compute.

    :ivar values: option name, as it is called today, to its value as it
        stands
    :ivar read: the files that were read, in order
    :ivar refused: denials of files that count: not readable, malformed, or
        named and not there
    :ivar unrecorded: denials of files that a recording, a copy or a dump
        does not hold
    :ivar layout: whose files these are; None when none was found
    :ivar rivals: the names of other layouts that are there too and say
        something else
    """

    values: Mapping[str, str]
    read: tuple[str, ...]
    refused: tuple[Denied, ...]
    unrecorded: tuple[Denied, ...] = ()
    layout: Layout | None = None
    rivals: tuple[str, ...] = ()

    @property
    def there(self) -> bool:
        """Whether nova-compute is configured here at all."""
        own = [path for path in self.read if path != nova_files.DEFAULTS_ONLY]
        return bool(own or self.refused)

    @property
    def virt_type(self) -> str:
        """``[libvirt] virt_type``; Nova's default is kvm."""
        return self.values.get('virt_type', 'kvm')

    @property
    def compute_driver(self) -> str:
        """``compute_driver``; '' when it is not set."""
        return self.values.get('compute_driver', '')

    @property
    def cpu_mode(self) -> str | None:
        """``[libvirt] cpu_mode``; None when it is not set."""
        return self.values.get('cpu_mode')

    @property
    def cpu_models(self) -> tuple[str, ...]:
        """``[libvirt] cpu_models``."""
        return as_list(self.values.get('cpu_models', ''))

    @property
    def extra_flags(self) -> tuple[str, ...]:
        """``[libvirt] cpu_model_extra_flags`` in lower case."""
        text = self.values.get('cpu_model_extra_flags', '')
        return tuple(flag.lower() for flag in as_list(text))

    @property
    def encrypted_guests(self) -> str:
        """``[libvirt] num_memory_encrypted_guests``; '' when not set."""
        return self.values.get('num_memory_encrypted_guests', '')

    @property
    def tdx_guests(self) -> str:
        """``[libvirt] num_intel_tdx_guests``; '' when not set."""
        return self.values.get('num_intel_tdx_guests', '')

    def switched(self, feature: str) -> bool | None:
        """Whether the extra flags add (True) or remove (False) a feature.

        None when they do not name it. Named both ways, removal counts:
        Nova hands one of the two to libvirt, whichever a set yields first.
        """
        removed = {f.lstrip('-') for f in self.extra_flags if f[:1] == '-'}
        added = {f.lstrip('+') for f in self.extra_flags if f[:1] != '-'}
        if feature in removed:
            return False
        return True if feature in added else None

    @property
    def required_flags(self) -> tuple[str, ...]:
        """The features that the extra flags add, without ``+``."""
        names = dict.fromkeys(f.lstrip('+-') for f in self.extra_flags)
        return tuple(name for name in names if self.switched(name))

    @property
    def removed_flags(self) -> tuple[str, ...]:
        """The features that the extra flags remove, without ``-``."""
        names = dict.fromkeys(f.lstrip('+-') for f in self.extra_flags)
        return tuple(name for name in names if self.switched(name) is False)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Options whose values refer to others ($name): not resolved here."""
        return tuple(
            name for name, value in self.values.items() if '$' in value
        )


def as_list(text: str) -> tuple[str, ...]:
    """A value of oslo.config's ListOpt, with its treatment of commas."""
    text = text.strip().rstrip(',')
    return tuple(part.strip() for part in text.split(',')) if text else ()


def read(host: ProbeContext) -> NovaOptions:
    """Read the configuration; nothing is raised.

    Where there is more than one configuration and all say the same, the
    first stands for all.
    """
    try:
        every = [_read(host, place) for place in nova_files.layouts(host)]
        there = [each for each in every if each.there]
        if host.nova_config is not None and not any(map(_says, there)):
            # Named were files of somebody else, such as hvfilter's own.
            every = [_read(host, place) for place in nova_files.usual(host)]
            there = [each for each in every if each.there]
    except Denied as denied:
        return NovaOptions({}, (), (denied,))
    if not there:
        unrecorded = (one for each in every for one in each.unrecorded)
        return NovaOptions({}, (), (), tuple(unrecorded))
    first = there[0]
    return dataclasses.replace(
        first,
        refused=tuple(denied for each in there for denied in each.refused),
        rivals=tuple(
            each.layout.name
            for each in there
            if each.layout is not None and each.values != first.values
        ),
    )


def _says(options: NovaOptions) -> bool:
    """Whether files may be nova-compute's: they set an option of it, such as
    compute_driver, without which it does not start, or cannot be read."""
    return bool(options.values or options.refused)


def _read(host: ProbeContext, layout: Layout) -> NovaOptions:
    """What the files of one layout say."""
    values: dict[str, str] = {}
    done: list[str] = []
    refused: list[Denied] = []
    unrecorded: list[Denied] = []

    def not_read(path: str, denied: Denied) -> None:
        if denied.error == NOT_RECORDED:
            unrecorded.append(denied)
        elif layout.named or not denied.not_found:
            # nova-compute does not start without a file that is named.
            refused.append(denied)

    paths = list(layout.files)
    for directory in layout.directories:
        try:
            paths += nova_files.files_in(host, directory)
        except Denied as denied:
            not_read(directory, denied)
    for path in paths:
        try:
            sections = _sections(host, path)
        except Denied as denied:
            not_read(path, denied)
            continue
        done.append(path)
        for options in sections.values():
            values.update(_last_values(options))
    return NovaOptions(
        values, tuple(done), tuple(refused), tuple(unrecorded), layout
    )


def _sections(host: ProbeContext, path: str) -> Options:
    """The wanted options of one file.

    A recording of an earlier release may hold fewer of them than are asked
    for today; what it holds is used.
    """
    try:
        return host.options(path, WANTED)
    except Denied as denied:
        if denied.error != NOT_RECORDED:
            raise
        whole = denied
    options: dict[str, dict[str, tuple[str, ...]]] = {}
    recorded = False
    for section, names in WANTED.items():
        for name in names:
            try:
                part = host.options(path, {section: (name,)})
            except Denied:
                continue
            recorded = True
            options.setdefault(section, {}).update(part.get(section, {}))
    if not recorded:
        raise whole
    return options


def _last_values(options: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What one file sets, under today's names."""
    values = {
        DEPRECATED[name]: given[-1]
        for name, given in options.items()
        if name in DEPRECATED
    }
    values.update(
        (name, given[-1])
        for name, given in options.items()
        if name not in DEPRECATED
    )
    return values
