# SPDX-License-Identifier: Apache-2.0
"""Plug-ins: probes, publishers, commands, filters and weighers.

Each kind has an entry point namespace, to which any package may add.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hvfilter.model.problem import Problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NOT_INSTALLED = 'not_installed'
"""The code of all problems with plug-ins."""


@dataclasses.dataclass(frozen=True)
class Plugins:
    """The plug-ins of a namespace.

    :ivar loaded: by name
    :ivar problems: by name. Where ``loaded`` has the name too, two packages
        registered it, and the first is loaded.
    """

    loaded: Mapping[str, Any]
    problems: Mapping[str, Problem]


def entry_points(
    namespace: str,
) -> tuple[dict[str, EntryPoint], dict[str, Problem]]:
    """The entry points by name, and a problem for each ambiguous name."""
    from stevedore import ExtensionManager

    # The constructor loads all plug-ins; listing needs an instance, though.
    manager: Any = ExtensionManager.make_test_instance([], namespace=namespace)
    points: dict[str, EntryPoint] = {}
    problems: dict[str, Problem] = {}
    for point in manager.list_entry_points():
        first = points.setdefault(point.name, point)
        if first.value != point.value:
            problems[point.name] = Problem(
                f'{namespace} has two plug-ins named {point.name}: '
                f'{first.value} and {point.value}',
                'Uninstall one of the packages.',
                code=NOT_INSTALLED,
            )
    return points, problems


def load(
    namespace: str,
    names: Iterable[str] | None = None,
    *,
    make: Callable[[Any], Any] = lambda plugin: plugin,
) -> Plugins:
    """Load plug-ins; one that fails does not affect the others.

    :param names: only these; None: all, in order of name.
    :param make: what to do with each, such as to instantiate it.
    """
    points, problems = entry_points(namespace)
    loaded = {}
    for name in sorted(points) if names is None else names:
        if name not in points:
            continue
        try:
            loaded[name] = make(points[name].load())
        except Exception as error:
            problems[name] = Problem(
                f'Cannot load {name} ({points[name].value}) of {namespace}: '
                f'{error}',
                'Install what it needs, or uninstall its package.',
                code=NOT_INSTALLED,
            )
    return Plugins(loaded, problems)
