# SPDX-License-Identifier: Apache-2.0
"""The values of the mutable options of nova-scheduler's part.

Whoever reads nova.conf, nova-scheduler or a command, makes the same policy of
it and finds the same faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.rules import possible, requests

NAMES = (
    'required',
    'reserved',
    'scarce',
    'mode',
    'unreported',
    'placement_unreachable',
    'refresh_s',
    'trust_s',
    'retry_s',
    'wait_s',
    'report_max_age_weeks',
    'nested_set_on_move',
    'preferred_weight_multiplier',
    'scarce_weight_multiplier',
)
"""The mutable options; no other affects a request."""


def policy(values: Mapping[str, Any]) -> Policy:
    """The policy that these values make.

    :param values: by option, as oslo.config returned them
    """
    return Policy(
        tuple(values['required']),
        WhenUnknown(values['unreported']),
        WhenUnknown(values['placement_unreachable']),
        frozenset(values['reserved']),
        Mode(values['mode']),
    )


def problem(name: str, error: Exception, file: str = 'nova.conf') -> str:
    """What is wrong with one option, and what is allowed.

    :param error: what oslo.config raised when the option was read
    """
    _, _, reason = str(error).partition('is not valid: ')
    text = requests.shorten(f'{reason or error}'.strip().rstrip('.'), 600)
    return f'[hvfilter] {name} in {file} is not valid: {text}'


def contradictions(values: Mapping[str, Any]) -> dict[str, str]:
    """Why options are not valid together, by option."""
    problems = {}
    if not possible.together(values['required']):
        problems['required'] = (
            f'[hvfilter] required = {words(values["required"])} is not '
            'valid: no host can have all of these; allowed: capabilities of '
            'one kind of processor'
        )
    if values['trust_s'] < values['refresh_s']:
        problems['trust_s'] = problems['refresh_s'] = (
            f'[hvfilter] trust_s = {values["trust_s"]:g} is not valid with '
            f'refresh_s = {values["refresh_s"]:g}; allowed: trust_s of at '
            'least refresh_s'
        )
    return problems


def words(value: object) -> str:
    """A value as it stands in nova.conf."""
    if isinstance(value, list):
        return ','.join(map(str, value)) or 'nothing'
    return str(value)
