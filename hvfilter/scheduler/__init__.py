# SPDX-License-Identifier: Apache-2.0
"""What nova-scheduler and nova-api load; the only room that imports nova.

In nova.conf::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = hvfilter.scheduler.all_filters
"""

from __future__ import annotations

from typing import Any

from oslo_log import log as logging
from stevedore import extension

LOG = logging.getLogger(__name__)

FILTERS = 'hvfilter.scheduler.filters'
WEIGHERS = 'hvfilter.scheduler.weighers'


class Ambiguous(Exception):
    """Two plug-ins of one name: Nova would take either without a word."""


def all_filters() -> list[Any]:
    """The filter classes registered under ``hvfilter.scheduler.filters``.

    Named in ``[filter_scheduler] available_filters``; which of them run is
    said in ``enabled_filters``.

    :raises Ambiguous: two entry points or classes have one name
    """
    found = _classes(FILTERS)
    from hvfilter.scheduler import startup

    startup.check()
    return found


def all_weighers() -> list[Any]:
    """The weighers registered under ``hvfilter.scheduler.weighers``.

    Named in ``[filter_scheduler] weight_classes``.

    :raises Ambiguous: two entry points or classes have one name
    """
    return _classes(WEIGHERS)


def _classes(namespace: str) -> list[Any]:
    manager: Any = extension.ExtensionManager(
        namespace, on_load_failure_callback=_cannot_load
    )
    by_name: dict[str, Any] = {}
    for found in manager.extensions:
        # Nova knows them by class name; stevedore by entry point, and it
        # notices two of a name only where they follow one another.
        for name in {found.name, found.plugin.__name__}:
            other = by_name.setdefault(name, found.plugin)
            if other is not found.plugin:
                raise Ambiguous(
                    f'The entry point group {namespace} has {name} twice, '
                    f'as {_where(other)} and as {_where(found.plugin)}. '
                    'Uninstall one of the two packages.'
                )
    return list(dict.fromkeys(by_name.values()))


def _where(plugin: Any) -> str:
    return f'{plugin.__module__}:{plugin.__qualname__}'


def _cannot_load(manager: Any, entry_point: Any, error: BaseException) -> None:
    """Say so and go on: Nova does not start if the filter is enabled."""
    LOG.error(
        'The plug-in %s cannot be loaded and is not available: %s',
        entry_point,
        error,
    )
