# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: does a guest really run a guest of its own?

What KVM offers is a claim; a guest that uses it is the proof. It is tried
only where the plain guest ran natively and KVM offers what is needed, and
never where ``[hvfilter] nested_guest`` or --no-smoke says no.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from hvfilter.host.base import NOT_RECORDED, Denied
from hvfilter.host.facts import SmokeRun
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, Strength
from hvfilter.probes import (
    kvm_remedies,
    nested_words,
    nova_options,
    own_option,
    smoke_verdict,
)
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access
from hvfilter.probes.remedies import NONE, Advice
from hvfilter.probes.smoke_verdict import Outcome, SmokeVerdict

OPTION = 'nested_guest'

_RUN = Source(
    Stage.KVM, Strength.SMOKE, 'nested smoke run', 'a guest in a guest'
)
_NOT_RUN = dataclasses.replace(_RUN, strength=Strength.IOCTL)
"""Nothing follows from a guest that nobody wanted to be run: the offer
counts."""

_NOT_WANTED = frozenset({'ECANCELED', 'EOPNOTSUPP', NOT_RECORDED})

_NO = frozenset({'0', 'false', 'no', 'off'})
_YES = frozenset({'1', 'true', 'yes', 'on'})

_HOW = {
    'nested': 'a guest in a guest',
    'nested_slat': 'a guest in a guest, with nested paging,',
}


def observe(
    host: ProbeContext, offered: Collection[str]
) -> Iterator[Observation]:
    """What became of the nested guests.

    :param offered: ``nested`` and ``nested_slat``, if KVM offers them
    """
    if 'nested' not in offered:
        return
    keys = [key for key in _HOW if key in offered]
    reason = _plain_guest(host)
    if reason is None:
        return
    if reason:
        for key in keys:
            yield _NOT_RUN.unknown(key, 'not run', f'{_not_run(key)}{reason}')
        return
    denied = _forbidden(host)
    if denied is not None:
        for key in keys:
            yield denied(key)
        return
    yield from _each(host, keys)


class _Refused:
    """Why the operator's files keep the guest from running."""

    def __init__(self, source: Source, value: str, reason: str) -> None:
        self._source, self._value, self._reason = source, value, reason

    def __call__(self, key: str) -> Observation:
        reason = f'{_not_run(key)}{self._reason}'
        return self._source.unknown(key, self._value, reason)


def _plain_guest(host: ProbeContext) -> str | None:
    """'' where the plain guest ran natively, else what it did instead; None
    where that is not recorded."""
    try:
        verdict = smoke_verdict.judge(host.smoke())
    except Denied as denied:
        if denied.error in (NOT_RECORDED, 'EOPNOTSUPP'):
            return None
        return f'nor was a plain one: {denied.text}'
    if verdict.outcome is Outcome.NATIVE:
        return ''
    return f'the plain guest did not run natively: {verdict.text}'


def _forbidden(host: ProbeContext) -> _Refused | None:
    """``[hvfilter] nested_guest``; what is not understood or cannot be read
    may be a no."""
    options = nova_options.read(host)
    found = own_option.find(host, options, OPTION)
    name = f'[{own_option.SECTION}] {OPTION}'
    unread = found.denied if found is not None else None
    unread = unread or next(iter(options.refused), None)
    if unread is not None:
        reason = f'{name} could not be read: {unread}'
        return _Refused(_NOT_RUN, str(unread), reason)
    if found is None or found.value.strip().lower() in _YES:
        return None
    reason = f'{name} = {found.value} in {found.path}'
    if found.value.strip().lower() not in _NO:
        reason += ', which is no boolean'
    return _Refused(_NOT_RUN, found.value, reason)


def _each(host: ProbeContext, keys: list[str]) -> Iterator[Observation]:
    """One run a capability; after one that settled nothing, no other: it
    might take as long again.

    Where only the run with nested paging went well, guests have nested
    virtualization all the same: it is what today's hypervisors use.
    """
    runs: dict[str, tuple[SmokeRun, SmokeVerdict]] = {}
    for key in keys:
        try:
            run = host.nested_smoke(key)
        except Denied as denied:
            yield _denied(key, denied)
            continue
        runs[key] = run, smoke_verdict.judge(run)
        if runs[key][1].outcome is Outcome.INCONCLUSIVE:
            break
    for key in keys:
        if key in runs:
            proofs = runs.values() if key == 'nested' else (runs[key],)
            yield _observed(key, *next(filter(_native, proofs), runs[key]))
        elif 'nested' in runs and not _settled(runs['nested']):
            reason = f'{_not_run(key)}the one without it settled nothing'
            run, _ = runs['nested']
            yield _RUN.unknown(key, _steps(run), reason, _again(run))


def _native(result: tuple[SmokeRun, SmokeVerdict]) -> bool:
    return result[1].outcome is Outcome.NATIVE


def _settled(result: tuple[SmokeRun, SmokeVerdict]) -> bool:
    return result[1].outcome is not Outcome.INCONCLUSIVE


def _not_run(key: str) -> str:
    return f'{_HOW[key].rstrip(",")} was not run: '


def _denied(key: str, denied: Denied) -> Observation:
    """A guest that was to be run and could not be is a doubt; one that was
    not to be run, or that an older recording does not hold, is none."""
    wanted = denied.error not in _NOT_WANTED
    source = _RUN if wanted else _NOT_RUN
    remedy: Advice = access(denied)
    if denied.error == 'ECANCELED':
        remedy = kvm_remedies.LET_IT_RUN()
    return source.unknown(
        key, str(denied), f'{_not_run(key)}{denied.text}', remedy
    )


def _observed(key: str, run: SmokeRun, verdict: SmokeVerdict) -> Observation:
    value = _steps(run)
    if verdict.outcome is Outcome.NATIVE:
        return _RUN.present(key, value, f'{_HOW[key]} is {verdict.text}')
    if verdict.outcome is Outcome.EMULATED:
        reason = f'{_HOW[key]} is slow: {verdict.text}'
        return _RUN.absent(key, value, reason, kvm_remedies.GUEST_FAILED())
    if verdict.outcome is Outcome.FAILED:
        _, ending = run.steps[-1]
        why = nested_words.why(ending)
        reason = f'KVM offers it, but {_HOW[key]} failed: {why}'
        return _RUN.absent(key, value, reason, kvm_remedies.GUEST_FAILED())
    reason = f'{_HOW[key]} settled nothing: {verdict.text}'
    return _RUN.unknown(key, value, reason, _again(run))


def _again(run: SmokeRun) -> Advice:
    return kvm_remedies.LESS_BUSY() if run.steps else NONE


def _steps(run: SmokeRun) -> str:
    return ', '.join(f'{step}: {outcome}' for step, outcome in run.steps)
