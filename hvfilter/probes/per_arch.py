# SPDX-License-Identifier: Apache-2.0
"""What stage kvm depends on beside /dev/kvm, architecture by architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hvfilter.model.catalogue import Arch
from hvfilter.probes import arm64, ppc64, s390x
from hvfilter.probes.barred import barred
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice, Remedy

_LOAD_KVM = Remedy(
    'kvm_not_loaded',
    "load the architecture's KVM module (modprobe kvm)",
    'the module kvm is not loaded',
    vendor='riscv64, loongarch64 and others',
    source='kernel arch/*/kvm/Makefile',
)

_START: Mapping[Arch, Callable[[ProbeContext], Advice]] = {
    Arch.ARM64: arm64.start,
    Arch.PPC64: ppc64.start,
    Arch.S390X: s390x.start,
}

_UNMET: Mapping[Arch, Callable[[ProbeContext], str]] = {
    Arch.ARM64: arm64.unmet_need,
    Arch.PPC64: ppc64.unmet_need,
}


def start(host: ProbeContext) -> Advice:
    """How to make a kernel of another architecture than x86 offer KVM."""
    cause = barred(host, *_modules(host))
    if cause is not None:
        return cause[2]
    find = _START.get(host.arch)
    return _LOAD_KVM() if find is None else find(host)


def why_no_kvm(host: ProbeContext) -> str:
    """Why the kernel offers no KVM, for a sentence that says that."""
    if host.arch is Arch.ARM64:
        # There KVM is never a module.
        return arm64.why_no_kvm(host)
    cause = barred(host, *_modules(host))
    if cause is not None:
        return cause[1]
    return 'its module is not loaded or refused to start'


def _modules(host: ProbeContext) -> tuple[str, ...]:
    """The modules without which there is no KVM that uses the hardware."""
    if host.arch is Arch.ARM64:
        return ()
    return ('kvm', 'kvm_hv') if host.arch is Arch.PPC64 else ('kvm',)


def unmet_need(host: ProbeContext) -> str:
    """Why guests may not run although KVM runs them here, '' for nothing.

    Where it could not be found out, that is a reason too: then neither a
    module nor a small guest shows that QEMU's guests run.
    """
    find = _UNMET.get(host.arch)
    return '' if find is None else find(host)
