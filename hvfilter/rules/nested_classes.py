# SPDX-License-Identifier: Apache-2.0
"""Hosts grouped by what their guests get of VMX or SVM.

Guests that use nested virtualization can move from a class to each class that
accepts its set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from hvfilter.model import nested_flags
from hvfilter.model.nested_registers import SVM_FEATURES, Kind, Registers
from hvfilter.rules import nested_move, nested_set


@dataclasses.dataclass(frozen=True)
class NestedClass:
    """Hosts with the same set.

    :ivar label: such as ``SVM-1``
    :ivar hosts: their names, in order
    :ivar accepts: labels of other classes whose guests can go on here
    :ivar lacks: features that another class of the kind has, and this has not
    :ivar surplus: features that it has and the greatest common set has not
    """

    label: str
    registers: Registers
    hosts: tuple[str, ...]
    accepts: tuple[str, ...]
    lacks: tuple[str, ...]
    surplus: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Classes:
    """All of them.

    :ivar classes: one that accepts another comes before it
    :ivar common: the greatest set that all classes of a kind accept, None
        where there is none
    """

    classes: tuple[NestedClass, ...]
    common: Mapping[Kind, Registers | None]

    def of(self, kind: Kind) -> tuple[NestedClass, ...]:
        """Those of one kind."""
        return tuple(c for c in self.classes if c.registers.kind is kind)

    @property
    def exchange(self) -> bool:
        """Whether each host can take the guests of each other."""
        return all(not each.lacks for each in self.classes) and (
            len({each.registers.kind for each in self.classes}) < 2
        )


def group(sets: Mapping[str, Registers]) -> Classes:
    """The classes of hosts whose sets are known, by name."""
    hosts: dict[Registers, list[str]] = {}
    for name in sorted(sets):
        hosts.setdefault(sets[name], []).append(name)
    classes: list[NestedClass] = []
    common: dict[Kind, Registers | None] = {}
    for kind in Kind:
        alike = _ordered([r for r in hosts if r.kind is kind], hosts)
        if not alike:
            continue
        common[kind] = least = nested_set.common(alike)
        label = {r: f'{kind.value}-{n}' for n, r in enumerate(alike, 1)}
        classes.extend(
            NestedClass(
                label[each],
                each,
                tuple(hosts[each]),
                tuple(
                    label[other]
                    for other in alike
                    if other != each and nested_set.accepts(each, other)
                ),
                _missing(each, alike),
                () if least is None else nested_set.missing(least, each),
            )
            for each in alike
        )
    return Classes(tuple(classes), common)


def _ordered(
    sets: Iterable[Registers], hosts: Mapping[Registers, list[str]]
) -> list[Registers]:
    """Whoever accepts more comes first, so inclusion is kept; then size."""
    listed = list(sets)
    accepted = {
        each: sum(nested_set.accepts(each, other) for other in listed)
        for each in listed
    }
    return sorted(
        listed,
        key=lambda each: (-accepted[each], -len(hosts[each]), each.trait),
    )


def _missing(
    target: Registers, sources: Iterable[Registers]
) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            text
            for source in sources
            for text in nested_set.missing(target, source)
        )
    )


def differences(sets: Mapping[str, Registers]) -> str:
    """Why hosts cannot exchange guests, in words; '' if all can.

    :param sets: by the name of the host
    """
    classes = group(sets)
    if classes.exchange:
        return ''
    return '; '.join(
        f'{each.label} ({_hosts(each.hosts)}) {_lacks(each)}'
        for each in classes.classes[:_MOST_CLASSES]
    )


def _lacks(each: NestedClass) -> str:
    if not each.lacks:
        return 'has all of its kind'
    return f'lacks {nested_move.shortened(each.lacks)}'


def _hosts(names: tuple[str, ...]) -> str:
    more = ', ...' if len(names) > _MOST_HOSTS else ''
    return f'{", ".join(names[:_MOST_HOSTS])}{more}'


_MOST_CLASSES = 4
_MOST_HOSTS = 3


def lost(before: Registers, after: Registers | None) -> tuple[str, ...]:
    """What a common set loses when it becomes another."""
    if after is None:
        return ('all of it',)
    return nested_set.missing(after, before)


_PARAMETERS = {
    (SVM_FEATURES, 0): 'kvm_amd npt=1',
    (SVM_FEATURES, 1): 'kvm_amd lbrv=1',
    (SVM_FEATURES, 3): 'kvm_amd nrips=1',
    (SVM_FEATURES, 15): 'kvm_amd vls=1',
    (SVM_FEATURES, 16): 'kvm_amd vgif=1',
    (SVM_FEATURES, 25): 'kvm_amd vnmi=1',
    (0x48B, 33): 'kvm_intel ept=1',
    (0x48B, 37): 'kvm_intel vpid=1',
    (0x48B, 39): 'kvm_intel unrestricted_guest=1',
    (0x48C, 21): 'kvm_intel eptad=1',
}
"""What makes KVM offer it where the processor has it: Linux
arch/x86/kvm/svm/svm.c ``svm_set_cpu_caps``, vmx/nested.c
``nested_vmx_setup_ctls_msrs``."""


def flags(common: Registers, registers: Registers) -> tuple[str, ...]:
    """``cpu_model_extra_flags`` that take what is beyond the common set.

    Features that have no such flag are left out.
    """
    return tuple(
        f'-{name}'
        for (number, bit), name in nested_flags.FLAGS.items()
        if registers[number] & ~common[number] & 1 << bit
    )


def parameters(
    registers: Registers, others: Iterable[Registers]
) -> tuple[str, ...]:
    """Module parameters that may add what others of the kind have."""
    kind = [each for each in others if each.kind is registers.kind]
    return tuple(
        words
        for (number, bit), words in _PARAMETERS.items()
        if not registers[number] >> bit & 1
        and any(each[number] >> bit & 1 for each in kind)
    )
