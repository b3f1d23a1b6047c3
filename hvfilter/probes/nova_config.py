# SPDX-License-Identifier: Apache-2.0
"""Stage nova: does Nova's configuration let guests have it?

As nova/virt/libvirt/driver.py reads it, _get_guest_cpu_model_config and
_check_cpu_compatibility, releases 27 to 34.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from hvfilter.host import ini
from hvfilter.host.base import Denied, Holder, unless_denied
from hvfilter.model.catalogue import CATALOGUE, Arch, Stage
from hvfilter.model.finding import Observation, State, Strength
from hvfilter.probes import (
    nova_confidential,
    nova_extra_flags,
    nova_options,
    nova_remedies,
)
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import Source, shortened
from hvfilter.probes.nova_confidential import Answer
from hvfilter.probes.nova_options import NovaOptions
from hvfilter.probes.remedies import NONE
from hvfilter.probes.x86_readings import vendor, vendor_module

_KEYS = tuple(row.key for row in CATALOGUE if Stage.NOVA in row.stages)
_GUEST_CPU_KEYS = ('nested', 'nested_slat')
_RELEASE = '/etc/os-release'
_CPU_OPTIONS = 'cpu_mode, cpu_models, cpu_model_extra_flags'


@dataclasses.dataclass(frozen=True)
class _Guests:
    """What decides, beside the options, what a guest's processor shows.

    :ivar features: the feature words that a guest needs on this processor;
        both makers' when it is not known which one made it
    :ivar maker: who made the processor of an x86 host, '' when not known
    :ivar keeps_svm: whether QEMU leaves SVM in a named CPU model that has
        it; None when that is not known
    """

    arch: Arch
    features: tuple[str, ...]
    maker: str
    keeps_svm: bool | None


_LONGEST = 2000
"""Characters of all options together, each of them shortened already."""


class NovaConfig(Probe):
    """virt_type, cpu_mode, cpu_models, cpu_model_extra_flags."""

    def observe(self, host: ProbeContext) -> Iterator[Observation]:
        options = nova_options.read(host)
        features = _guest_features(host)
        keeps_svm = _keeps_svm(host, options) if 'svm' in features else None
        maker = vendor(host) if host.arch is Arch.X86 else ''
        guests = _Guests(host.arch, features, maker, keeps_svm)
        for key in _KEYS:
            answer = _answer(key, options, guests)
            if answer[0] is State.PRESENT and key in nova_confidential.NAMES:
                answer = nova_confidential.answer(key, host, options)
            state, item, reason, remedy = answer
            source = Source(
                Stage.NOVA,
                Strength.PARAMETER,
                _files(options),
                item,
                limit=_LONGEST,
            )
            yield source.observation(
                key, state, _value(options), reason, remedy
            )


def _files(options: NovaOptions) -> str:
    if options.refused:
        return ', '.join(dict.fromkeys(d.what for d in options.refused))
    return ', '.join(options.read) or 'nova.conf'


def _value(options: NovaOptions) -> str:
    lines = [
        f'{name} = {value}' for name, value in sorted(options.values.items())
    ]
    lines += [str(denied) for denied in options.refused]
    return '; '.join(map(shortened, lines)) or 'nothing set'


def _guest_features(host: ProbeContext) -> tuple[str, ...]:
    """What a guest needs on this processor; both makers' if unknown."""
    if host.arch is not Arch.X86:
        return ()
    module = vendor_module(host)
    if module == 'kvm_amd':
        return ('svm', 'npt')
    return ('vmx', 'vmx-ept') if module else ('vmx', 'vmx-ept', 'svm', 'npt')


def _keeps_svm(host: ProbeContext, options: NovaOptions) -> bool | None:
    """Ubuntu's QEMU does (patch enable-svm-by-default, seen in its packages
    of 6.2 to 10.2), others do not since QEMU 2.2.

    What QEMU a container or a snap has, the host does not show.
    """
    if options.layout is None or not options.layout.host_qemu:
        return None
    text = unless_denied(lambda: host.text(_RELEASE), '')
    names = re.findall(r'(?m)^ID(?:_LIKE)?=["\']?([^"\'\n]*)', text)
    return 'ubuntu' in ' '.join(names).split() if names else None


