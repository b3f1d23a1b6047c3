# SPDX-License-Identifier: Apache-2.0
"""The hosts that pass when the filter itself fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.scheduler import policies, request


def passing(hosts: list[Any], spec: Any) -> tuple[list[Any], str]:
    """The hosts that pass without a verdict, and why; raises nothing.

    Those in permissive mode do, whatever is broken. For the others
    ``placement_unreachable`` decides, as for all that is not known.

    :returns: hosts, and the deciding options with their values
    """
    explicit = _attempt(lambda: request.from_spec(spec).explicit, True)
    base = _attempt(policies.configured, None)
    if base is None:
        # Nothing is known, not even the mode: a wrong host costs more than
        # a rejection with its reason.
        return [], 'the options of [hvfilter] cannot be read'
    passed = []
    deciding: dict[str, None] = {}
    for host in hosts:
        passes, option = _passes(_policy(host, base), explicit)
        deciding[option] = None
        if passes:
            passed.append(host)
    return passed, ' and '.join(deciding) or 'there are none'


def server(spec: Any) -> str:
    """As in the other lines of the log."""
    return str(_attempt(lambda: request.server_uuid(spec), 'unknown'))


def _policy(host: Any, base: Policy) -> Policy:
    try:
        aggregates = host.aggregates or ()
        return policies.for_host(aggregates, base, policies.warn_once)
    except Exception:
        return base


def _passes(policy: Policy, explicit: bool) -> tuple[bool, str]:
    if policy.mode is Mode.PERMISSIVE:
        return True, f'{policy.mode_by} = {policy.mode.value}'
    word = policy.unreachable
    option = f'{policy.unreachable_by} = {word.value}'
    if word is WhenUnknown.INFER:
        return not explicit, option
    return word is WhenUnknown.ACCEPT, option


def _attempt(read: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return read()
    except Exception:
        return otherwise
