# SPDX-License-Identifier: Apache-2.0
"""Words on the kernel's command line that keep KVM's modules out.

``initcall_blacklist``: the kernel does not call the functions named there,
with which what is built in and what is loaded starts (``init/main.c``,
``do_one_initcall``); several words add up.

``module_blacklist``: the kernel refuses to load the modules named there.
``modprobe.blacklist``: a module is no longer loaded by an alias, which is how
KVM's are loaded at boot; by name, and as what another needs, it still is.
"""

from __future__ import annotations

from collections.abc import Mapping

from hvfilter.model.catalogue import Arch
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice, Remedy

BLACKLISTED = Remedy(
    'module_blacklisted_on_command_line',
    'remove {module} from {word} on the kernel command line and reboot',
    'the KVM module may not be loaded',
    source='kernel kernel/module/main.c (module_blacklist), modprobe(8)',
)

NOT_STARTED = Remedy(
    'initcall_blacklisted_on_command_line',
    'remove {function} from {word} on the kernel command line and reboot',
    'the function that starts KVM is not called',
    source='kernel init/main.c, initcall_blacklist',
)

_STARTS: Mapping[tuple[Arch, str], tuple[str, ...]] = {
    (Arch.X86, 'kvm'): ('kvm_x86_init',),
    # vt_init since 6.16.
    (Arch.X86, 'kvm_intel'): ('vmx_init', 'vt_init'),
    (Arch.X86, 'kvm_amd'): ('svm_init',),
    # kvm_arm_init since 6.3.
    (Arch.ARM64, 'kvm'): ('kvm_arm_init', 'arm_init'),
    (Arch.PPC64, 'kvm'): ('kvmppc_book3s_init',),
    (Arch.PPC64, 'kvm_hv'): ('kvmppc_book3s_init_hv',),
    (Arch.S390X, 'kvm'): ('kvm_s390_init',),
    (Arch.RISCV64, 'kvm'): ('riscv_kvm_init',),
    (Arch.LOONGARCH64, 'kvm'): ('kvm_loongarch_init',),
}
"""The functions with which KVM's modules start (module_init)."""

NOT_BY_ITSELF = Remedy(
    'module_not_loaded_by_itself',
    'load {module} (modprobe {module}), and remove it from {word} on the '
    'kernel command line, so that it is loaded at the next boot, too',
    'the KVM module is not loaded by an alias, so not at boot',
    source='modprobe(8), kmod libkmod-config.c',
)


def barred(
    host: ProbeContext, *modules: str
) -> tuple[str, str, Advice] | None:
    """The word that bars one of these modules, the reason and the remedy.

    :param modules: '' for one whose name is not known; the last is the one
        that is loaded by an alias, those before are what it needs
    """
    word = host.boot_word('module_blacklist')
    for module in modules:
        if word is not None and module in word.options:
            reason = f'{word.text} on the kernel command line bars {module}'
            remedy = BLACKLISTED(module=module, word=word.text)
            return word.text, reason, remedy
    if not modules:
        return None
    return not_started(host, *modules) or _not_by_itself(host, modules[-1])


def not_started(
    host: ProbeContext, *modules: str
) -> tuple[str, str, Advice] | None:
    """As :func:`barred`, of the word that keeps one of them from starting."""
    words = host.boot_words('initcall_blacklist')
    for module in modules if words else ():
        if module != modules[-1] and host.module_seen(module):
            # It started, or what needs it does without.
            continue
        for function in _STARTS.get((host.arch, module), ()):
            for word in words:
                if function in word.options:
                    reason = (
                        f'{word.text} on the kernel command line keeps '
                        f'{module} from starting'
                    )
                    remedy = NOT_STARTED(function=function, word=word.text)
                    return word.text, reason, remedy
    return None


def _not_by_itself(
    host: ProbeContext, module: str
) -> tuple[str, str, Advice] | None:
    # kvm_device observes whether there is a KVM at all.
    if not module or host.module_seen(module) is not False:
        return None
    for word in host.boot_words('modprobe.blacklist'):
        if module in (name.replace('-', '_') for name in word.options):
            reason = (
                f'{word.text} on the kernel command line keeps {module} from '
                'being loaded by itself'
            )
            remedy = NOT_BY_ITSELF(module=module, word=word.text)
            return word.text, reason, remedy
    return None
