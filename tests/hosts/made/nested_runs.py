# SPDX-License-Identifier: Apache-2.0
"""x86 hosts whose KVM offers nesting, by what the guest in a guest did.

On most of them it failed: what KVM offers is not what guests get. The endings
are those of ``NestedGuest.refined``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from hvfilter.host.answers import Refusal
from hvfilter.host.facts import SmokeRun
from tests.hosts.made.machine import FORBIDDEN, Made, timed
from tests.hosts.made.x86 import Amd, Intel

Runs = tuple[SmokeRun | Refusal, SmokeRun | Refusal]
"""Without and with nested paging."""

CONFIGURATION = '/etc/hvfilter/hvfilter.conf'


def ended(outcome: str, attempts: int = 1) -> SmokeRun:
    """A run that broke off at the nested step."""
    steps = (('create_vm', 'ok'), ('nested', outcome))
    return SmokeRun(steps, (), 800_000, attempts)


def went(
    guest_ns: float, lengths: Sequence[int] = (1, 512, 65536, 1048576)
) -> SmokeRun:
    """A run to the end, its loop timed."""
    return dataclasses.replace(
        timed(guest_ns, fixed_ns=110_000, lengths=lengths),
        steps=(('create_vm', 'ok'), ('nested', 'IO')),
    )


RAN = went(0.52)
BOTH_RAN: Runs = (RAN, RAN)
EMULATED_LENGTHS = (1, 128, 512, 2048, 4096, 8192, 16384)


def _both(run: SmokeRun) -> Runs:
    return run, run


AMD: Mapping[str, tuple[str, Runs]] = {
    'ran': ('the guest in a guest ran, both ways', BOTH_RAN),
    'svme-refused': (
        'setting EFER.SVME shuts the guest down',
        _both(ended('EFER.SVME/SHUTDOWN')),
    ),
    'save-area-refused': (
        'writing VM_HSAVE_PA shuts the guest down',
        _both(ended('VM_HSAVE_PA/SHUTDOWN')),
    ),
    'vmexit-invalid': (
        'VMRUN ends with VMEXIT_INVALID, both ways',
        _both(ended('VMRUN/EXIT_0xffffffff')),
    ),
    'paging-invalid': (
        'VMRUN ends with VMEXIT_INVALID where NPT is asked for',
        (RAN, ended('VMRUN/EXIT_0xffffffff')),
    ),
    'page-fault': (
        'the guest with NPT leaves with a nested page fault',
        (RAN, ended('VMRUN/EXIT_0x400')),
    ),
    'internal-error': (
        'KVM gives up at VMRUN with an internal error',
        _both(ended('VMRUN/INTERNAL_ERROR')),
    ),
    'paging-only': (
        'only the guest in a guest with NPT runs',
        (ended('VMRUN/SHUTDOWN'), RAN),
    ),
    'emulated': (
        'the guest in a guest runs, 3,000 times as slow as the host',
        _both(went(1_500, lengths=EMULATED_LENGTHS)),
    ),
    'timeout': (
        'the guest in a guest was interrupted by the timer',
        _both(ended('TIMEOUT', attempts=3)),
    ),
    'busy': (
        'a busy host: the guest in a guest is 20 times as slow',
        _both(dataclasses.replace(went(10), attempts=3)),
    ),
    'no-memory': (
        'no memory for the guest in a guest',
        _both(SmokeRun((('create_vm', 'ENOMEM'),), (), 90_000, 3)),
    ),
}

INTEL: Mapping[str, tuple[str, Runs]] = {
    'ran': ('the guest in a guest ran, both ways', BOTH_RAN),
    'feature-control-refused': (
        'writing IA32_FEATURE_CONTROL shuts the guest down',
        _both(ended('IA32_FEATURE_CONTROL/SHUTDOWN')),
    ),
    'vmxe-refused': (
        'setting CR4.VMXE shuts the guest down',
        _both(ended('CR4.VMXE/SHUTDOWN')),
    ),
    'vmxon-failed': (
        'VMXON fails without an error number',
        _both(ended('VMXON/ERROR_0')),
    ),
    'wrong-revision': (
        'VMPTRLD fails with VM-instruction error 11',
        _both(ended('VMPTRLD/ERROR_11')),
    ),
    'control-refused': (
        'VMLAUNCH fails with VM-instruction error 7 where EPT is asked for',
        (RAN, ended('VMLAUNCH/ERROR_7')),
    ),
    'host-state-refused': (
        'VMLAUNCH fails with VM-instruction error 8',
        _both(ended('VMLAUNCH/ERROR_8')),
    ),
    'guest-state-refused': (
        'VM entry fails: invalid guest state',
        _both(ended('VMLAUNCH/EXIT_0x80000021')),
    ),
    'ept-misconfigured': (
        'the guest with EPT leaves with an EPT misconfiguration',
        (RAN, ended('VMLAUNCH/EXIT_0x31')),
    ),
    'resume-failed': (
        'the guest in a guest ran once, and VMRESUME fails',
        _both(
            dataclasses.replace(
                RAN,
                steps=(
                    ('create_vm', 'ok'),
                    ('nested', 'IO'),
                    ('timing', 'VMRESUME/ERROR_5'),
                ),
                samples=(),
            )
        ),
    ),
    'paging-timeout': (
        'VMLAUNCH fails with VM-instruction error 7; with EPT, the timer '
        'interrupted the guest',
        (ended('VMLAUNCH/ERROR_7'), ended('TIMEOUT', attempts=3)),
    ),
    'not-listed': (
        'KVM lists not all MSRs that a VMCS needs',
        _both(ended('ENODATA')),
    ),
    'security-module': (
        'a security module refuses a virtual CPU',
        _both(ended('EACCES')),
    ),
    'emulated': (
        'the guest in a guest runs, 800 times as slow as the host',
        _both(went(400, lengths=EMULATED_LENGTHS)),
    ),
    'timeout': (
        'the guest in a guest was interrupted by the timer',
        _both(ended('TIMEOUT', attempts=3)),
    ),
    'refused': (
        'the guest in a guest may not be run',
        (FORBIDDEN, FORBIDDEN),
    ),
}


def _made(maker: type[Amd | Intel], note: str, runs: Runs) -> Made:
    made = maker(f'KVM offers nesting; {note}').make()
    made.nova(cpu_mode='host-passthrough')
    made.nested_smoke = dict(zip(('nested', 'nested_slat'), runs, strict=True))
    made.options[CONFIGURATION] = {'hvfilter': {'nested_guest': ('true',)}}
    return made


def amd_nested_run_without_npt() -> Made:
    """npt=0: one run, and it failed."""
    failed = ended('VMRUN/EXIT_0xffffffff')
    note = 'npt=0; VMRUN ends with VMEXIT_INVALID'
    made = Amd(f'KVM offers nesting; {note}', parameters={'npt': 'N'}).make()
    made.nova(cpu_mode='host-passthrough')
    made.nested_smoke = {'nested': failed}
    return made


def _host(
    maker: type[Amd | Intel], note: str, runs: Runs
) -> Callable[[], Made]:
    return lambda: _made(maker, note, runs)


HOSTS: Mapping[str, Callable[[], Made]] = {
    f'{name}-nested-run-{how}': _host(maker, note, runs)
    for name, maker, table in (('amd', Amd, AMD), ('intel', Intel, INTEL))
    for how, (note, runs) in table.items()
} | {'amd-nested-run-without-npt': amd_nested_run_without_npt}
