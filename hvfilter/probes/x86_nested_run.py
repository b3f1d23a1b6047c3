# SPDX-License-Identifier: Apache-2.0
"""Stage kvm on x86: does a guest really run a guest of its own?

What KVM offers is a claim; a guest that uses it is the proof. It is tried
only where the plain guest ran natively and KVM does not deny what is needed,
and never where ``[hvfilter] nested_guest`` or --no-smoke says no.

What was to be found out and could not be is a doubt: then the offer, which a
guest may have disproved, does not count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from hvfilter.host import smoke
from hvfilter.host.base import NOT_RECORDED, Denied
from hvfilter.host.facts import SmokeRun
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import (
    kvm_remedies,
    nested_option,
    nested_remedies,
    nested_words,
    smoke_verdict,
)
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access
from hvfilter.probes.remedies import NONE, Advice
from hvfilter.probes.smoke_verdict import Outcome, SmokeVerdict
from hvfilter.probes.x86_readings import vendor_module

Observations = Mapping[str, Observation]
"""By capability."""

_RUN = Source(
    Stage.KVM, Strength.SMOKE, 'nested smoke run', 'a guest in a guest'
)
_NOT_RUN = dataclasses.replace(_RUN, strength=Strength.IOCTL)
"""Nothing follows from a guest that nobody wanted to be run: the offer
counts."""

_NOT_WANTED = frozenset({'ECANCELED', 'EOPNOTSUPP', NOT_RECORDED})

_MAY_BE = frozenset({State.PRESENT, State.UNKNOWN})

_HOW = {
    'nested': 'a guest in a guest',
    'nested_slat': 'a guest in a guest, with nested paging,',
}


def observe(
    host: ProbeContext, offered: Mapping[str, State]
) -> Iterator[Observation]:
    """What became of the nested guests.

    :param offered: ``nested`` and ``nested_slat``, and whether KVM offers
        them; UNKNOWN where it could not be asked
    """
    keys = [key for key in _HOW if offered.get(key) in _MAY_BE]
    if 'nested' not in keys:
        return
    certain = [key for key in keys if offered[key] is State.PRESENT]
    reason = _plain_guest(host)
    if reason:
        for key in certain:
            yield _not_run(key, _NOT_RUN, 'not run', reason)
        return
    refusal = nested_option.refusal(host)
    if refusal is not None:
        source = _RUN if refusal.doubtful else _NOT_RUN
        why = refusal.value, refusal.reason, refusal.remedy
        for key in keys:
            yield _not_run(key, source, *why)
        return
    runs = dict(_runs(host, keys))
    if any(one.strength is _RUN.strength for one in runs.values()):
        yield from _concluded(runs).values()
    elif reason is not None:
        yield from (runs[key] for key in certain)


def _not_run(
    key: str, source: Source, value: str, reason: str, remedy: Advice = NONE
) -> Observation:
    text = f'{_HOW[key].rstrip(",")} was not run: {reason}'
    return source.unknown(key, value, text, remedy)


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


def _runs(
    host: ProbeContext, keys: list[str]
) -> Iterator[tuple[str, Observation]]:
    """One run a capability; after one that settled nothing, no other: it
    might take as long again."""
    undecided: SmokeRun | None = None
    for key in keys:
        if undecided is not None:
            yield key, _after(key, undecided)
            continue
        try:
            run = host.nested_smoke(key)
        except Denied as denied:
            yield key, _denied(key, denied)
            continue
        verdict = smoke_verdict.judge(run)
        if verdict.outcome is Outcome.INCONCLUSIVE:
            undecided = run
        yield key, _observed(host, key, run, verdict)


def _concluded(runs: Observations) -> Observations:
    """What follows of each from all of them; one at least was to be run.

    Where only the run with nested paging went well, guests have nested
    virtualization all the same: it is what today's hypervisors use. So
    ``nested`` is missing only where no other run leaves a doubt, and a run
    that is missing beside another is a doubt.
    """
    found = {
        key: dataclasses.replace(one, strength=_RUN.strength)
        for key, one in runs.items()
    }
    own = found['nested']
    for other in found.values():
        better = other.state is State.PRESENT
        if own.state is State.ABSENT and other.state is State.UNKNOWN:
            other = dataclasses.replace(
                other, reason=f'{own.reason}; and {other.reason}'
            )
            better = True
        if better and own.state is not State.PRESENT:
            own = dataclasses.replace(other, capability='nested')
    return {**found, 'nested': own}


def _denied(key: str, denied: Denied) -> Observation:
    """A guest that was to be run and could not be is a doubt; one that was
    not to be run, or that an older recording does not hold, is none."""
    source = _NOT_RUN if denied.error in _NOT_WANTED else _RUN
    remedy: Advice = access(denied)
    if denied.error == 'ECANCELED':
        remedy = kvm_remedies.LET_IT_RUN()
    return _not_run(key, source, str(denied), denied.text, remedy)


def _after(key: str, undecided: SmokeRun) -> Observation:
    reason = 'the one without it settled nothing'
    return _not_run(key, _RUN, _steps(undecided), reason, _again(undecided))


def _observed(
    host: ProbeContext, key: str, run: SmokeRun, verdict: SmokeVerdict
) -> Observation:
    value = _steps(run)
    how, outcome = _HOW[key], verdict.outcome
    if outcome is Outcome.NATIVE:
        return _RUN.present(key, value, f'{how} is {verdict.text}')
    if outcome is Outcome.EMULATED:
        reason = f'KVM offers it, but {how} is slow: {verdict.text}'
        return _RUN.absent(key, value, reason, _slow(host))
    if outcome is Outcome.FAILED:
        _, ending = run.steps[-1]
        reason = f'KVM offers it, but {how} failed: {nested_words.why(ending)}'
        return _RUN.absent(key, value, reason, _failed(host, key))
    reason = f'{how} settled nothing: {verdict.text}'
    return _RUN.unknown(key, value, reason, _again(run))


def _steps(run: SmokeRun) -> str:
    return ', '.join(f'{step}: {outcome}' for step, outcome in run.steps)


def _module(host: ProbeContext) -> str:
    return vendor_module(host) or "KVM's module"


def _slow(host: ProbeContext) -> Advice:
    return nested_remedies.SLOW(module=_module(host))


def _failed(host: ProbeContext, key: str) -> Advice:
    if key == 'nested_slat':
        return nested_remedies.PAGING_FAILED()
    return nested_remedies.FAILED(module=_module(host))


def _again(run: SmokeRun) -> Advice:
    ending = run.steps[-1][1] if run.steps else 'TIMEOUT'
    if ending in smoke.TRANSIENT | smoke.REACHED:
        return kvm_remedies.LESS_BUSY()
    if ending in smoke.REFUSED:
        return kvm_remedies.SECURITY_MODULE()
    return kvm_remedies.GUEST_FAILED()