def _answer(key: str, options: NovaOptions, guests: _Guests) -> Answer:
    if options.refused:
        return _refused(options.refused[0])
    if options.rivals and options.layout is not None:
        return _rivals(options.layout.name, options.rivals)
    if options.unresolved:
        name = options.unresolved[0]
        return (
            State.UNKNOWN,
            name,
            f"Nova's option {name} refers to another option",
            nova_remedies.WRITE_OUT(name=name),
        )
    if options.unrecorded and not options.read:
        return _not_held(options.unrecorded[0].holder)
    if not options.there:
        return _NO_CONFIGURATION
    answer = _driver(options)
    if answer is None:
        virt_type = _emulates if key == 'tcg' else _virt_type
        answer = virt_type(options) or _startable(options)
    if answer is not None:
        return answer
    if key == 'tcg':
        reason = 'Nova starts QEMU guests without KVM (TCG): virt_type = qemu'
        return (State.PRESENT, 'virt_type', reason, NONE)
    if guests.arch is Arch.X86:
        answer = nova_extra_flags.unmet(options, guests.maker)
        if answer is not None:
            return answer
    if key in _GUEST_CPU_KEYS:
        return _guest_cpu(key, options, guests)
    return (State.PRESENT, 'virt_type', 'Nova starts KVM guests', NONE)


def _refused(denied: Denied) -> Answer:
    """A file that counts and that could not be read."""
    if denied.error == ini.MALFORMED:
        reason = f'nova-compute refuses its configuration: {denied}'
        remedy = nova_remedies.CORRECT_LINE()
    elif denied.not_found:
        reason = f'a configuration file of nova-compute is missing: {denied}'
        remedy = nova_remedies.NAME_FILES()
    else:
        reason = f"Nova's configuration may not be read: {denied}"
        remedy = nova_remedies.LET_READ(what=denied.what)
    return (State.UNKNOWN, 'virt_type', reason, remedy)


def _not_held(holder: Holder) -> Answer:
    """A host that is not asked itself, and nothing is known of its files."""
    recorded = holder is Holder.RECORDING
    remedy = (
        nova_remedies.RECORD_NOVA if recorded else nova_remedies.NAME_FILES
    )
    reason = f"this {holder.value} holds nothing of Nova's configuration"
    return (State.UNKNOWN, 'virt_type', reason, remedy())


def _rivals(first: str, others: tuple[str, ...]) -> Answer:
    """More than one configuration; which one counts is not known."""
    return (
        State.UNKNOWN,
        'virt_type',
        'several configurations of nova-compute are here and differ: '
        f'{", ".join([first, *others])}',
        nova_remedies.REMOVE_RIVALS(),
    )


_NO_CONFIGURATION: Answer = (
    State.UNKNOWN,
    'virt_type',
    'no configuration of nova-compute was found',
    nova_remedies.NAME_FILES(),
)


def _driver(options: NovaOptions) -> Answer | None:
    driver = options.compute_driver
    if not driver or 'libvirt' in driver.lower().split('.'):
        return None
    return (
        State.ABSENT,
        'compute_driver',
        f'nova-compute drives {driver} here, not libvirt',
        nova_remedies.LIBVIRT_DRIVER(),
    )


def _virt_type(options: NovaOptions) -> Answer | None:
    if options.virt_type == 'kvm':
        return None
    guests = {
        'qemu': 'QEMU guests without KVM (TCG)',
        'lxc': 'containers',
        'parallels': 'Virtuozzo guests',
    }.get(options.virt_type, 'no guests: nova-compute refuses the value')
    return (
        State.ABSENT,
        'virt_type',
        f'Nova starts {guests} here: virt_type = {options.virt_type[:40]}',
        nova_remedies.VIRT_TYPE_KVM(),
    )


def _emulates(options: NovaOptions) -> Answer | None:
    """Why guests here are not QEMU's without KVM; None when they are."""
    if options.virt_type == 'qemu':
        return None
    guests = (
        'KVM guests'
        if options.virt_type == 'kvm'
        else 'no guests of QEMU without KVM'
    )
    return (
        State.ABSENT,
        'virt_type',
        f'Nova starts {guests} here: virt_type = {options.virt_type[:40]}',
        nova_remedies.VIRT_TYPE_QEMU(),
    )


def _startable(options: NovaOptions) -> Answer | None:
    """What makes nova-compute refuse to start."""
    mode = options.cpu_mode
    if mode is not None and mode not in nova_options.CPU_MODES:
        return (
            State.ABSENT,
            'cpu_mode',
            f'nova-compute refuses cpu_mode = {shortened(mode)}',
            nova_remedies.CPU_MODE_REFUSED(),
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
        nova_remedies.CPU_MODELS(),
    )


