# SPDX-License-Identifier: Apache-2.0
"""Isolated aggregates take hvfilter's extra specs into account.

Nova keeps guests out of an aggregate that has ``trait:X=required`` in its
metadata unless their flavor or image requires X in Nova's own words. It would
keep out those whose flavor says ``hvfilter:nested=required``.

Source: ``nova/scheduler/request_filter.py``, ``isolate_aggregates``.
"""

from __future__ import annotations

import copy
from typing import Any

import nova.conf
from nova.scheduler import request_filter
from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand, Origin
from hvfilter.rules import requests
from hvfilter.scheduler import policies, request

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_LIST = 'ALL_REQUEST_FILTERS'
_NOVAS = 'isolate_aggregates'


def isolate_aggregates(context: Any, request_spec: Any) -> Any:
    """Nova's filter, on a copy that also says what hvfilter requires.

    Only what Nova's filter writes is taken from the copy.
    """
    original = request_filter.isolate_aggregates
    if not CONF.scheduler.enable_isolated_aggregate_filtering:
        return original(context, request_spec)
    try:
        seen = _with_traits(request_spec)
    except Exception:
        LOG.exception(
            'Isolated aggregates ignore the hvfilter: extra specs of this '
            'request. This is a bug in hvfilter: report it with the traceback '
            'below.'
        )
        seen = request_spec
    isolated = original(context, seen)
    if seen is not request_spec and 'requested_destination' in seen:
        request_spec.requested_destination = seen.requested_destination
    return isolated


def _with_traits(spec: Any) -> Any:
    """The request spec itself, where there is nothing to add.

    What the policy requires counts as well: a guest that needs it has no other
    hosts. It is not required of a guest that may be emulated.
    """
    flavor = spec.flavor if 'flavor' in spec else None
    if flavor is None:
        return spec
    guest_request = request.from_spec(spec)
    needed = requests.requirements(guest_request, policies.configured())
    have = dict(flavor.extra_specs) if 'extra_specs' in flavor else {}
    more = {
        f'trait:{catalogue.BY_KEY[item.capability].trait}': 'required'
        for item in needed.wanting(Demand.REQUIRED)
        if not (needed.emulable and item.origin is Origin.POLICY)
    }
    if not more.keys() - have.keys():
        return spec
    seen = _copy(spec)
    seen.flavor = _copy(flavor)
    seen.flavor.extra_specs = {**more, **have}
    return seen


def _copy(one: Any) -> Any:
    """Shallow, with its own account of what was changed: request specs can be
    large."""
    other = copy.copy(one)
    other._changed_fields = set(one._changed_fields)
    return other


def install() -> None:
    """Take the place of Nova's own in its list, if it is there."""
    listed = getattr(request_filter, _LIST, None)
    novas = getattr(request_filter, _NOVAS, None)
    if isinstance(listed, list) and novas in listed:
        listed[listed.index(novas)] = isolate_aggregates
