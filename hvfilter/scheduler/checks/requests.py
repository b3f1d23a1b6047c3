# SPDX-License-Identifier: Apache-2.0
"""Checks of the flavors and aggregates in Nova's API database."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import nova.conf
from nova import context as nova_context
from nova import exception, objects
from nova.api.validation.extra_specs import validators
from nova.db.api import api as api_database
from nova.db.main import api as main_database
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_upgradecheck.upgradecheck import Code, Result
from oslo_utils import importutils

from hvfilter.placement import flavors as own
from hvfilter.rules.spelling import resembles_own
from hvfilter.scheduler import policies, settings

CONF = nova.conf.CONF

_MOST_NAMED = 5
_PAGE = 1000

SUCCESS = Result(Code.SUCCESS)

_UNREADABLE = (
    db_exception.DBError,
    db_exception.CantStartEngineError,
    cfg.Error,
    exception.NovaException,
)


def configure() -> None:
    """Make Nova's databases known, as its own commands do."""
    # Nova's databases look at these options (nova/config.py).
    profiler = importutils.try_import('osprofiler.opts')
    if profiler:
        profiler.set_defaults(CONF)
    api_database.configure(CONF)
    main_database.configure(CONF)


def _needs_database(check: Callable[[Any], Result]) -> Callable[[], Result]:
    """What cannot be read becomes a warning."""

    @functools.wraps(check)
    def run() -> Result:
        try:
            objects.register_all()
            return check(nova_context.get_admin_context())
        except _UNREADABLE as e:
            text = str(e).splitlines() or [type(e).__name__]
            return Result(
                Code.WARNING,
                f"Not checked: Nova's API database cannot be read "
                f'({text[0][:200]}). Run this with the nova.conf of a '
                'nova-scheduler or nova-conductor, which has [api_database] '
                'connection.',
            )

    return run


@_needs_database
def flavors(context: Any) -> Result:
    """Each extra spec that is meant for hvfilter has an effect."""
    problems = []
    for flavor in _flavors(context):
        for key, value in sorted(flavor.extra_specs.items()):
            if not (own.is_own_key(key) or resembles_own(key)):
                continue
            try:
                validators.validate(key, value)
            except exception.ValidationError as error:
                problems.append(f'flavor {flavor.name}: {error}')
    return _result(problems, 'Correct them with "openstack flavor set".')


def _flavors(context: Any) -> Iterator[Any]:
    marker = None
    while True:
        page = objects.FlavorList.get_all(
            context, limit=_PAGE, marker=marker, sort_key='flavorid'
        )
        yield from page
        if len(page) < _PAGE:
            return
        marker = page[-1].flavorid


@_needs_database
def aggregates(context: Any) -> Result:
    """The metadata that overrides the policy is valid."""
    try:
        base = settings.LastValid().start().policy
    except (cfg.Error, ValueError):
        return Result(
            Code.WARNING,
            'Not checked: correct the options of [hvfilter] first.',
        )
    problems: list[str] = []
    for aggregate in objects.AggregateList.get_all(context):
        policies.for_host([aggregate], base, problems.append)
    return _result(problems, 'Correct them with "openstack aggregate set".')


def _result(problems: list[str], remedy: str) -> Result:
    if not problems:
        return SUCCESS
    more = len(problems) - _MOST_NAMED
    shown = '; '.join(each.rstrip('.') for each in problems[:_MOST_NAMED])
    rest = f'; and {more} more' if more > 0 else ''
    return Result(Code.WARNING, f'{shown}{rest}. {remedy}')
