# SPDX-License-Identifier: Apache-2.0
"""What KVM did with the guests of other hosts, and with mutated ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hvfilter.host import snapshot
from hvfilter.host.answers import Answers
from hvfilter.host.question import KVM_FEATURE_MSRS, KVM_SUPPORTED_CPUID
from hvfilter.model.nested_registers import SVM_FEATURES, Registers
from tests.lab import image, table

LATE_NS = 2_000_000_000
"""How much later than the timer a guest may be gone: an emulated processor on
a busy machine needs that long to tear a virtual machine down."""

ENFORCED = frozenset({'SVM', 'NPT'})
"""What KVM refuses where it does not offer it. The rest of SVM it takes:
libvirt and QEMU refuse that."""

Results = Mapping[str, Any]


def sets_for(host: table.LabHost) -> dict[str, list[str]]:
    """The nested sets of the recorded hosts, as trait names, whose guests a
    host is given: those of its own kind.

    Without nesting an Intel host offers no registers that could be compared;
    an AMD host must refuse all.
    """
    if not host.runs or host.broken:
        return {}
    if host.module == 'kvm-amd':
        return {'SVM': _recorded_sets(_svm)}
    if host.module == 'kvm-intel' and host.expected['nested'] == table.P:
        return {'VMX': _recorded_sets(_vmx)}
    return {}


def _recorded_sets(
    registers_of: Callable[[Answers], Registers | None],
) -> list[str]:
    found = set()
    for path in (image.ROOT / 'tests' / 'hosts').glob('*.json'):
        registers = registers_of(snapshot.loads(path.read_bytes()).answers)
        if registers is not None and registers.trait:
            found.add(registers.trait)
    return sorted(found)


def _vmx(answers: Answers) -> Registers | None:
    msrs = answers.get(KVM_FEATURE_MSRS)
    return Registers.vmx(msrs) if isinstance(msrs, Mapping) else None


def _svm(answers: Answers) -> Registers | None:
    entries = answers.get(KVM_SUPPORTED_CPUID)
    if not isinstance(entries, tuple):
        return None
    table = {entry.leaf: entry.regs for entry in entries}
    if 0x80000001 not in table or not table[0x80000001].ecx >> 2 & 1:
        return None
    return Registers.svm(table[SVM_FEATURES].edx)


def wrong(results: Results) -> Iterator[str]:
    """Where KVM refuses what the rule allows, or the other way round, and
    mutated guests that outlived the timer."""
    restored = results.get('restored') or {}
    for kind, found in restored.items():
        if found is None:
            yield f'KVM offers no {kind}, so it was given no state'
        elif 'error' in found:
            yield f'{kind} state could not be given to KVM: {found["error"]}'
        else:
            compared = {'VMX': _wrong_vmx, 'SVM': _wrong_svm}
            yield from compared[kind](found)
    mutated = results.get('mutated')
    if mutated:
        over = mutated['longest_ns'] - mutated['limit_ns']
        if over > LATE_NS:
            yield f'a mutated guest took {over / 1e6:.0f} ms too long'
        if mutated['after'] != ['native']:
            yield f'after mutated guests, a plain one: {mutated["after"]}'


def _wrong_vmx(found: Results) -> Iterator[str]:
    for what, taken, allowed in found['bits_that_differ']:
        yield f'{what}: KVM {_word(taken)}, the rule {_word(allowed)}'
    for trait, taken, allowed, missing in found['sets']:
        if taken != allowed:
            yield (
                f'guest of {trait}: KVM {_word(taken)}, the rule '
                f'{_word(allowed)} {missing}'
            )


def _wrong_svm(found: Results) -> Iterator[str]:
    for trait, tries in found['sets']:
        for uses, taken, allowed in tries:
            if allowed > taken or (taken > allowed and uses in ENFORCED):
                yield (
                    f'guest of {trait} that uses {uses}: KVM {_word(taken)}, '
                    f'the rule {_word(allowed)}'
                )


def _word(taken: bool) -> str:
    return 'accepts it' if taken else 'refuses it'


def summary(results: Results) -> Iterator[str]:
    """A line for each."""
    restored = results.get('restored') or {}
    vmx, svm = restored.get('VMX') or {}, restored.get('SVM') or {}
    if 'sets' in vmx:
        taken = sum(one[1] for one in vmx['sets'])
        yield (
            f'VMX state: {vmx["bits"]} bits tried, '
            f'{len(vmx["sets"])} sets, {taken} accepted'
        )
    if 'sets' in svm:
        tries = [one for _, tried in svm['sets'] for one in tried]
        refused = {uses for uses, taken, _ in tries if not taken}
        beyond = {uses for uses, taken, allowed in tries if taken > allowed}
        yield (
            f'SVM state: {len(svm["sets"])} sets, {len(tries)} guests; '
            f'refused: {_list(refused)}; accepted, though not offered: '
            f'{_list(beyond)}'
        )
    mutated = results.get('mutated')
    if mutated:
        runs = sum(mutated['endings'].values())
        yield (
            f'{runs} mutated guests, the longest '
            f'{mutated["longest_ns"] / 1e6:.0f} ms with a timer of '
            f'{mutated["limit_ns"] / 1e6:.0f} ms: {mutated["endings"]}'
        )


def _list(words: Iterable[str]) -> str:
    return ' '.join(sorted(words)) or 'none'
