# SPDX-License-Identifier: Apache-2.0
"""Stage nova: does Nova's configuration let guests have it?

As nova/virt/libvirt/driver.py reads it, _get_guest_cpu_model_config and
_check_cpu_compatibility, releases 27 to 34.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvfilter.host.door import Denied
from hvfilter.model.catalogue import CATALOGUE, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import nova_options
from hvfilter.probes.asking import shortened
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look
from hvfilter.probes.nova_options import NovaOptions
from hvfilter.probes.x86_readings import AMD_VENDORS

_KEYS = tuple(row.key for row in CATALOGUE if Stage.NOVA in row.stages)
_GUEST_CPU_KEYS = ('nested', 'nested_slat')
_SEV_KEYS = ('sev', 'sev_es')
_Answer = tuple[State, str, str, str]
"""State, what was asked, reason, remedy."""


class NovaConfig(Probe):
    """virt_type, cpu_mode, cpu_models, cpu_model_extra_flags."""

    def observe(self, look: Look) -> Iterator[Observation]:
        options = nova_options.read(look)
        features = _guest_features(look)
        for key in _KEYS:
            state, asked, reason, remedy = _answer(
                key, options, look.arch, features
            )
            yield Observation(
                key,
                Stage.NOVA,
                state,
                Strength.PARAMETER,
                _source(options),
                asked,
                _value(options),
                reason,
                remedy,
            )


def _source(options: NovaOptions) -> str:
    if options.refused:
        return ', '.join(dict.fromkeys(d.what for d in options.refused))
    return ', '.join(options.read) or "Nova's defaults"


def _value(options: NovaOptions) -> str:
    said = [
        f'{name} = {value}' for name, value in sorted(options.values.items())
    ]
    said += [str(denied) for denied in options.refused]
    return '; '.join(map(shortened, said)) or 'nothing set'


def _guest_features(look: Look) -> tuple[str, ...]:
    """The feature words a guest needs on this processor; both if unknown."""
    try:
        vendor = look.cpuinfo.first('vendor_id')
    except Denied:
        vendor = ''
    if vendor in AMD_VENDORS:
        return ('svm', 'npt')
    return ('vmx', 'vmx-ept') if vendor else ('vmx', 'vmx-ept', 'svm', 'npt')


def _answer(
    key: str, options: NovaOptions, arch: Arch, features: tuple[str, ...]
) -> _Answer:
    if options.refused:
        path = options.refused[0].what
        return (
            State.UNKNOWN,
            'virt_type',
            f"Nova's configuration may not be read: {options.refused[0]}",
            f'let the user who runs this read it ({path}), such as by '
            'membership in the group nova',
        )
    if options.unresolved:
        name = options.unresolved[0]
        return (
            State.UNKNOWN,
            name,
            f"Nova's option {name} refers to another option",
            f'write the value of {name} out in nova.conf',
        )
    if options.unrecorded and not options.read:
        return (
            State.UNKNOWN,
            'virt_type',
            "this recording holds nothing of Nova's configuration",
            'record it again, or name a nova.conf (--nova-conf)',
        )
    where = '' if options.read else ' (no nova.conf: its defaults hold)'
    answer = _driver(options) or _virt_type(options) or _startable(options)
    if answer is not None:
        return answer
    if key in _GUEST_CPU_KEYS:
        return _guest_cpu(key, options, arch, features)
    if key in _SEV_KEYS and options.encrypted_guests == '0':
        return _NO_ENCRYPTED_GUESTS
    return (State.PRESENT, 'virt_type', f'Nova starts KVM guests{where}', '')


# Nova 34 has the option no more; which Nova it is cannot be seen here.
_NO_ENCRYPTED_GUESTS: _Answer = (
    State.ABSENT,
    'num_memory_encrypted_guests',
    'Nova before 34 starts no guests with encrypted memory: '
    'num_memory_encrypted_guests = 0',
    'take num_memory_encrypted_guests out of [libvirt] in nova.conf, or '
    'raise it',
)


def _driver(options: NovaOptions) -> _Answer | None:
    driver = options.compute_driver
    if not driver or 'libvirt' in driver.lower().split('.'):
        return None
    return (
        State.ABSENT,
        'compute_driver',
        f'nova-compute drives {driver} here, not libvirt',
        'set compute_driver = libvirt.LibvirtDriver in nova.conf',
    )


def _virt_type(options: NovaOptions) -> _Answer | None:
    if options.virt_type == 'kvm':
        return None
    what = {
        'qemu': 'QEMU guests without KVM (TCG)',
        'lxc': 'containers',
        'parallels': 'Virtuozzo guests',
    }.get(options.virt_type, 'no guests: nova-compute refuses the value')
    return (
        State.ABSENT,
        'virt_type',
        f'Nova starts {what} here: virt_type = {options.virt_type[:40]}',
        'set [libvirt] virt_type = kvm in nova.conf and restart nova-compute',
    )


def _startable(options: NovaOptions) -> _Answer | None:
    """What makes nova-compute refuse to start."""
    mode = options.cpu_mode
    if mode is not None and mode not in nova_options.CPU_MODES:
        return (
            State.ABSENT,
            'cpu_mode',
            f'nova-compute refuses cpu_mode = {shortened(mode)}',
            'set [libvirt] cpu_mode = host-model in nova.conf',
        )
    custom = mode == 'custom'
    if custom == bool(options.cpu_models):
        return None
    problem = 'without' if custom else 'together with'
    return (
        State.ABSENT,
        'cpu_mode, cpu_models',
        'nova-compute does not start: cpu_mode = '
        f'{mode or "not set"} {problem} cpu_models',
        'set [libvirt] cpu_models exactly when cpu_mode = custom',
    )


def _guest_cpu(
    key: str, options: NovaOptions, arch: Arch, features: tuple[str, ...]
) -> _Answer:
    """Whether guests are shown the extensions, given that KVM offers them."""
    if arch is Arch.X86:
        return _x86_guest_cpu(key, options, features)
    if arch is Arch.S390X and options.cpu_mode != 'custom':
        return (
            State.PRESENT,
            'cpu_mode',
            "guests get the host's CPU model, SIE included",
            '',
        )
    if arch is Arch.S390X:
        return (
            State.UNKNOWN,
            'cpu_mode, cpu_models',
            'whether the CPU model '
            f'{shortened(options.cpu_models[0])} has SIE is not known here',
            'set [libvirt] cpu_mode = host-model in nova.conf',
        )
    if arch in _MACHINE_SWITCH:
        return (
            State.ABSENT,
            'nova/virt/libvirt',
            'Nova has no way to switch it on for a guest: '
            f'{_MACHINE_SWITCH[arch]}',
            'Nova 27 to 34 cannot: place guests that nest on x86 or s390x',
        )
    return (
        State.UNKNOWN,
        'cpu_mode',
        'what a guest of Nova needs for it on this architecture is not known',
        '',
    )


_MACHINE_SWITCH = {
    Arch.ARM64: "QEMU's machine option virtualization=on",
    Arch.PPC64: "QEMU's machine option cap-nested-hv=on",
}
"""What QEMU has to be told for a guest to see the extensions."""


def _x86_guest_cpu(
    key: str, options: NovaOptions, features: tuple[str, ...]
) -> _Answer:
    """Whether the guest's CPU model shows VMX or SVM.

    QEMU leaves both out of every named model and of its default model
    under KVM; only the host's own model carries them, or an extra flag.
    """
    asked = 'cpu_mode, cpu_models, cpu_model_extra_flags'
    mode = options.cpu_mode or 'host-model'
    base = tuple(f for f in features if f in ('vmx', 'svm'))
    needed = base if key == 'nested' else features
    taken = [f for f in needed if options.switched(f) is False]
    added = [f for f in base if options.switched(f)]
    if mode == 'none':
        return (
            State.ABSENT,
            asked,
            "guests get QEMU's default CPU model, without VMX and SVM: "
            'cpu_mode = none',
            'set [libvirt] cpu_mode = host-model in nova.conf',
        )
    if taken:
        return (
            State.ABSENT,
            asked,
            f'cpu_model_extra_flags takes it from guests: -{taken[0]}',
            f'take -{taken[0]} out of [libvirt] cpu_model_extra_flags',
        )
    if mode != 'custom':
        return (
            State.PRESENT,
            asked,
            f"guests get the host's CPU features: cpu_mode = {mode}",
            '',
        )
    if added:
        return (
            State.PRESENT,
            asked,
            f'cpu_model_extra_flags adds {added[0]} to the CPU model',
            '',
        )
    return (
        State.ABSENT,
        asked,
        f'guests get the CPU model {shortened(options.cpu_models[0])}, '
        'without VMX and SVM',
        'add vmx (Intel) or svm (AMD) to [libvirt] cpu_model_extra_flags, '
        'or set cpu_mode = host-model',
    )
