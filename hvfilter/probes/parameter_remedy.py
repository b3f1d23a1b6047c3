# SPDX-License-Identifier: Apache-2.0
"""How to set a parameter of a kernel module on this very host.

The kernel's command line wins over ``/etc/modprobe.d`` (kmod,
libkmod-config.c), and is all that a module has that is built in. A module
that can be loaded shows ``initstate`` in sysfs, a built-in one does not
(kernel kernel/module/main.c, kernel/params.c).
"""

from __future__ import annotations

from hvfilter.host.base import unless_denied
from hvfilter.host.cmdline import Parameter
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.remedies import Advice, Remedy, all_of

OFF_AT_BOOT = Remedy(
    'parameter_off_on_command_line',
    'remove {word} from the kernel command line, which wins over '
    '/etc/modprobe.d/, and reboot',
    'a module parameter is switched off on the kernel command line',
    source='kmod libkmod-config.c; kernel kernel/params.c',
)
REFUSED = Remedy(
    'parameter_refused',
    '{word} is on the kernel command line already and {module} switched it '
    'off itself: read what {module} says in dmesg',
    'a module parameter was asked for and the module switched it off',
    source='kernel arch/x86/kvm/vmx/vmx.c, svm/svm.c',
)
BUILT_IN = Remedy(
    'parameter_of_built_in_module',
    'put {words} on the kernel command line and reboot: {module} '
    'is built into the kernel',
    'a parameter of a built-in module is off',
    source='kernel kernel/params.c',
)
MODPROBE = Remedy(
    'parameter_in_modprobe_d',
    'put "options {module} {settings}" into a file in /etc/modprobe.d/, then '
    'reload {module} (no guest may run) or reboot',
    'a parameter of a loadable module is off',
    source='modprobe.d(5)',
)


def set_parameter(
    host: ProbeContext, module: str, *names: str, value: str = '1'
) -> Advice:
    """What gives parameters of a module this value, on this host.

    :param names: of parameters that have another value now
    """
    advice = []
    settings = []
    for name in names:
        word = host.boot_word(f'{module}.{name}')
        if word is None:
            settings.append(f'{name}={value}')
        elif switched_on(word) is True:
            advice.append(REFUSED(word=word.text, module=module))
        else:
            advice.append(OFF_AT_BOOT(word=word.text))
    if settings and _built_in(host, module):
        words = ' '.join(f'{module}.{setting}' for setting in settings)
        advice.append(BUILT_IN(words=words, module=module))
    elif settings:
        advice.append(MODPROBE(module=module, settings=' '.join(settings)))
    return all_of(*advice)


def switched_on(word: Parameter) -> bool | None:
    """What a word makes of a boolean or a number; None where neither.

    Kernel lib/kstrtox.c, kstrtobool; a boolean without a value is on
    (kernel/params.c, param_set_bool).
    """
    if word.value is None:
        return True
    value = word.value.lower()
    if value.isdecimal():
        return int(value[:20]) != 0
    if value[:1] in ('y', 't') or value[:2] == 'on':
        return True
    return False if value[:1] in ('n', 'f') or value[:2] == 'of' else None


def _built_in(host: ProbeContext, module: str) -> bool:
    """Whether the module is certainly part of the kernel's image."""
    names = unless_denied(lambda: host.names(f'/sys/module/{module}'), ())
    return 'parameters' in names and 'initstate' not in names
