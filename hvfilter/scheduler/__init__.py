# SPDX-License-Identifier: Apache-2.0
"""What nova-scheduler and nova-api load; the only package that imports nova.

In nova.conf::

    [filter_scheduler]
    available_filters = nova.scheduler.filters.all_filters
    available_filters = hvfilter.scheduler.all_filters
"""

from __future__ import annotations

from typing import Any

from oslo_log import log as logging

from hvfilter import plugins
from hvfilter.model.problem import Problem

LOG = logging.getLogger(__name__)

FILTERS = 'hvfilter.scheduler.filters'
WEIGHERS = 'hvfilter.scheduler.weighers'


def all_filters() -> list[Any]:
    """The filter classes registered under ``hvfilter.scheduler.filters``.

    Named in ``[filter_scheduler] available_filters``; those in
    ``enabled_filters`` run.

    :raises hvfilter.model.problem.Problem: two plug-ins share a name
    """
    classes = _classes(FILTERS)
    from hvfilter.scheduler import option_warnings

    option_warnings.check()
    return classes


def all_weighers() -> list[Any]:
    """The weighers registered under ``hvfilter.scheduler.weighers``.

    Named in ``[filter_scheduler] weight_classes``.

    :raises hvfilter.model.problem.Problem: two plug-ins share a name
    """
    return _classes(WEIGHERS)


def _classes(namespace: str) -> list[Any]:
    loaded = plugins.load(namespace)
    for name, problem in loaded.problems.items():
        if name in loaded.loaded:
            raise problem
        # Nova does not start if this one is enabled.
        LOG.error('%s', problem)
    by_class: dict[str, Any] = {}
    for plugin in loaded.loaded.values():
        # Nova knows them by class name and would take either silently.
        other = by_class.setdefault(plugin.__name__, plugin)
        if other is not plugin:
            raise Problem(
                f'{namespace} has two classes named {plugin.__name__}, in '
                f'{other.__module__} and in {plugin.__module__}',
                'Uninstall one of the packages.',
            )
    return list(by_class.values())
