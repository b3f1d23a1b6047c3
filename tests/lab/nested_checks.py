# SPDX-License-Identifier: Apache-2.0
"""What KVM did with the guests of other hosts, and with mutated ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.host import snapshot
from hvfilter.host.question import KVM_FEATURE_MSRS
from hvfilter.model.nested_registers import Registers
from tests.lab import image

LATE_NS = 2_000_000_000
"""How much later than the timer a guest may be gone: an emulated processor on
a busy machine needs that long to tear a virtual machine down."""


def vmx_sets() -> list[str]:
    """The nested sets of VMX of all recorded hosts, as trait names."""
    found = set()
    for path in (image.ROOT / 'tests' / 'hosts').glob('*.json'):
        msrs = snapshot.loads(path.read_bytes()).answers.get(KVM_FEATURE_MSRS)
        registers = Registers.vmx(msrs) if isinstance(msrs, Mapping) else None
        if registers is not None and registers.trait:
            found.add(registers.trait)
    return sorted(found)


def wrong(results: Mapping[str, Any]) -> Iterator[str]:
    """Where KVM refuses what the rule allows, or the other way round, and
    mutated guests that outlived the timer."""
    restored = results.get('vmx_restore') or {}
    if 'error' in restored:
        yield f'VMX state could not be given to KVM: {restored["error"]}'
    elif restored:
        for what, taken, allowed in restored['bits_that_differ']:
            yield f'{what}: KVM {_word(taken)}, the rule {_word(allowed)}'
        for trait, taken, allowed, missing in restored['sets']:
            if taken != allowed:
                yield (
                    f'guest of {trait}: KVM {_word(taken)}, the rule '
                    f'{_word(allowed)} {missing}'
                )
    mutated = results.get('mutated')
    if mutated:
        over = mutated['longest_ns'] - mutated['limit_ns']
        if over > LATE_NS:
            yield f'a mutated guest took {over / 1e6:.0f} ms too long'
        if mutated['after'] != ['native']:
            yield f'after mutated guests, a plain one: {mutated["after"]}'


def _word(taken: bool) -> str:
    return 'accepts it' if taken else 'refuses it'


def summary(results: Mapping[str, Any]) -> Iterator[str]:
    """A line for each."""
    restored = results.get('vmx_restore') or {}
    if 'sets' in restored:
        taken = sum(one[1] for one in restored['sets'])
        yield (
            f'VMX state: {restored["bits"]} bits tried, '
            f'{len(restored["sets"])} sets, {taken} accepted'
        )
    mutated = results.get('mutated')
    if mutated:
        runs = sum(mutated['endings'].values())
        yield (
            f'{runs} mutated guests, the longest '
            f'{mutated["longest_ns"] / 1e6:.0f} ms with a timer of '
            f'{mutated["limit_ns"] / 1e6:.0f} ms: {mutated["endings"]}'
        )
