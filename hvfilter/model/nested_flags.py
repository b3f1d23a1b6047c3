# SPDX-License-Identifier: Apache-2.0
"""The flags of ``[libvirt] cpu_model_extra_flags`` that are bits of the nested
set, and what removing them takes from guests.

Names: libvirt src/cpu_map/x86_features.xml, those of VMX from 10.1 on; QEMU
target/i386/cpu.c has the same. Left out: what QEMU sets whatever is asked
for (``vmx-ept-uc``, ``vmx-ept-wb``), and ``vmx-true-ctls``, on which the
meaning of other registers depends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hvfilter.model.nested_registers import SVM_FEATURES, Kind, Registers

Bit = tuple[int, int]
"""Register, and the number of the bit."""

_BY_REGISTER: Mapping[int, Mapping[int, str]] = {
    0x480: {
        54: 'vmx-ins-outs',
        56: 'vmx-any-errcode',
        58: 'vmx-nested-exception',
    },
    0x485: {
        5: 'vmx-store-lma',
        6: 'vmx-activity-hlt',
        7: 'vmx-activity-shutdown',
        8: 'vmx-activity-wait-sipi',
        29: 'vmx-vmwrite-vmexit-fields',
        30: 'vmx-zero-len-inject',
    },
    0x48B: {
        32: 'vmx-apicv-xapic',
        33: 'vmx-ept',
        34: 'vmx-desc-exit',
        35: 'vmx-rdtscp-exit',
        36: 'vmx-apicv-x2apic',
        37: 'vmx-vpid',
        38: 'vmx-wbinvd-exit',
        39: 'vmx-unrestricted-guest',
        40: 'vmx-apicv-register',
        41: 'vmx-apicv-vid',
        42: 'vmx-ple',
        43: 'vmx-rdrand-exit',
        44: 'vmx-invpcid-exit',
        45: 'vmx-vmfunc',
        46: 'vmx-shadow-vmcs',
        47: 'vmx-encls-exit',
        48: 'vmx-rdseed-exit',
        49: 'vmx-pml',
        52: 'vmx-xsaves',
        57: 'vmx-tsc-scaling',
        58: 'vmx-enable-user-wait-pause',
    },
    0x48C: {
        0: 'vmx-ept-execonly',
        6: 'vmx-page-walk-4',
        7: 'vmx-page-walk-5',
        16: 'vmx-ept-2mb',
        17: 'vmx-ept-1gb',
        20: 'vmx-invept',
        21: 'vmx-eptad',
        22: 'vmx-ept-advanced-exitinfo',
        25: 'vmx-invept-single-context',
        26: 'vmx-invept-all-context',
        32: 'vmx-invvpid',
        40: 'vmx-invvpid-single-addr',
        41: 'vmx-invvpid-single-context',
        42: 'vmx-invvpid-all-context',
        43: 'vmx-invvpid-single-context-noglobals',
    },
    0x48D: {
        32: 'vmx-intr-exit',
        35: 'vmx-nmi-exit',
        37: 'vmx-vnmi',
        38: 'vmx-preemption-timer',
        39: 'vmx-posted-intr',
    },
    0x48E: {
        34: 'vmx-vintr-pending',
        35: 'vmx-tsc-offset',
        39: 'vmx-hlt-exit',
        41: 'vmx-invlpg-exit',
        42: 'vmx-mwait-exit',
        43: 'vmx-rdpmc-exit',
        44: 'vmx-rdtsc-exit',
        47: 'vmx-cr3-load-noexit',
        48: 'vmx-cr3-store-noexit',
        51: 'vmx-cr8-load-exit',
        52: 'vmx-cr8-store-exit',
        53: 'vmx-flexpriority',
        54: 'vmx-vnmi-pending',
        55: 'vmx-movdr-exit',
        56: 'vmx-io-exit',
        57: 'vmx-io-bitmap',
        59: 'vmx-mtf',
        60: 'vmx-msr-bitmap',
        61: 'vmx-monitor-exit',
        62: 'vmx-pause-exit',
        63: 'vmx-secondary-ctls',
    },
    0x48F: {
        34: 'vmx-exit-nosave-debugctl',
        44: 'vmx-exit-load-perf-global-ctrl',
        47: 'vmx-exit-ack-intr',
        50: 'vmx-exit-save-pat',
        51: 'vmx-exit-load-pat',
        52: 'vmx-exit-save-efer',
        53: 'vmx-exit-load-efer',
        54: 'vmx-exit-save-preemption-timer',
        55: 'vmx-exit-clear-bndcfgs',
        57: 'vmx-exit-clear-rtit-ctl',
        61: 'vmx-exit-load-pkrs',
        63: 'vmx-exit-secondary-ctls',
    },
    0x490: {
        34: 'vmx-entry-noload-debugctl',
        41: 'vmx-entry-ia32e-mode',
        45: 'vmx-entry-load-perf-global-ctrl',
        46: 'vmx-entry-load-pat',
        47: 'vmx-entry-load-efer',
        48: 'vmx-entry-load-bndcfgs',
        50: 'vmx-entry-load-rtit-ctl',
        54: 'vmx-entry-load-pkrs',
        55: 'vmx-entry-load-fred',
    },
    0x491: {
        0: 'vmx-eptp-switching',
    },
    SVM_FEATURES: {
        0: 'npt',
        1: 'lbrv',
        2: 'svm-lock',
        3: 'nrip-save',
        4: 'tsc-scale',
        5: 'vmcb-clean',
        6: 'flushbyasid',
        7: 'decodeassists',
        10: 'pause-filter',
        12: 'pfthreshold',
        13: 'avic',
        15: 'v-vmsave-vmload',
        16: 'vgif',
        25: 'vnmi',
        28: 'svme-addr-chk',
    },
}
"""Of the MSRs of controls the high half counts: what may be 1."""

FLAGS: Mapping[Bit, str] = {
    (register, bit): name
    for register, names in _BY_REGISTER.items()
    for bit, name in names.items()
}

_HIGH = 0xFFFFFFFF << 32
_ALL = 2**64 - 1

_NEEDED_BY: Mapping[Bit, tuple[tuple[int, int], ...]] = {
    (0x48E, 63): ((0x48B, _HIGH),),
    (0x48B, 33): ((0x48C, 0xFFFFFFFF), (0x48B, 1 << 39)),
    (0x48B, 37): ((0x48C, _HIGH),),
    (0x48B, 45): ((0x491, _ALL),),
}
"""What QEMU removes with a bit: register and bits. QEMU target/i386/cpu.c,
feature_dependencies; what depends on those goes with them."""

_OF_CPUID: Mapping[str, tuple[Bit, ...]] = {
    'invpcid': ((0x48B, 44),),
    'mpx': ((0x48F, 55), (0x490, 48)),
    'rdrand': ((0x48B, 43),),
    'rdseed': ((0x48B, 48),),
    'rdtscp': ((0x48B, 35),),
    'waitpkg': ((0x48B, 58),),
    'xsaves': ((0x48B, 52),),
}
"""Flags of other features with which QEMU removes bits of VMX: the same."""

_BITS: Mapping[str, tuple[Bit, ...]] = {
    **{name: (bit,) for bit, name in FLAGS.items()},
    **_OF_CPUID,
}


def without(offered: Registers, flags: Iterable[str]) -> Registers | None:
    """What guests get of an offer when Nova removes flags.

    :param flags: without ``-``; others than these remove nothing
    :returns: None where nothing is left
    """
    values = dict(offered.values)
    for bit in (each for flag in flags for each in _BITS.get(flag, ())):
        _remove(values, bit)
    if offered.kind is Kind.SVM:
        return Registers.svm(values.get(SVM_FEATURES, 0))
    return Registers.vmx(values)


def _remove(values: dict[int, int], bit: Bit) -> None:
    register, number = bit
    if not values.get(register, 0) >> number & 1:
        return
    values[register] &= ~(1 << number)
    for needing, mask in _NEEDED_BY.get(bit, ()):
        for at in range(64):
            if mask >> at & 1:
                _remove(values, (needing, at))
