# SPDX-License-Identifier: Apache-2.0
"""Remedies for what nova-compute's configuration keeps from guests."""

from __future__ import annotations

from hvfilter.probes.remedies import Remedy

_CONF = 'nova/conf/libvirt.py'
_DRIVER = 'nova/virt/libvirt/driver.py'
_X86 = 'Intel, AMD and the other x86 makers'

WRITE_OUT = Remedy(
    'nova_write_option_out',
    'write the value of {name} out in nova.conf',
    "a value of nova.conf refers to another option's ($name)",
    source='oslo.config, option value interpolation',
)
RECORD_NOVA = Remedy(
    'nova_record_again',
    'record the host again, or name a nova.conf of it (--config-file)',
    "a recording holds nothing of Nova's configuration",
    source='hvfilter record',
)
CORRECT_LINE = Remedy(
    'nova_correct_line',
    'correct that line, then restart nova-compute',
    'a configuration file does not parse, and nova-compute refuses it',
    source='oslo.config ConfigFileParseError',
)
NAME_FILES = Remedy(
    'nova_name_files',
    'name the files that nova-compute reads, with --config-file',
    'no configuration of nova-compute was found, or a file of it is missing',
    source='oslo.config --config-file, --config-dir',
)
LET_READ = Remedy(
    'nova_let_read',
    'let the user who runs this read it ({what}), such as by membership in '
    'the group nova',
    "Nova's configuration may not be read",
    source="distributions' packages: nova.conf is 0640 root:nova",
)
REMOVE_RIVALS = Remedy(
    'nova_remove_rivals',
    'remove those that are left over, or name the right files with '
    '--config-file',
    'several configurations of nova-compute differ',
    source='hvfilter/probes/nova_files.py',
)
LIBVIRT_DRIVER = Remedy(
    'nova_compute_driver',
    'set compute_driver = libvirt.LibvirtDriver in nova.conf',
    'nova-compute drives something else than libvirt',
    source='nova/conf/compute.py',
)
VIRT_TYPE_KVM = Remedy(
    'nova_virt_type_kvm',
    'set [libvirt] virt_type = kvm in nova.conf and restart nova-compute',
    'virt_type is not kvm',
    source=_CONF,
)
VIRT_TYPE_QEMU = Remedy(
    'nova_virt_type_qemu',
    'only if guests are to be emulated here: set [libvirt] virt_type = qemu '
    'in nova.conf and restart nova-compute',
    'guests are not emulated: virt_type is not qemu',
    source=_CONF,
)
CPU_MODE_REFUSED = Remedy(
    'nova_cpu_mode_refused',
    'set [libvirt] cpu_mode = host-model in nova.conf',
    'nova-compute does not know the cpu_mode',
    source=_CONF,
)
CPU_MODELS = Remedy(
    'nova_cpu_models',
    'set [libvirt] cpu_models exactly when cpu_mode = custom',
    'cpu_mode and cpu_models contradict each other',
    source=f'{_DRIVER} _check_cpu_compatibility',
)
S390X_HOST_MODEL = Remedy(
    'nova_host_model_with_sie',
    'set [libvirt] cpu_mode = host-model in nova.conf',
    'whether a named CPU model has SIE is not known',
    vendor='IBM',
    source=f'{_DRIVER} _get_guest_cpu_model_config',
)
NO_MACHINE_SWITCH = Remedy(
    'nova_cannot_nest',
    'Nova 27 to 34 cannot: place guests that nest on x86 or s390x',
    'Nova sets no machine option of QEMU that nesting needs',
    vendor='Arm, IBM POWER',
    source='nova/virt/libvirt/config.py LibvirtConfigGuest',
)
SET_CPU_MODE = Remedy(
    'nova_cpu_mode_for_nesting',
    'set [libvirt] cpu_mode = {mode} in nova.conf',
    "guests get QEMU's default CPU model: cpu_mode = none",
    vendor=_X86,
    source=f'{_DRIVER}; QEMU target/i386/kvm/kvm-cpu.c',
)
REMOVE_MINUS = Remedy(
    'nova_extra_flags_remove',
    'remove -{feature} from [libvirt] cpu_model_extra_flags',
    'cpu_model_extra_flags removes the feature',
    vendor=_X86,
    source=f'{_DRIVER} _get_guest_cpu_model_config',
)
ADD_FEATURE = Remedy(
    'nova_extra_flags_add',
    'add {feature} to [libvirt] cpu_model_extra_flags in nova.conf, or set '
    'cpu_mode = {mode}',
    'the CPU model that guests get does not have the feature',
    vendor=_X86,
    source='libvirt src/cpu_map; QEMU target/i386/kvm/kvm-cpu.c',
)
