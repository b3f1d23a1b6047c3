# SPDX-License-Identifier: Apache-2.0
"""Remedies for a KVM that does not start, or runs no guest."""

from __future__ import annotations

from collections.abc import Mapping

from hvfilter.probes.remedies import Remedy

_X86 = 'Intel, AMD and the other x86 makers'

LOAD_MODULE = Remedy(
    'kvm_module_not_loaded',
    'load {module} (modprobe {module})',
    "the module of the processor's maker is not loaded",
    _X86,
    source='kernel arch/x86/kvm/Makefile',
)
LOAD_EITHER = Remedy(
    'kvm_module_of_unknown_maker',
    'load kvm_intel or kvm_amd (modprobe)',
    "no module is loaded, and the processor's maker is not known",
    _X86,
    source='kernel arch/x86/kvm/Makefile',
)
READ_DMESG = Remedy(
    'kvm_dmesg',
    'read what the kernel says of kvm in dmesg',
    'the kernel offers no KVM, and why is only in its messages',
    source='kernel arch/*/kvm',
)
HARDWARE = Remedy(
    'kvm_emulates',
    'this KVM emulates its guests: use hardware, or a host under this '
    'virtual machine, that gives it VT-x or AMD-V',
    'the guest that was run was emulated',
    _X86,
    machine='guest',
    source='the module kvm_pvm, which needs no extensions',
)
NOT_ENABLED = Remedy(
    'kvm_not_enabled',
    'read in dmesg on which processor virtualization could not be enabled; if '
    'another hypervisor (VirtualBox, VMware) runs here, stop it',
    'KVM_CREATE_VM fails with EIO',
    kernel='6.12 and later',
    source='kernel virt/kvm/kvm_main.c, kvm_enable_virtualization_cpu',
)
ANOTHER_HYPERVISOR = Remedy(
    'kvm_busy',
    'another hypervisor on this host (VirtualBox, VMware) holds the '
    'virtualization extensions: stop it',
    'KVM_CREATE_VM fails with EBUSY',
    _X86,
    source='kernel virt/kvm/kvm_main.c, hardware_enable',
)
RELOAD = Remedy(
    'kvm_without_device',
    'load the KVM module again, which was just being unloaded',
    'KVM_CREATE_VM fails with ENODEV',
    source='kernel virt/kvm/kvm_main.c, kvm_create_vm',
)
GUEST_FAILED = Remedy(
    'kvm_guest_failed',
    'read what KVM says in dmesg',
    'the guest that was run failed',
    source='kernel Documentation/virt/kvm/api.rst, KVM_RUN',
)
SECURITY_MODULE = Remedy(
    'kvm_guest_refused',
    'let this process run KVM guests: read what the security module or the '
    'seccomp filter of this service or container denied',
    'the guest that was to be run was refused',
    source='kernel virt/kvm/kvm_main.c; seccomp(2)',
)
LESS_BUSY = Remedy(
    'kvm_probe_again',
    'probe again when the host is less busy',
    'the guest that was run settled nothing',
    source='the small guest of hvfilter',
)
GIVE_DEVICE = Remedy(
    'kvm_device_missing',
    'give this container or root file system the device /dev/kvm (character '
    'device 10:232)',
    'the kernel offers KVM, and the device is missing',
    machine='a container',
    source='kernel include/linux/miscdevice.h KVM_MINOR',
)
LET_IT_RUN = Remedy(
    'kvm_smoke_run',
    'let the smoke run happen (no --no-smoke)',
    'no guest was to be run',
    source='hvfilter --no-smoke',
)

FAILED: Mapping[str, Remedy] = {
    'EBUSY': ANOTHER_HYPERVISOR,
    'EIO': NOT_ENABLED,
    'ENODEV': RELOAD,
}
"""By the error with which no virtual machine could be created; GUEST_FAILED
for all others."""
