# SPDX-License-Identifier: Apache-2.0
"""Remedies for a KVM that offers nested virtualization and does not run it."""

from __future__ import annotations

from hvfilter.probes.remedies import Remedy

_MAKERS = 'Intel, AMD and the other x86 makers'

FAILED = Remedy(
    'nested_guest_failed',
    'read what KVM says in dmesg, and update the kernel of this host, and the '
    'hypervisor under it if it is a virtual machine; until then load {module} '
    'with nested=0, so that no guest relies on it',
    'a guest that used the nested virtualization that KVM offers failed',
    _MAKERS,
    source='kernel arch/x86/kvm/vmx/nested.c, svm/nested.c',
)
PAGING_FAILED = Remedy(
    'nested_paging_failed',
    'read what KVM says in dmesg, and update the kernel of this host, and the '
    'hypervisor under it if it is a virtual machine; until then place guests '
    'that run guests of their own on other hosts '
    '(hvfilter:nested_slat=required)',
    'a guest that used the nested paging that KVM offers failed',
    _MAKERS,
    source='kernel arch/x86/kvm/vmx/nested.c, svm/nested.c',
)
SLOW = Remedy(
    'nested_guest_emulated',
    'use hardware, or a hypervisor under this virtual machine that executes '
    'nested guests on the processor; until then load {module} with nested=0, '
    'so that no guest relies on it',
    'a guest in a guest was emulated',
    _MAKERS,
    source='the guest in a guest of hvfilter',
)
