# SPDX-License-Identifier: Apache-2.0
"""Write the extra specs of one flavor; no flavor is left half changed.

Nova writes all extra specs of one request in one transaction, and removes one
with each request. So what is new is written first, in one request; should a
removal fail then, the extra specs of before are written again.

Source: Nova API reference, ``POST /flavors/{id}/os-extra_specs``, ``DELETE
/flavors/{id}/os-extra_specs/{key}``; ``nova/objects/flavor.py``,
``_flavor_extra_specs_add``.
"""

from __future__ import annotations

import json
import shlex
import urllib.parse
from collections.abc import Mapping
from typing import Any

from hvfilter.model.problem import Problem
from hvfilter.osc.compute import Flavor
from hvfilter.placement import client, errors
from hvfilter.rules import flavor_change, requests
from hvfilter.rules.flavor_change import Change

MICROVERSION = '2.53'
_LONGEST_QUOTE = 200


class FlavorSpecs:
    """The extra specs of a flavor in Nova."""

    def __init__(self, transport: client.Transport, flavor: Flavor) -> None:
        self._transport = transport
        self._flavor = flavor
        quoted = urllib.parse.quote(flavor.id, safe='')
        self._path = f'/flavors/{quoted}/os-extra_specs'

    def apply(self, change: Change) -> None:
        """Write a change, all of it or none.

        :raises Problem: it failed; the message says what the flavor is like
        """
        try:
            self._write(change)
        except Problem as problem:
            raise self._restored(problem) from None

    def _write(self, change: Change) -> None:
        if change.put:
            self._send('POST', '', {'extra_specs': dict(change.put)})
        for name in change.remove:
            self._send('DELETE', '/' + urllib.parse.quote(name, safe=''))

    def _restored(self, problem: Problem) -> Problem:
        """The error of a change that failed, after undoing all of it."""
        before = self._flavor.specs
        try:
            # What a lost answer did is not known: read it.
            undo = flavor_change.undone(before, self._read())
            self._write(undo)
        except Problem:
            return Problem(
                f'{problem.what}, and flavor {self._flavor.name} may be half '
                'changed, since restoring it failed too',
                f'{problem.remedy} Its extra specs were: {_words(before)}. '
                'Compare with "openstack flavor show '
                f'{shlex.quote(self._flavor.name)}".',
            )
        state = (
            'has the extra specs of before again' if undo else 'is as it was'
        )
        return Problem(
            f'{problem.what}; flavor {self._flavor.name} {state}',
            problem.remedy,
        )

    def _read(self) -> dict[str, str]:
        try:
            specs = json.loads(self._send('GET', '').body)['extra_specs']
        except (ValueError, KeyError, TypeError):
            specs = None
        if not isinstance(specs, dict):
            raise errors.BadAnswer(
                'The response is not a list of extra specs',
                'Check the endpoint of Nova in the service catalogue.',
            )
        return specs

    def _send(
        self, method: str, below: str, body: Mapping[str, Any] | None = None
    ) -> client.Response:
        response = self._transport.request(
            method, self._path + below, microversion=MICROVERSION, body=body
        )
        if 200 <= response.status < 300:
            return response
        if method == 'DELETE' and response.status == 404:
            # Somebody else removed it.
            return response
        what = f'flavor {self._flavor.name} (HTTP {response.status})'
        if response.status == 403:
            raise errors.Forbidden(
                f'This user may not change the extra specs of {what}',
                'Use credentials with the role "admin".',
            )
        if response.status == 404:
            raise errors.NotFound(
                f'Nova no longer has {what}', 'See "openstack flavor list".'
            )
        raise errors.Rejected(
            f'Nova refuses the extra specs of {what}{_quote(response.body)}',
            'Correct what it names, or try again.',
        )


def _quote(body: bytes) -> str:
    """Nova's own words: ``{"badRequest": {"message": ...}}``."""
    try:
        ((_, error),) = json.loads(body).items()
        text = str(error['message'])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ''
    return f': {requests.shorten(text.strip().rstrip("."), _LONGEST_QUOTE)}'


def _words(specs: Mapping[str, str]) -> str:
    listed = (f'{name}={value}' for name, value in sorted(specs.items()))
    return ', '.join(listed) or 'none'
