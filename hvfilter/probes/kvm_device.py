# SPDX-License-Identifier: Apache-2.0
"""Stage kvm: does the kernel offer KVM, and does it run a guest natively?

An open /dev/kvm proves nothing: it may fail at the first KVM_RUN, or
emulate every instruction. Only the smoke run shows which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hvfilter.host import smoke
from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.host.facts import SmokeRun
from hvfilter.model.catalogue import CATALOGUE, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import (
    kvm_access,
    kvm_remedies,
    per_arch,
    smoke_verdict,
)
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, access
from hvfilter.probes.remedies import NONE, Advice, all_of
from hvfilter.probes.x86_readings import vendor_module

DEVICE = '/dev/kvm'

_NEVER_ASKED = frozenset({NOT_RECORDED, 'EOPNOTSUPP'})
"""Denials of a host that is only a set of files."""

_NOT_TO_BE_RUN = frozenset({'ECANCELED', 'EOPNOTSUPP'})
"""The guest was not to be run: --no-smoke, or an architecture for which
there is no guest. Only then the module is evidence."""

_NOT_OF_KVM = frozenset({'iommu', 'interrupt_remapping'})

_SMOKE = Source(Stage.KVM, Strength.SMOKE, 'smoke run', 'a guest that runs')

_NEEDS_KVM = tuple(
    row.key
    for row in CATALOGUE
    if Stage.KVM in row.stages and row.key not in _NOT_OF_KVM
)


class KvmDevice(Probe):
    """/dev/kvm: there, ours to open, and able to run a guest."""

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        unmet = per_arch.unmet_need(host)
        closed = kvm_access.closed_to_qemu(host)
        observed = list(_observe(host))
        yield from _doubts(observed)
        for observation in observed:
            present = (
                observation.state is State.PRESENT
                and observation.capability == 'kvm'
            )
            if closed and present:
                yield dataclasses.replace(
                    observation,
                    state=State.UNKNOWN,
                    reason=closed[0],
                    remedy=closed[1],
                )
            elif unmet and observation.state is State.PRESENT:
                reason = f'{observation.reason}; but {unmet}'
                yield dataclasses.replace(
                    observation, state=State.UNKNOWN, reason=reason
                )
            else:
                yield observation


def _doubts(observed: list[Observation]) -> Iterator[Observation]:
    """What needs a KVM that runs, where that could not be found out.

    Where it is known that KVM runs guests, and only QEMU may not open the
    device, KVM uses what it uses.
    """
    of_kvm = [
        observation
        for observation in observed
        if observation.capability == 'kvm'
    ]
    if any(observation.state is not State.UNKNOWN for observation in of_kvm):
        return
    if not of_kvm:
        return
    doubt = max(of_kvm, key=lambda observation: observation.strength)
    for key in _NEEDS_KVM:
        if key != 'kvm':
            yield dataclasses.replace(
                doubt,
                capability=key,
                strength=Strength.SMOKE,
                source=_SMOKE.name,
                asked=_SMOKE.item,
            )


def _observe(host: ProbeContext) -> Iterator[Observation]:
    try:
        version = host.kvm_api_version()
    except Denied as denied:
        yield from _not_open(host, denied)
        if denied.error in _NEVER_ASKED:
            yield from _left_only_files(host)
        return
    yield from _opens(host, version)


def _not_open(host: ProbeContext, denied: Denied) -> Iterator[Observation]:
    """Refused is UNKNOWN; ABSENT only if the kernel offers no KVM at all."""
    registered = unless_denied(lambda: host.kvm_registered, None)
    if registered is False and not denied.forbidden:
        source = Source(Stage.KVM, Strength.PARAMETER, '/proc/misc', 'kvm')
        reason = f'the kernel offers no KVM: {per_arch.why_no_kvm(host)}'
        remedy = all_of(_start(host), kvm_remedies.READ_DMESG())
        for key in _NEEDS_KVM:
            yield source.absent(key, f'not there; {denied}', reason, remedy)
        return
    if denied.forbidden:
        reason = f'{DEVICE} is there but may not be opened: {denied.text}'
        remedy = kvm_access.remedy_of(host, denied)
    elif registered and denied.not_found:
        reason = f'the kernel offers KVM, but {DEVICE} is missing here'
        remedy = kvm_remedies.GIVE_DEVICE()
    else:
        reason = f'{DEVICE} could not be asked: {denied.text}'
        remedy = access(denied) if denied.error == NOT_RECORDED else NONE
    source = Source(Stage.KVM, Strength.IOCTL, DEVICE, 'open')
    yield source.unknown('kvm', str(denied), reason, remedy)


def _left_only_files(host: ProbeContext) -> Iterator[Observation]:
    """Of a host that only left files: its KVM ran when they were kept.

    Unless the recording holds how a guest ran: that is all that counts then.
    """
    try:
        run = host.smoke()
    except Denied as denied:
        if denied.error not in {*_NOT_TO_BE_RUN, *_NEVER_ASKED}:
            return
    else:
        yield from _ran(run)
        return
    try:
        registered = host.kvm_registered
    except Denied:
        # What the device was asked and did not answer is reported already.
        return
    proof = _proof(host)
    if registered and proof:
        source = Source(Stage.KVM, Strength.FLAGS, '/proc/misc', 'kvm')
        reason = f'{proof} runs and offers {DEVICE}; it was not asked'
        yield source.present('kvm', proof, reason)


def _start(host: ProbeContext) -> Advice:
    """How to make the kernel offer KVM."""
    if host.arch is not Arch.X86:
        return per_arch.start(host)
    module = vendor_module(host)
    if not module:
        return kvm_remedies.LOAD_EITHER()
    return kvm_remedies.LOAD_MODULE(module=module)


def _opens(host: ProbeContext, version: int) -> Iterator[Observation]:
    """Opening is a claim only of a KVM that hardware is needed for, and only
    where no guest was to be run: what a run could not settle, a module does
    not settle either.

    kvm_intel, kvm_amd and kvm_hv, and the one KVM of other architectures,
    start on no processor and no firmware that cannot run guests; of any
    other module nothing follows.
    """
    not_run: Denied | None = None
    try:
        run = host.smoke()
    except Denied as denied:
        not_run = denied
    proof = _proof(host)
    if not_run is None or not_run.error not in _NOT_TO_BE_RUN:
        state = State.UNKNOWN
        reason = f'{DEVICE} opens; only a guest that runs proves more'
    elif proof:
        state = State.PRESENT
        reason = f'{DEVICE} opens and {proof} runs; no guest was run'
    else:
        state = State.UNKNOWN
        reason = f'{DEVICE} opens, which proves nothing without a guest'
    yield Source(
        Stage.KVM,
        Strength.PARAMETER,
        'KVM_GET_API_VERSION',
        'API version, module',
    ).observation(
        'kvm',
        state,
        f'{version}, {proof or "no module that needs the hardware"}',
        reason,
        NONE if proof else kvm_remedies.LET_IT_RUN(),
    )
    yield from _ran(run) if not_run is None else (_not_run(not_run),)


_HARDWARE_MODULES = {
    Arch.X86: ('kvm_intel', 'kvm_amd'),
    Arch.PPC64: ('kvm_hv',),
}
_ONE_KVM = frozenset({Arch.ARM64, Arch.S390X, Arch.RISCV64, Arch.LOONGARCH64})


def _proof(host: ProbeContext) -> str:
    """What runs that needs the hardware, '' when nothing is known to."""
    if host.arch in _ONE_KVM:
        return "the kernel's KVM"
    modules = _HARDWARE_MODULES.get(host.arch, ())
    return next((name for name in modules if host.module_seen(name)), '')


def _not_run(denied: Denied) -> Observation:
    remedy = NONE
    if denied.error == 'ECANCELED':
        remedy = kvm_remedies.LET_IT_RUN()
    elif denied.error == NOT_RECORDED:
        remedy = access(denied)
    reason = f'no guest was run: {denied.text}'
    return _SMOKE.unknown('kvm', str(denied), reason, remedy)


def _ran(run: SmokeRun) -> Iterator[Observation]:
    verdict = smoke_verdict.judge(run)
    state, remedy = _state_and_remedy(verdict.outcome, run)
    # Whatever a KVM that runs no guest is set up to use, it uses for none.
    for key in _NEEDS_KVM if state is State.ABSENT else ('kvm',):
        yield _SMOKE.observation(key, state, _steps(run), verdict.text, remedy)


def _state_and_remedy(
    outcome: smoke_verdict.Outcome, run: SmokeRun
) -> tuple[State, Advice]:
    """Everything but NATIVE leaves kvm not PRESENT."""
    if outcome is smoke_verdict.Outcome.NATIVE:
        return State.PRESENT, NONE
    if outcome is smoke_verdict.Outcome.EMULATED:
        return State.ABSENT, kvm_remedies.HARDWARE()
    step, ending = run.steps[-1] if run.steps else ('', '')
    known = kvm_remedies.FAILED if step == 'create_vm' else {}
    remedy = known.get(ending, kvm_remedies.GUEST_FAILED)
    if outcome is smoke_verdict.Outcome.FAILED:
        return State.ABSENT, remedy()
    if ending in smoke.REFUSED:
        return State.UNKNOWN, kvm_remedies.SECURITY_MODULE()
    if not ending or ending in smoke.TRANSIENT | smoke.REACHED:
        return State.UNKNOWN, kvm_remedies.LESS_BUSY()
    return State.UNKNOWN, remedy()


def _steps(run: SmokeRun) -> str:
    """How far the guest came, in the words of the run."""
    return ', '.join(f'{step}: {outcome}' for step, outcome in run.steps)
