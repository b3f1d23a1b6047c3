# SPDX-License-Identifier: Apache-2.0
"""Remedies for VT-x and AMD-V, by maker and kind of machine."""

from __future__ import annotations

from hvfilter.probes.context import ProbeContext
from hvfilter.probes.machine_kind import Kind, kind
from hvfilter.probes.remedies import OTHER_HARDWARE, Advice, Remedy, first

INTEL = 'Intel, Zhaoxin, Centaur'
AMD = 'AMD, Hygon'

NESTED_UNDER = Remedy(
    'nested_on_the_host_under_it',
    'on the host under this virtual machine, switch nested virtualization on '
    'and give the machine a CPU model that has it (cpu_mode '
    'host-passthrough, or vmx or svm by name)',
    'a guest is not shown the feature',
    machine=Kind.GUEST.value,
    source='kernel Documentation/virt/kvm/x86/running-nested-guests.rst',
)
HARDWARE_OR_NESTED = Remedy(
    'other_hardware_or_nested',
    'other hardware, or, if this is a virtual machine, nested virtualization '
    'on the host under it',
    'the feature is not shown, and what runs under the kernel is not known',
    machine=Kind.UNKNOWN.value,
    source='kernel Documentation/virt/kvm/x86/running-nested-guests.rst',
)
ALIKE = Remedy(
    'processors_alike',
    'take the differing processors offline, or replace them',
    'not every processor has the feature',
    source='kernel arch/x86/kvm/vmx/vmx.c, vmx_check_processor_compat',
)
XEN_HOLDS = Remedy(
    'virtualization_held_by_xen',
    'boot this kernel without Xen, which holds VT-x and AMD-V and shows them '
    'to no guest kernel, dom0 included; with Xen, guests need another driver '
    'of Nova than libvirt with KVM',
    'Xen runs under this kernel and uses the extensions',
    machine=Kind.XEN_CONTROL.value,
    source='Xen arch/x86/cpu-policy.c',
)
CLEARED = Remedy(
    'clearcpuid_on_command_line',
    'remove {name} from {word} on the kernel command line and reboot',
    'clearcpuid hides the feature from the kernel and from KVM',
    kernel='names from 5.18 on, numbers before',
    source='kernel arch/x86/kernel/cpu/common.c, parse_clearcpuid',
)
VTX_SETUP = Remedy(
    'vtx_in_firmware',
    'switch VT-x (Intel Virtualization Technology, VMX) on in the firmware '
    'setup and power-cycle the host',
    'the firmware locked VT-x off',
    INTEL,
    machine=Kind.BARE_METAL.value,
    source='SDM vol. 3 sec. 24.7; kernel arch/x86/kernel/cpu/feat_ctl.c',
)
TXT_SETUP = Remedy(
    'vtx_outside_txt_in_firmware',
    'switch Intel TXT (Trusted Execution) off, or VT-x outside of TXT on, in '
    'the firmware setup and power-cycle the host; or boot by tboot',
    'the firmware permits VT-x only inside SMX, which is TXT',
    INTEL,
    machine=Kind.BARE_METAL.value,
    source='SDM vol. 3 sec. 24.7; kernel arch/x86/kernel/cpu/feat_ctl.c',
)
SVM_SETUP = Remedy(
    'amdv_in_firmware',
    'switch AMD-V (SVM Mode) on in the firmware setup and power-cycle the '
    'host',
    'the firmware switched AMD-V off',
    AMD,
    machine=Kind.BARE_METAL.value,
    source='APM vol. 2 sec. 15.30.1; kernel arch/x86/kvm/svm/svm.c',
)

_SETUPS = {'kvm_intel': (VTX_SETUP,), 'kvm_amd': (SVM_SETUP,)}


def for_lack(host: ProbeContext) -> Advice:
    """What helps where the processor does not show a feature."""
    remedies = {
        Kind.BARE_METAL: OTHER_HARDWARE,
        Kind.GUEST: NESTED_UNDER,
        Kind.XEN_CONTROL: XEN_HOLDS,
        Kind.UNKNOWN: HARDWARE_OR_NESTED,
    }
    return remedies[kind(host)]()


def for_firmware(
    host: ProbeContext, module: str, only_txt: bool = False
) -> Advice:
    """What helps where the firmware forbids VT-x or AMD-V.

    :param module: the KVM module of the processor's maker, '' when unknown
    :param only_txt: VT-x is permitted inside SMX
    """
    machine = kind(host)
    if machine is Kind.GUEST:
        return NESTED_UNDER()
    if machine is Kind.XEN_CONTROL:
        return XEN_HOLDS()
    setups = (TXT_SETUP,) if only_txt else _SETUPS.get(module, _EITHER)
    advice = [setup() for setup in setups]
    if machine is Kind.UNKNOWN:
        advice.append(NESTED_UNDER())
    return first(*advice)


_EITHER = (VTX_SETUP, SVM_SETUP)
