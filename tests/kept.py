# SPDX-License-Identifier: Apache-2.0
"""How much memory a package holds on to.

Follows references, which slows nothing down meanwhile; to trace allocations
makes all that runs several times slower.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterable, Iterator

_OF_PYTHON = frozenset({'builtins', 'collections', '_thread', 'threading'})
_OF_ALL = (types.ModuleType, type, types.FunctionType, types.CodeType)


def kept(package: str, roots: Iterable[object]) -> tuple[int, int]:
    """What a package keeps.

    :param roots: objects that refer to what it keeps, beside its modules
    :returns: bytes reachable from the roots through containers and objects
        of the package, and how many objects of its classes are alive, by
        whomever they are kept
    """
    gc.collect()
    modules = (
        value
        for name, module in list(sys.modules.items())
        if name == package or name.startswith(f'{package}.')
        for value in list(vars(module).values())
    )
    total = sum(map(sys.getsizeof, _reachable(package, [*roots, *modules])))
    alive = sum(_is_of(package, each) for each in gc.get_objects())
    return total, alive


def _reachable(package: str, roots: list[object]) -> Iterator[object]:
    # The objects themselves, lest an id is given anew meanwhile.
    seen: dict[int, object] = {}
    waiting = roots
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _OF_ALL):
            continue
        seen[id(each)] = each
        yield each
        # Bound methods and partials lead to what they are bound to.
        own = _is_of(package, each) or callable(each)
        if own or type(each).__module__ in _OF_PYTHON:
            waiting.extend(gc.get_referents(each))


def _is_of(package: str, each: object) -> bool:
    return f'{type(each).__module__}.'.startswith(f'{package}.')
