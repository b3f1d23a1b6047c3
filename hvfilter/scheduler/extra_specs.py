# SPDX-License-Identifier: Apache-2.0
"""Validators of hvfilter's extra specs for nova-api.

nova-api runs :func:`register` while it is imported, and an exception there
keeps it from starting; so none leaves it.

nova-api looks for the exact name first, then for the first pattern that
matches, in the order in which packages were loaded, which is not fixed
(``nova/api/validation/extra_specs/validators.py``). It takes what stands
before the first ":" of a pattern for the pattern of a namespace: a pattern
of ours must not hold any ":" of its own.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from oslo_log import log as logging

from hvfilter.model import catalogue
from hvfilter.model.requirement import Demand
from hvfilter.rules.spelling import RESEMBLES_OWN, resembles_own

LOG = logging.getLogger(__name__)

_VALUES = [demand.value for demand in Demand]
_TRAIT_VALUES = [Demand.REQUIRED.value, Demand.FORBIDDEN.value]
_NOVAS_CUSTOM = 'trait{group}:CUSTOM_{trait}'
"""Nova's own validator of all custom traits."""

_GROUP = {'name': 'group', 'pattern': r'([a-zA-Z0-9_-]{1,64})?'}
_TRAIT = {'name': 'trait', 'pattern': r'[A-Z0-9_]+'}


def register() -> list[Any]:
    """The validators, of type ExtraSpecValidator.

    One for each capability and each trait of ours, and others that refuse
    what looks like one and would have no effect.
    """
    try:
        return _validators()
    except Exception as error:
        LOG.warning(
            'hvfilter extra specs will not be validated: the validator API of '
            'this Nova release is not supported (%s)',
            error,
        )
        return []


def _validators() -> list[Any]:
    from nova import exception
    from nova.api.validation.extra_specs import base

    # Nova has no types to check against.
    class _Refusing(base.ExtraSpecValidator):  # type: ignore[misc]
        """Refuses whatever its name matches."""

        def validate(self, name: str, value: str) -> None:
            raise exception.ValidationError(_no_effect(name))

    class _CustomTraits(base.ExtraSpecValidator):  # type: ignore[misc]
        """Nova's own, but for those of ours: they have exact names."""

        def validate(self, name: str, value: str) -> None:
            if resembles_own(name):
                raise exception.ValidationError(_no_effect(name))
            super().validate(name, value)

    def custom(kind: type[Any], name: str, *parameters: dict[str, str]) -> Any:
        return kind(
            name=name,
            description='Require or forbid trait CUSTOM_{trait}.',
            value={'type': str, 'enum': list(_TRAIT_VALUES)},
            parameters=list(parameters),
        )

    capabilities = [
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
    traits = [
        custom(base.ExtraSpecValidator, f'trait:{name}')
        for name in (*catalogue.BY_TRAIT, catalogue.REPORTED_TRAIT)
    ]
    refused = _Refusing(
        name='{hvfilter}',
        description='Refused, since it would have no effect.',
        value={'type': str},
        parameters=[{'name': 'hvfilter', 'pattern': RESEMBLES_OWN}],
    )
    # Registers the namespace, without which nova-api would accept any name.
    namespace = _Refusing(
        name='hvfilter:{capability}',
        description='Any other name is refused.',
        value={'type': str},
        parameters=[{'name': 'capability', 'pattern': r'[\s\S]*'}],
    )
    # The first wins where Nova's is loaded later, the second takes its place
    # where it was loaded before.
    novas = [
        custom(_CustomTraits, 'trait{group}:CUSTOM_HVFILTER_{trait}', *_BOTH),
        custom(_CustomTraits, _NOVAS_CUSTOM, *_BOTH),
    ]
    return [*capabilities, *traits, refused, namespace, *novas]


_BOTH = (_GROUP, _TRAIT)


def _no_effect(name: str) -> str:
    shown = name[:100]
    namespace, _, rest = name.strip().partition(':')
    trait = rest.strip().upper()
    if trait in catalogue.BY_TRAIT and namespace.lower().startswith('trait'):
        return (
            f"Validation failed; extra spec '{shown}' would have no effect. "
            f'Write trait:{trait}, without a group: hvfilter publishes '
            'traits on the root provider only.'
        )
    key = re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')
    for prefix in ('trait', 'custom', 'hv_filter', 'hvfilter'):
        key = key.removeprefix(prefix).strip('_')
    near = difflib.get_close_matches(key, catalogue.BY_KEY, 1)
    hint = f' Did you mean hvfilter:{near[0]}?' if near else ''
    return (
        f"Validation failed; extra spec '{shown}' names no capability that "
        f'this release of hvfilter knows.{hint} Known are: '
        f'{", ".join(catalogue.BY_KEY)}.'
    )
