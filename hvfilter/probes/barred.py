# SPDX-License-Identifier: Apache-2.0
"""``module_blacklist``: the kernel refuses to load the modules named there.

``modprobe.blacklist`` only keeps a module from being loaded by an alias.
"""

from __future__ import annotations

from hvfilter.probes.context import Look
from hvfilter.probes.remedies import Advice, Remedy

BLACKLISTED = Remedy(
    'module_blacklisted_on_command_line',
    'remove {module} from {word} on the kernel command line and reboot',
    'the KVM module may not be loaded',
    source='kernel kernel/module/main.c (module_blacklist), modprobe(8)',
)


def barred(look: Look, *modules: str) -> tuple[str, str, Advice] | None:
    """The word that bars one of these modules, the reason and the remedy."""
    word = look.boot_word('module_blacklist')
    for module in modules:
        if word is not None and module in word.options:
            reason = f'{word.text} on the kernel command line bars {module}'
            remedy = BLACKLISTED(module=module, word=word.text)
            return word.text, reason, remedy
    return None
