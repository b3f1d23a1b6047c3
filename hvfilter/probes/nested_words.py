# SPDX-License-Identifier: Apache-2.0
"""Why a guest could not run a guest of its own, in words.

The codes are those of the processor's manuals: KVM emulates the instructions
of VMX and SVM for its guests and answers as the processor would.
"""

from __future__ import annotations

from hvfilter.host.nested_guest import SEPARATOR

_INSTRUCTION_ERRORS = {
    0: 'VMfailInvalid, no error number',
    1: 'VMCALL executed in VMX root operation',
    2: 'VMCLEAR with invalid physical address',
    3: 'VMCLEAR with VMXON pointer',
    4: 'VMLAUNCH with non-clear VMCS',
    5: 'VMRESUME with non-launched VMCS',
    6: 'VMRESUME after VMXOFF',
    7: 'VM entry with invalid control field(s)',
    8: 'VM entry with invalid host-state field(s)',
    9: 'VMPTRLD with invalid physical address',
    10: 'VMPTRLD with VMXON pointer',
    11: 'VMPTRLD with incorrect VMCS revision identifier',
    12: 'VMREAD or VMWRITE of an unsupported VMCS component',
    13: 'VMWRITE to a read-only VMCS component',
    15: 'VMXON executed in VMX root operation',
    16: 'VM entry with invalid executive-VMCS pointer',
    17: 'VM entry with non-launched executive VMCS',
    18: 'VM entry with executive-VMCS pointer not VMXON pointer',
    19: 'VMCALL with non-clear VMCS',
    20: 'VMCALL with invalid VM-exit control fields',
    22: 'VMCALL with incorrect MSEG revision identifier',
    23: 'VMXOFF under dual-monitor treatment',
    24: 'VMCALL with invalid SMM-monitor features',
    25: 'VM entry with invalid VM-execution control fields in executive VMCS',
    26: 'VM entry with events blocked by MOV SS',
    28: 'invalid operand to INVEPT or INVVPID',
}
"""SDM volume 3, "VM Instruction Error Numbers"."""

_VMX_EXITS = {
    0: 'exception or NMI',
    1: 'external interrupt',
    2: 'triple fault',
    7: 'interrupt window',
    12: 'HLT',
    33: 'VM-entry failure due to invalid guest state',
    34: 'VM-entry failure due to MSR loading',
    41: 'VM-entry failure due to machine-check event',
    48: 'EPT violation',
    49: 'EPT misconfiguration',
    52: 'VMX-preemption timer expired',
}
"""SDM volume 3, appendix C."""

_SVM_EXITS = {
    0x60: 'VMEXIT_INTR, an interrupt',
    0x61: 'VMEXIT_NMI',
    0x78: 'VMEXIT_HLT',
    0x7F: 'VMEXIT_SHUTDOWN, a triple fault',
    0x400: 'VMEXIT_NPF, a nested page fault',
    0xFFFFFFFF: (
        'VMEXIT_INVALID: the state or the controls of the VMCB were refused, '
        'as where nested paging is asked for and not there'
    ),
    0xFFFFFFFE: 'VMEXIT_BUSY: the VMCB was in use',
}
"""APM volume 2, appendix C; the causes of VMEXIT_INVALID are in 15.5.1."""

_KVM_EXITS = {
    'SHUTDOWN': 'the guest shut down: the instruction is refused',
    'FAIL_ENTRY': 'KVM could not enter the guest',
    'INTERNAL_ERROR': 'KVM gave up with an internal error',
    'HLT': 'the guest halted',
}


def why(outcome: str) -> str:
    """The outcome of a guest in a guest: ``VMRUN: exit 0xffffffff
    (VMEXIT_INVALID: ...)``. One that is no such stays as it is."""
    step, parted, cause = outcome.partition(SEPARATOR)
    if not parted:
        return outcome
    kind, _, code = cause.rpartition('_')
    if kind == 'EXIT' and code.startswith('0x'):
        return f'{step}: exit {code}{_in_brackets(_exit(step, int(code, 16)))}'
    if kind == 'ERROR' and code.isdecimal():
        words = _INSTRUCTION_ERRORS.get(int(code), '')
        return f'{step}: VM-instruction error {code}{_in_brackets(words)}'
    return f'{step}: {cause}{_in_brackets(_KVM_EXITS.get(cause, ""))}'


def _exit(step: str, code: int) -> str:
    if step == 'VMRUN':
        return _SVM_EXITS.get(code, '')
    return _VMX_EXITS.get(code & 0xFFFF, '')


def _in_brackets(words: str) -> str:
    return f' ({words})' if words else ''
