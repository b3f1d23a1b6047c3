# SPDX-License-Identifier: Apache-2.0
"""Checks of nova.conf and of this Python environment."""

from __future__ import annotations

from typing import Any

import nova.conf
from nova.api.validation.extra_specs import validators
from nova.scheduler import filters
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from hvfilter import scheduler
from hvfilter.conf import scheduler_values
from hvfilter.model import catalogue
from hvfilter.scheduler import option_warnings, policies

CONF = nova.conf.CONF

FILTER = 'HardwareVirtFilter'
AVAILABLE = 'hvfilter.scheduler.all_filters'
_CLASS = 'hvfilter.scheduler.filters.hardware_virt.HardwareVirtFilter'

SUCCESS = Result(Code.SUCCESS)


def filter_enabled() -> Result:
    """nova-scheduler runs the filter only if both lists name it."""
    options = CONF.filter_scheduler
    missing = []
    if not {AVAILABLE, _CLASS} & set(options.available_filters):
        missing.append(f'available_filters = {AVAILABLE}')
    if FILTER not in options.enabled_filters:
        missing.append(f'{FILTER} in enabled_filters')
    if not missing:
        return _every_filter_found(options)
    return Result(
        Code.FAILURE,
        f'[filter_scheduler] lacks {" and ".join(missing)}, so hosts are not '
        'filtered by virtualization capability. Add it to the nova.conf of '
        'every nova-scheduler; where available_filters is set at all, it '
        'must also name nova.scheduler.filters.all_filters. Then restart '
        'nova-scheduler.',
    )


def _every_filter_found(options: Any) -> Result:
    """Whoever sets available_filters takes Nova's own out of it.

    As nova/scheduler/host_manager.py looks for them, _choose_host_filters.
    """
    try:
        classes = filters.HostFilterHandler().get_matching_classes(
            options.available_filters
        )
    except Exception as error:
        return Result(
            Code.FAILURE,
            'nova-scheduler will not start: one of [filter_scheduler] '
            f'available_filters ({", ".join(options.available_filters)}) '
            f'cannot be loaded: {error}. Install it, or remove it there.',
        )
    unknown = set(options.enabled_filters) - {
        each.__name__ for each in classes
    }
    if not unknown:
        return SUCCESS
    return Result(
        Code.FAILURE,
        'nova-scheduler will not start: [filter_scheduler] enabled_filters '
        f'names {", ".join(sorted(unknown))}, which available_filters does '
        'not contain. Give available_filters a line of its own for '
        'nova.scheduler.filters.all_filters, too.',
    )


def filter_loads() -> Result:
    """The class can be imported by this Nova."""
    try:
        ours = {each.__name__ for each in scheduler.all_filters()}
        loaded = filters.HostFilterHandler().get_matching_classes([AVAILABLE])
    except Exception as error:
        return Result(
            Code.FAILURE,
            f'{AVAILABLE} cannot be loaded: {error}. Install a release of '
            'hvfilter that supports this Nova into the Python environment of '
            'nova-scheduler.',
        )
    if FILTER in ours & {each.__name__ for each in loaded}:
        return SUCCESS
    return Result(
        Code.FAILURE,
        f'{AVAILABLE} does not contain {FILTER}. Install hvfilter again: its '
        'entry points are incomplete.',
    )


def options() -> Result:
    """Every option of [hvfilter] is valid, alone and with the others."""
    policies.register()
    values = {}
    problems = {}
    for name in scheduler_values.NAMES:
        try:
            values[name] = getattr(CONF.hvfilter, name)
        except (cfg.Error, ValueError) as error:
            problems[name] = scheduler_values.problem(name, error)
    if not problems:
        problems = scheduler_values.contradictions(values)
    if not problems:
        return SUCCESS
    return Result(
        Code.FAILURE,
        'nova-scheduler will not start: '
        + '. '.join(dict.fromkeys(problems.values()))
        + '. Correct nova.conf.',
    )


def no_effect() -> Result:
    """Options that need another one have it."""
    policies.register()
    try:
        warnings = list(option_warnings.findings(CONF))
    except (cfg.Error, ValueError):
        return Result(
            Code.WARNING,
            'Not checked: correct the options of [hvfilter] first.',
        )
    return Result(Code.WARNING, ' '.join(warnings)) if warnings else SUCCESS


def validator() -> Result:
    """nova-api refuses misspelt extra specs, if it is installed like here."""
    known = {f'hvfilter:{key}' for key in catalogue.BY_KEY}
    missing = known - validators.VALIDATORS.keys()
    if not missing:
        return SUCCESS
    return Result(
        Code.WARNING,
        'Nova in this environment does not validate the extra specs of '
        'hvfilter: a misspelt one will have no effect. Install hvfilter into '
        'the Python environment of nova-api, too, and restart it.',
    )
