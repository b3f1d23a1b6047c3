# SPDX-License-Identifier: Apache-2.0
"""Validators of ``hvfilter:`` extra specs for nova-api.

nova-api runs :func:`register` while it is imported, and an exception there
keeps it from starting; so none leaves it.
"""

from __future__ import annotations

import difflib
from typing import Any

from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand

LOG = logging.getLogger(__name__)

_VALUES = [demand.value for demand in Demand]


def register() -> list[Any]:
    """The validators, of type ExtraSpecValidator: one for each capability,
    and one that answers for all other names of ours."""
    try:
        return _validators()
    except Exception as error:
        LOG.warning(
            'Extra specs hvfilter:* are not validated: this Nova has other '
            'validators than hvfilter knows (%s)',
            error,
        )
        return []


def _validators() -> list[Any]:
    from nova import exception
    from nova.api.validation.extra_specs import base

    # Nova has no types to check against.
    class _Unknown(base.ExtraSpecValidator):  # type: ignore[misc]
        """No capability: says so, and which there are."""

        def validate(self, name: str, value: str) -> None:
            raise exception.ValidationError(_no_such(name))

    known = [
        base.ExtraSpecValidator(
            name=f'hvfilter:{capability.key}',
            description=(
                f'Whether the host must, must not or should have '
                f'{capability.key}: {capability.meaning}.'
            ),
            value={
                'type': str,
                'description': 'How strongly it is wanted.',
                'enum': list(_VALUES),
            },
        )
        for capability in catalogue.CATALOGUE
    ]
    # nova-api tries exact names first, so this one answers for the rest.
    other = _Unknown(
        name='hvfilter:{capability}',
        description='Any other name is refused.',
        value={'type': str},
        parameters=[
            {
                'name': 'capability',
                'description': 'Not a capability.',
                'pattern': r'[\s\S]*',
            }
        ],
    )
    return [*known, other]


def _no_such(name: str) -> str:
    key = name.partition(':')[2]
    near = difflib.get_close_matches(key, catalogue.BY_KEY, 1)
    hint = f' Did you mean hvfilter:{near[0]}?' if near else ''
    return (
        f"Validation failed; extra spec '{name[:100]}' names no capability."
        f'{hint} Known are: {", ".join(catalogue.BY_KEY)}.'
    )
