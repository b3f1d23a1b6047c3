# SPDX-License-Identifier: Apache-2.0
"""arm64: no flag shows EL2, so KVM itself is asked.

KVM is part of the kernel's image (CONFIG_KVM; /sys/module/kvm then exists)
and registers /dev/kvm only where the kernel was entered at EL2, or where a
hypervisor under it offers nesting (kernel arch/arm64/kvm/arm.c kvm_arm_init);
how it runs is the kernel parameter ``kvm-arm.mode``. KVM_CAP_ARM_EL2 (240,
api.rst) shows whether a guest can be given EL2: FEAT_NV2, Linux 6.16 and
kvm-arm.mode=nested.

A guest also needs an interrupt controller, which KVM has only where the
firmware describes the processor's virtualization of it, with its maintenance
interrupt (KVM_CAP_IRQCHIP is vgic_present). Without it QEMU's machine virt
falls back to a GICv2 of its own (hw/arm/virt.c finalize_gic_version), for at
most 8 virtual CPUs and with timer interrupts by KVM_CAP_ARM_USER_IRQ; older
kernels have no such thing, and where it was tried guests stopped after their
firmware (raspberrypi/linux issue 6550).
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.host.cmdline import Parameter
from hvfilter.model.catalogue import Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import psci, single_kvm
from hvfilter.probes.barred import not_started
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, shortened
from hvfilter.probes.kvm_extension import KvmExtension
from hvfilter.probes.machine_signs import (
    COMPATIBLE,
    HYPERVISOR_NODE,
    XEN_TYPE,
)
from hvfilter.probes.remedies import Advice, Remedy, first

_IRQCHIP = KvmExtension('KVM_CAP_IRQCHIP', 0)
_EL2 = KvmExtension('KVM_CAP_ARM_EL2', 240)
_MODES = frozenset({'none', 'nvhe', 'protected', 'nested'})
_NESTED_KERNEL = (6, 16)

_MODE_NONE = Remedy(
    'arm64_kvm_switched_off',
    'remove {word} from the kernel command line and reboot',
    'KVM is switched off on the kernel command line',
    vendor='arm64',
    source='kernel arch/arm64/kvm/arm.c early_kvm_mode_cfg',
)
_NO_CONFIG_KVM = Remedy(
    'arm64_kernel_without_kvm',
    'boot a kernel that has KVM (CONFIG_KVM=y; on arm64 KVM is never a '
    'module)',
    'the kernel was built without KVM',
    vendor='arm64',
    source='kernel arch/arm64/kvm/Kconfig',
)
_AT_EL2 = Remedy(
    'arm64_not_at_el2',
    'let the firmware or the boot loader start the kernel at EL2: dmesg then '
    'says "CPU: All CPU(s) started at EL2"',
    'the kernel was not entered at EL2',
    vendor='arm64',
    machine='bare metal',
    source='kernel Documentation/arch/arm64/booting.rst',
)
_GUEST_AT_EL2 = Remedy(
    'arm64_guest_without_el2',
    'let the host under this virtual machine give it EL2 (nested '
    'virtualization: FEAT_NV2, Linux 6.16, kvm-arm.mode=nested there)',
    'a hypervisor keeps EL2',
    vendor='arm64',
    machine='guest',
    source='kernel arch/arm64/kvm/arm.c',
)
_XEN = Remedy(
    'arm64_xen_keeps_el2',
    'boot this host without Xen: Xen runs at EL2 itself and gives it to no '
    'domain',
    'Xen keeps EL2',
    vendor='arm64',
    machine='Xen control domain or guest',
    source='Xen xen/arch/arm',
)
_GUNYAH = Remedy(
    'arm64_gunyah_keeps_el2',
    "use firmware that starts the kernel at EL2 without Qualcomm's Gunyah, "
    'or other hardware',
    'Gunyah keeps EL2',
    vendor='arm64',
    machine='Gunyah primary or secondary VM',
    source='kernel Documentation/virt/gunyah',
)
_VGIC = Remedy(
    'arm64_no_vgic',
    'use a device tree or firmware that describes the virtualization of the '
    'interrupt controller with its maintenance interrupt (dmesg: "kvm: vgic '
    'interrupt"), or a kernel that reads it rightly',
    'KVM has no interrupt controller for guests',
    vendor='arm64',
    source='kernel arch/arm64/kvm/vgic/vgic-init.c kvm_vgic_hyp_init',
)
_NESTED = Remedy(
    'arm64_nested_off',
    'put kvm-arm.mode=nested on the kernel command line and reboot, on a '
    'processor with FEAT_NV2',
    'guests are given no EL2: kvm-arm.mode is not nested',
    vendor='arm64 with FEAT_NV2',
    kernel='6.16',
    source='kernel arch/arm64/kvm/arm.c early_kvm_mode_cfg',
)
_NESTED_INSTEAD = Remedy(
    'arm64_nested_instead_of_other_mode',
    'replace {word} by kvm-arm.mode=nested on the kernel command line and '
    'reboot, on a processor with FEAT_NV2',
    'guests are given no EL2: kvm-arm.mode is another than nested',
    vendor='arm64 with FEAT_NV2',
    kernel='6.16',
    source='kernel arch/arm64/kvm/arm.c early_kvm_mode_cfg',
)
_NO_NV2 = Remedy(
    'arm64_without_nv2',
    'place guests that nest on hosts whose processor has FEAT_NV2: '
    '{word} is set already, and KVM found no FEAT_NV2 here',
    'kvm-arm.mode is nested and the processor has no FEAT_NV2',
    vendor='arm64 without FEAT_NV2',
    source='kernel arch/arm64/kernel/cpufeature.c has_nested_virt_support',
)
_NESTED_KERNEL_TOO_OLD = Remedy(
    'arm64_kernel_without_nested',
    'boot Linux 6.16 or later: {kernel} gives EL2 to no guest',
    'the kernel is older than nested virtualization on arm64',
    vendor='arm64',
    kernel='before 6.16',
    source='kernel arch/arm64/kvm/arm.c KVM_CAP_ARM_EL2',
)


class Arm64(Probe):
    """EL2, its mode, and whether guests can have it too."""

    archs = frozenset({Arch.ARM64})

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        yield from single_kvm.from_device(host, 'EL2', Strength.PARAMETER)
        yield from single_kvm.not_shown(
            '/proc/cpuinfo',
            'EL2',
            'no flag shows EL2: only a KVM that starts does',
            start(host),
        )
        yield from _switched_off(host)
        yield from _other_at_el2(host)
        yield from _conduit(host)
        yield from _interrupt_controller(host)
        yield from _nested(host)


def start(host: ProbeContext) -> Advice:
    """How to make the kernel offer KVM."""
    mode = _mode(host)
    if mode is not None and mode.value == 'none':
        return _MODE_NONE(word=mode.text)
    cause = not_started(host, 'kvm')
    if cause is not None:
        return cause[2]
    try:
        if not host.module_loaded('kvm'):
            return _NO_CONFIG_KVM()
    except Denied:
        # Then it may be either: the likelier one is advised.
        pass
    other = _other(host)
    if other is not None:
        return _other_remedy(other[1])
    if _hvc(host) is not None:
        return _GUEST_AT_EL2()
    if 'qcom,' in _text(host, COMPATIBLE):
        # Its firmware starts Gunyah on most boards, which names itself only
        # in the kernel's messages.
        return first(_GUNYAH(), _AT_EL2())
    return first(_AT_EL2(), _GUEST_AT_EL2())


def why_no_kvm(host: ProbeContext) -> str:
    """Why the kernel offers no KVM, as far as it shows."""
    mode = _mode(host)
    if mode is not None and mode.value == 'none':
        return f'it was switched off at boot: {mode.text}'
    cause = not_started(host, 'kvm')
    if cause is not None:
        return cause[1]
    try:
        if not host.module_loaded('kvm'):
            return 'it was built without'
    except Denied:
        # Then it may be either.
        return 'it was built without, or not entered at EL2'
    return 'it was not entered at EL2, or KVM did not start'


def _mode(host: ProbeContext) -> Parameter | None:
    """The last kvm-arm.mode that the kernel takes; others are ignored."""
    words = host.boot_words('kvm-arm.mode')
    return next((w for w in reversed(words) if w.value in _MODES), None)


def _switched_off(host: ProbeContext) -> Iterator[Observation]:
    """kvm-arm.mode=none keeps KVM from starting."""
    source = Source(
        Stage.KVM, Strength.PARAMETER, '/proc/cmdline', 'kvm-arm.mode'
    )
    mode = _mode(host)
    if mode is not None and mode.value == 'none':
        for key in ('kvm', 'slat', 'nested'):
            yield source.absent(
                key,
                mode.text,
                'KVM is switched off on the kernel command line',
                _MODE_NONE(word=mode.text),
            )


def _text(host: ProbeContext, path: str) -> str:
    # A machine described by ACPI has no device tree; what cannot be read
    # leaves hvm to KVM's word, and bare_metal unknown.
    text = unless_denied(lambda: host.text(path), '')
    return text.rstrip('\0').replace('\0', ', ')


def _other(host: ProbeContext) -> tuple[str, str] | None:
    """Which hypervisor names itself: in the device tree, or Xen by ACPI.

    :returns: the file and its content; None where there is none
    """
    for path in (HYPERVISOR_NODE, XEN_TYPE):
        name = _text(host, path)
        if name:
            return path, name
    return None


def _other_remedy(compatible: str) -> Advice:
    if 'xen' in compatible:
        return _XEN()
    return _GUNYAH() if 'gunyah' in compatible else _GUEST_AT_EL2()


def _other_at_el2(host: ProbeContext) -> Iterator[Observation]:
    """A hypervisor that names itself keeps EL2."""
    other = _other(host)
    if other is None:
        return
    path, name = other
    source = Source(
        Stage.FIRMWARE, Strength.FLAGS, path, 'name of a hypervisor'
    )
    for key in single_kvm.HARDWARE:
        yield source.absent(
            key,
            name,
            f'the kernel does not run at EL2: {shortened(name)} does',
            _other_remedy(name),
        )


def _hvc(host: ProbeContext) -> tuple[str, str] | None:
    """What says that PSCI calls go to a hypervisor, and in which words."""
    if _text(host, psci.METHOD) == 'hvc':
        return psci.METHOD, 'hvc'
    # As of a device tree: KVM's word, and bare_metal unknown.
    flags = unless_denied(lambda: psci.hvc_by_acpi(host), '')
    return (psci.FADT, flags) if flags else None


def _conduit(host: ProbeContext) -> Iterator[Observation]:
    """PSCI by HVC: something other than this kernel holds EL2."""
    hvc = _hvc(host)
    if hvc is None:
        return
    path, method = hvc
    source = Source(Stage.FIRMWARE, Strength.FLAGS, path, psci.ASKED)
    for key in single_kvm.HARDWARE:
        yield source.absent(
            key,
            method,
            'the kernel does not run at EL2: a hypervisor does',
            _GUEST_AT_EL2(),
        )


def unmet_need(host: ProbeContext) -> str:
    """What guests need beyond a processor that runs them, and may lack.

    :returns: a reason; '' where nothing is missing, or where the recording
        is older than the observation
    """
    try:
        value = host.kvm_extension(_IRQCHIP.number)
    except Denied as denied:
        if denied.error == NOT_RECORDED:
            return ''
        return 'KVM could not be asked for an interrupt controller'
    return '' if value else 'KVM has no interrupt controller for guests'


def _interrupt_controller(host: ProbeContext) -> Iterator[Observation]:
    observation = _IRQCHIP.observe(
        host,
        'kvm',
        offered='KVM has an interrupt controller for guests',
        missing=lambda: (
            "KVM has no interrupt controller for guests, which QEMU's "
            'machine virt needs: its own GICv2 serves 8 virtual CPUs at '
            'most, and guests were seen to stop after their firmware',
            _VGIC(),
        ),
        unknown='KVM could not be asked for an interrupt controller',
    )
    # That it has one does not show that guests run.
    if observation.state is not State.PRESENT:
        yield observation


def _nested(host: ProbeContext) -> Iterator[Observation]:
    yield _EL2.observe(
        host,
        'nested',
        offered='guests can have EL2',
        missing=lambda: (
            f'KVM does not offer EL2 to guests{_why_not_nested(host)}',
            _nested_remedy(host),
        ),
        unknown='KVM could not be asked whether guests can have EL2',
    )


def _kernel_too_old(host: ProbeContext) -> bool:
    return (0, 0) < host.kernel_version < _NESTED_KERNEL


def _why_not_nested(host: ProbeContext) -> str:
    """The cause, as far as the command line and the kernel show it."""
    mode = _mode(host)
    if mode is None or mode.value != 'nested':
        return ''
    if _kernel_too_old(host):
        return (
            f': {mode.text} is set, but it takes a processor with FEAT_NV2 '
            'and Linux 6.16'
        )
    return f': {mode.text} is set, but the processor has no FEAT_NV2'


def _nested_remedy(host: ProbeContext) -> Advice:
    """What is missing, and never what is set already."""
    mode = _mode(host)
    missing = []
    if _kernel_too_old(host):
        missing.append(_NESTED_KERNEL_TOO_OLD(kernel=shortened(host.kernel)))
    if mode is None:
        missing.append(_NESTED())
    elif mode.value == 'nested':
        missing.append(_NO_NV2(word=mode.text))
    else:
        missing.append(_NESTED_INSTEAD(word=mode.text))
    keys = tuple(key for advice in missing for key in advice.keys)
    return Advice('; and '.join(missing), keys)