def _guest_cpu(key: str, options: NovaOptions, guests: _Guests) -> Answer:
    """Whether guests are shown the extensions, given that KVM offers them."""
    arch = guests.arch
    if arch is Arch.X86:
        return _x86_guest_cpu(key, options, guests)
    if arch is Arch.S390X and options.cpu_mode != 'custom':
        return (
            State.PRESENT,
            'cpu_mode',
            "guests get the host's CPU model, SIE included",
            NONE,
        )
    if arch is Arch.S390X:
        return (
            State.UNKNOWN,
            'cpu_mode, cpu_models',
            'whether the CPU model '
            f'{shortened(options.cpu_models[0])} has SIE is not known here',
            nova_remedies.S390X_HOST_MODEL(),
        )
    if arch in _MACHINE_SWITCH:
        return (
            State.ABSENT,
            'nova/virt/libvirt',
            'Nova has no way to switch it on for a guest: '
            f'{_MACHINE_SWITCH[arch]}',
            nova_remedies.NO_MACHINE_SWITCH(),
        )
    return (
        State.UNKNOWN,
        'cpu_mode',
        'what a guest of Nova needs for it on this architecture is not known',
        NONE,
    )


_MACHINE_SWITCH = {
    Arch.ARM64: "QEMU's machine option virtualization=on",
    Arch.PPC64: "QEMU's machine option cap-nested-hv=on",
}
"""The options that QEMU needs for a guest to see the extensions."""


def _x86_guest_cpu(key: str, options: NovaOptions, guests: _Guests) -> Answer:
    """Whether the guest's CPU model shows VMX or SVM.

    QEMU leaves both out of its default model and of every named one under
    KVM, but see :func:`_keeps_svm`. host-model becomes a named model too:
    libvirt then asks for vmx, which its models lack, but not for svm, which
    they have (libvirt 9.0 to 11.3 with QEMU 7.2 to 10.0; QEMU
    target/i386/kvm/kvm-cpu.c kvm_default_props, libvirt src/cpu_map).
    """
    asked = _CPU_OPTIONS
    mode = options.cpu_mode or 'host-model'
    base = tuple(f for f in guests.features if f in ('vmx', 'svm'))
    needed = base if key == 'nested' else guests.features
    taken = [f for f in needed if options.switched(f) is False]
    added = [f for f in base if options.switched(f)]
    state, without = _by_model(base, guests.keeps_svm)
    if mode == 'none':
        return (
            state,
            asked,
            f"guests get QEMU's default CPU model, {without}: cpu_mode = none",
            nova_remedies.SET_CPU_MODE(mode=_showing_mode(base)),
        )
    if taken:
        return (
            State.ABSENT,
            asked,
            f'cpu_model_extra_flags takes it from guests: -{taken[0]}',
            nova_remedies.REMOVE_MINUS(feature=taken[0]),
        )
    if added:
        return (
            State.PRESENT,
            asked,
            f'cpu_model_extra_flags adds {added[0]} to the CPU model',
            NONE,
        )
    if mode == 'host-model' and 'svm' in base:
        return _svm_by_host_model(base, guests.keeps_svm)
    if mode != 'custom':
        return (
            State.PRESENT,
            asked,
            f"guests get the host's CPU features: cpu_mode = {mode}",
            NONE,
        )
    return (
        state,
        asked,
        f'guests get the CPU model {shortened(options.cpu_models[0])}, '
        f'{without}',
        nova_remedies.ADD_FEATURE(
            feature=_features_of(base), mode=_showing_mode(base)
        ),
    )


def _by_model(
    base: tuple[str, ...], keeps_svm: bool | None
) -> tuple[State, str]:
    """What a model of QEMU's shows to guests, in words too."""
    if 'svm' in base and keeps_svm is not False:
        return State.UNKNOWN, 'which may have SVM with the QEMU of Ubuntu'
    return State.ABSENT, f'without {" and ".join(base).upper()}'


def _svm_by_host_model(
    base: tuple[str, ...], keeps_svm: bool | None
) -> Answer:
    """host-model, and nobody asks for svm by name."""
    asked = f'{_CPU_OPTIONS}; ID in {_RELEASE}'
    if keeps_svm:
        return (
            State.PRESENT,
            asked,
            "guests get the host's CPU features: cpu_mode = host-model, with "
            'the QEMU of Ubuntu',
            NONE,
        )
    remedy = nova_remedies.ADD_FEATURE(feature='svm', mode='host-passthrough')
    if keeps_svm is None or base != ('svm',):
        return (
            State.UNKNOWN,
            asked,
            'on AMD processors, cpu_mode = host-model shows SVM to guests '
            'only with the QEMU of Ubuntu',
            remedy,
        )
    return (
        State.ABSENT,
        asked,
        'guests get a CPU model without SVM: cpu_mode = host-model',
        remedy,
    )


def _showing_mode(base: tuple[str, ...]) -> str:
    """The cpu_mode that shows guests what this maker's processor has."""
    return 'host-model' if base == ('vmx',) else 'host-passthrough'


def _features_of(base: tuple[str, ...]) -> str:
    """The feature to add; both makers' where the maker is not known."""
    return base[0] if len(base) == 1 else 'vmx (Intel) or svm (AMD)'
