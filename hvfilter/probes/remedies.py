# SPDX-License-Identifier: Apache-2.0
"""Remedies: what a person can do, each with a key and its conditions.

A probe defines the remedies that it gives as :class:`Remedy` constants of its
own module; :func:`every` finds them, and the documentation's table and the
tests are made from that. What a finding carries is an :class:`Advice`: the
text, which also knows the keys of the remedies that it is made of.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterable, Mapping

ANY = 'any'


class Advice(str):
    """A remedy's text; like any other string, except that it has keys.

    :ivar keys: of the remedies it is made of, the likeliest first; a
        report's JSON form has the text alone
    """

    keys: tuple[str, ...]

    def __new__(cls, text: str, keys: tuple[str, ...] = ()) -> Advice:
        advice = super().__new__(cls, text)
        advice.keys = keys
        return advice


NONE = Advice('')
"""Nothing can be done, or nothing needs to be."""


@dataclasses.dataclass(frozen=True)
class Remedy:
    """One remedy.

    :ivar key: lower snake case, unique
    :ivar text: what to do, one clause; ``{name}`` stands for what differs
        from host to host
    :ivar cause: for which cause it is given
    :ivar vendor: of the processor or machine for which it is given
    :ivar kernel: for which it is given
    :ivar machine: the kind of machine for which it is given
    :ivar source: where the driver, the firmware or Nova says that it helps
    """

    key: str
    text: str
    cause: str
    vendor: str = ANY
    kernel: str = ANY
    machine: str = ANY
    source: str = ''

    def __call__(self, **values: str) -> Advice:
        """The advice for one host.

        :param values: for each ``{name}`` of the text
        """
        return Advice(self.text.format(**values), (self.key,))


OTHER_HARDWARE = Remedy(
    'other_hardware',
    'other hardware',
    'the processor or chipset lacks the feature',
    machine='bare metal',
    source='the specification that the capability names',
)


def first(*advice: Advice) -> Advice:
    """Several remedies of which one helps, the likeliest first."""
    return _joined('; if that does not help: ', advice)


def all_of(*advice: Advice) -> Advice:
    """Several remedies that are all needed."""
    return _joined('; and also ', advice)


def _joined(words: str, advice: Iterable[Advice]) -> Advice:
    parts = [one for one in advice if one]
    keys = tuple(key for part in parts for key in part.keys)
    return Advice(words.join(parts), keys)


def every() -> Mapping[str, Remedy]:
    """All remedies of all probes of this package, by key, in order of key.

    :raises ValueError: when two have the same key
    """
    from hvfilter import probes

    remedies: dict[str, Remedy] = {}
    for module in pkgutil.iter_modules(probes.__path__):
        name = f'{probes.__name__}.{module.name}'
        for value in vars(importlib.import_module(name)).values():
            for remedy in _within(value):
                if remedies.setdefault(remedy.key, remedy) is not remedy:
                    raise ValueError(f'two remedies are called {remedy.key}')
    return dict(sorted(remedies.items()))


def _within(value: object) -> tuple[Remedy, ...]:
    """The remedies that a module's constant is or holds."""
    if isinstance(value, Mapping):
        return tuple(one for one in value.values() if isinstance(one, Remedy))
    return (value,) if isinstance(value, Remedy) else ()
