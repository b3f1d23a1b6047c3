# SPDX-License-Identifier: Apache-2.0
"""Names of extra specs that were meant for hvfilter and have no effect.

The pattern holds no ":" of its own: nova-api takes what stands before the
first one for a namespace (``nova/api/validation/extra_specs/validators.py``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def _any_case(word: str) -> str:
    """A pattern of the word without regard to case; flags hold a ":"."""
    return ''.join(f'[{c.lower()}{c.upper()}]' for c in word)


_NAME = f'{_any_case("hv")}[-_. ]?{_any_case("filter")}'

_SCOPE = rf'\s*{_NAME}(?![a-zA-Z0-9])[\s\S]*'
RESEMBLES_OWN = (
    rf'{_SCOPE}'
    rf'|[\s\S]*{_any_case("custom")}[-_. ]?{_NAME}[\s\S]*'
)
"""hvfilter with blanks, capitals or a wrong sign in it, and hvfilter's traits
wherever they stand; names that are spelled right match too."""

_RESEMBLES_OWN = re.compile(RESEMBLES_OWN)
_RESEMBLES_SCOPE = re.compile(_SCOPE)


def resembles_own(name: str) -> bool:
    """Whether an extra spec of this name was meant for hvfilter."""
    return _RESEMBLES_OWN.fullmatch(name) is not None


def resembles_scope(name: str) -> bool:
    """Whether a name begins with "hvfilter", however that is spelled."""
    return _RESEMBLES_SCOPE.fullmatch(name) is not None


def nearest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, '' if none is near.

    :param name: in any case, with ``-`` or blanks for ``_``
    """
    key = re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')
    near = difflib.get_close_matches(key, list(names), 1)
    return near[0] if near else ''
