# SPDX-License-Identifier: Apache-2.0
"""Words on the kernel's command line that keep KVM's modules out.

``module_blacklist``: the kernel refuses to load the modules named there.
``modprobe.blacklist``: a module is no longer loaded by an alias, which is how
KVM's are loaded at boot; by name, and as what another needs, it still is.
"""

from __future__ import annotations

from hvfilter.host.base import Denied
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice, Remedy

BLACKLISTED = Remedy(
    'module_blacklisted_on_command_line',
    'remove {module} from {word} on the kernel command line and reboot',
    'the KVM module may not be loaded',
    source='kernel kernel/module/main.c (module_blacklist), modprobe(8)',
)

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
    return _not_by_itself(host, modules[-1]) if modules else None


def _not_by_itself(
    host: ProbeContext, module: str
) -> tuple[str, str, Advice] | None:
    try:
        if not module or host.module_loaded(module):
            return None
    except Denied:
        # kvm_device observes whether there is a KVM at all.
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
