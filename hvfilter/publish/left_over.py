# SPDX-License-Identifier: Apache-2.0
"""What on this host would publish removed traits again.

nova-compute adds the traits of its provider.yaml files at each update of its
resource provider. It reads them when it starts, so deleting a file has no
effect until it is restarted. A timer runs "hvfilter publish" again.

Source: Nova ``nova/compute/resource_tracker.py``, ``_merge_provider_configs``;
``nova/compute/provider_config.py`` (every ``*.yaml`` in the folder, once).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hvfilter.model import catalogue
from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file

SERVICE = 'hvfilter-publish.service'
"""What the timer, and the udev rule through another timer, start."""

TIMER = 'hvfilter-publish.timer'
WRITER = 'hvfilter-provider-config.service'
RULE = '90-hvfilter.rules'

EVERY_NODE = '$COMPUTE_NODE'
"""In a provider.yaml: each compute node of this nova-compute."""

UNIT_FOLDERS = (
    'etc/systemd/system',
    'run/systemd/system',
    'usr/local/lib/systemd/system',
    'usr/lib/systemd/system',
    'lib/systemd/system',
)
"""Where systemd finds units, and the links that ``systemctl enable``,
``mask`` and packages make, below the root (systemd.unit(5))."""

RULE_FOLDERS = ('etc/udev/rules.d', 'run/udev/rules.d', 'usr/lib/udev/rules.d')
"""Where udev finds rules; the first file of a name is used (udev(7))."""


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """A provider.yaml in nova-compute's folder with hvfilter traits.

    :ivar path: the file
    :ivar traits: hvfilter names that nova-compute adds because of it
    :ivar unreadable: why it is not known whether there are any
    """

    path: Path
    traits: frozenset[str] = frozenset()
    unreadable: str = ''


def config_files(
    folders: Iterable[Path],
    apart_from: Iterable[Path] = (),
    may_identify: Callable[[str], bool] = lambda identified: True,
) -> tuple[ConfigFile, ...]:
    """The provider.yaml files with hvfilter traits, and the unreadable ones.

    :param folders: where nova-compute reads them.
    :param apart_from: files that a publisher maintains.
    :param may_identify: whether a uuid or a name in such a file may be this
        host's: one file may have been distributed to all hosts.
    """
    known = {os.path.realpath(path) for path in apart_from}
    results = []
    for folder in dict.fromkeys(folders):
        try:
            paths = sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            why = f'Cannot list {folder}: {error.strerror}'
            results.append(ConfigFile(folder, unreadable=why))
            continue
        for path in paths:
            new = os.path.realpath(path) not in known
            # nova-compute's own pattern, "*.yaml", matches no hidden file.
            hidden = path.name.startswith('.')
            if path.suffix == '.yaml' and new and not hidden:
                known.add(os.path.realpath(path))
                results.append(_read(path, may_identify))
    return tuple(each for each in results if each.traits or each.unreadable)


def _read(path: Path, may_identify: Callable[[str], bool]) -> ConfigFile:
    try:
        raw = atomic_file.read(path) or b''
    except Problem as failed:
        return ConfigFile(path, unreadable=failed.what)
    if catalogue.TRAIT_PREFIX.encode() not in raw:
        return ConfigFile(path)
    # Imported here: that takes longer than the rest of a run.
    from hvfilter.publish import bounded_yaml

    if len(raw) > bounded_yaml.LIMIT:
        why = f'{path} is larger than {bounded_yaml.LIMIT >> 10} KiB'
        return ConfigFile(path, unreadable=why)
    try:
        names = _additional(bounded_yaml.load(raw), may_identify)
        return ConfigFile(path, catalogue.own(names))
    except (AttributeError, KeyError, TypeError, ValueError):
        # nova-compute does not start with such a file either.
        return ConfigFile(path)


def _additional(
    document: Any, may_identify: Callable[[str], bool]
) -> Iterator[str]:
    for provider in document['providers']:
        identified = set(provider['identification'].values())
        if EVERY_NODE not in identified and not any(
            may_identify(str(each)) for each in identified
        ):
            continue
        for name in provider.get('traits', {}).get('additional', ()):
            if isinstance(name, str):
                yield name


def notes(files: Iterable[ConfigFile]) -> tuple[str, ...]:
    """Messages about these files, with remedies."""
    return tuple(
        f'{each.unreadable}, so it is not known whether nova-compute adds '
        'hvfilter traits because of it. Run this as a user who may read it.'
        if each.unreadable
        else f'{each.path} names hvfilter traits, which nova-compute adds '
        'again at each update of its resource provider: '
        f'{", ".join(sorted(each.traits))}. Remove the file and restart '
        'nova-compute; then run this again.'
        for each in files
    )


def running(unit: str) -> bool:
    """Whether systemd reports that a unit is active now.

    No file shows that of a timer. Without systemd, none is.
    """
    # Imported here: "hvfilter publish" does not need it.
    import subprocess  # nosec B404

    try:
        # A unit's name of our own; systemctl is searched in PATH.
        done = subprocess.run(  # noqa: S603  # nosec B603 B607
            ['systemctl', 'is-active', '--quiet', unit],  # noqa: S607
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SYSTEMCTL_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


_SYSTEMCTL_S = 10.0
"""The longest wait for systemd; it usually answers in milliseconds."""


def triggers(
    root: Path = Path('/'), running: Callable[[str], bool] = running
) -> tuple[str, ...]:
    """Units and rules that start hvfilter on this host automatically.

    :param root: where the host's files are.
    :param running: whether a unit is active now: a timer may have been
        started without being enabled, or be disabled and still run.
    :returns: names of units, and the path of the udev rule.
    """
    units = [root / folder for folder in UNIT_FOLDERS]
    rules = [root / folder / RULE for folder in RULE_FOLDERS]
    results = []
    if not _masked(SERVICE, units):
        if _enabled(TIMER, units) or running(TIMER):
            results.append(TIMER)
        # A link to /dev/null disables the rule of a package.
        rule = next((each for each in rules if os.path.lexists(each)), None)
        if rule is not None and not _is_null(rule):
            results.append(str(rule))
    if not _masked(WRITER, units):
        results += [WRITER] * _enabled(WRITER, units)
    return tuple(results)


def _enabled(unit: str, folders: Iterable[Path]) -> bool:
    return any(
        os.path.lexists(wants / unit)
        for folder in folders
        for kind in ('*.wants', '*.requires')
        for wants in folder.glob(kind)
    )


def _masked(unit: str, folders: Iterable[Path]) -> bool:
    return any(_is_null(folder / unit) for folder in folders)


def _is_null(path: Path) -> bool:
    return os.path.realpath(path) == os.devnull
