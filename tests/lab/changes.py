# SPDX-License-Identifier: Apache-2.0
"""Machines that change, and what the history of each must show.

Each series is one machine over several boots. A step changes something, or
nothing, and then the agent runs. The cause is what was changed, in the words
of the kernel: never taken from what hvfilter shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tests.lab import table
from tests.lab.emulators import Bochs, QemuArm, QemuX86
from tests.lab.table import A, P, U

CONF = '/etc/nova/nova.conf'
SECRETS = (
    'lab-host',
    '10.20.30.40',
    '1b4e28ba-2fa1-11d2-883f-0016d3cca427',
    '52:54:00:12:34:56',
)
"""Host name, address, uuid, MAC address: no recording may hold them."""

_NAME, _ADDRESS, _UUID, _MAC = SECRETS
_HIDDEN = f'ip={_ADDRESS} root=UUID={_UUID} systemd.hostname={_NAME}'


@dataclasses.dataclass(frozen=True)
class Step:
    """One change and what the history must show of it.

    :ivar script: for the shell of the host; '' changes nothing there
    :ivar cause: the cell of the table, "*" stands for any text; '' if
        there must be no line
    :ivar effects: capability to the state that it has afterwards; no other
        one may change
    """

    script: str = ''
    cause: str = ''
    effects: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Boot:
    """One boot of a machine.

    :ivar steps: the first one is what the agent finds after the boot
    """

    host: table.LabHost
    steps: tuple[Step, ...]


@dataclasses.dataclass(frozen=True)
class Series:
    """A machine, and its boots in their order."""

    name: str
    boots: tuple[Boot, ...]


_UNCHANGED = Step()
_HAS_SECRETS = Step(f'grep -q "{_ADDRESS}.*{_UUID}.*{_NAME}" /proc/cmdline')


def _states(state: str, keys: str) -> dict[str, str]:
    return dict.fromkeys(keys.split(), state)


def _load(module: str, *parameters: str) -> str:
    return f'insmod /lab/modules/{module}.ko {" ".join(parameters)}'


def _reload(module: str, *parameters: str) -> str:
    return f'rmmod {module}; {_load(module, *parameters)}'


def _option(name: str, value: str) -> str:
    return f"sed -i 's/^{name} = .*/{name} = {value}/' {CONF}"


def _epyc(microcode: int, firmware: str, cpu: str = 'EPYC,+svm') -> QemuX86:
    return QemuX86(
        f'{cpu},ucode-rev={microcode:#x}',
        firmware=(
            f'type=0,version={firmware}',
            f'type=1,uuid={_UUID},serial={_NAME}',
        ),
    )


def _amd(emulator: QemuX86, **changes: Any) -> table.LabHost:
    host = table.BY_NAME['amd-nested-on']
    changes = {'command_line': _HIDDEN, **changes}
    return dataclasses.replace(host, emulator=emulator, **changes)


_NESTED = 'nested nested_slat'
_USABLE = f'kvm {_NESTED}'
_GUESTS = f'slat npt {_USABLE}'

_WITHIN_A_BOOT = (
    _HAS_SECRETS,
    _UNCHANGED,
    Step(
        _reload('kvm-amd', 'nested=0'),
        'kvm_amd nested 1 -> 0',
        _states(A, _NESTED),
    ),
    _UNCHANGED,
    Step(
        _reload('kvm-amd', 'nested=1'),
        'kvm_amd nested 0 -> 1',
        _states(P, _NESTED),
    ),
    Step(
        _reload('kvm-amd', 'npt=0'),
        'kvm_amd npt Y -> N',
        _states(A, 'slat npt nested_slat'),
    ),
    Step(
        _reload('kvm-amd'),
        'kvm_amd npt N -> Y',
        _states(P, 'slat npt nested_slat'),
    ),
    Step(
        'echo Y >/sys/module/kvm/parameters/ignore_msrs',
        'kvm ignore_msrs N -> Y',
    ),
    Step(
        'rmmod kvm-amd',
        'module kvm_amd loaded -> not loaded',
        _states(A, _GUESTS),
    ),
    Step(
        _load('kvm-amd'),
        'module kvm_amd not loaded -> loaded',
        _states(P, _GUESTS),
    ),
    Step('chmod 0660 /dev/kvm', '/dev/kvm 0600 0:0 -> 0660 0:0'),
    Step(
        'chmod 0600 /dev/kvm; echo N >/sys/module/kvm/parameters/ignore_msrs',
        'kvm ignore_msrs Y -> N; /dev/kvm 0660 0:0 -> 0600 0:0',
    ),
    Step(
        _option('cpu_mode', 'none'),
        f'{CONF} [libvirt] cpu_mode host-passthrough -> none',
        _states(U, _NESTED),
    ),
    Step(
        f"echo 'cpu_models = {_MAC}' >>{CONF}",
        f'{CONF} [libvirt] cpu_models not set -> (redacted)',
        # Nova refuses it: there are no models in the mode "none".
        _states(A, _USABLE),
    ),
    Step(
        _option('virt_type', 'qemu'),
        f'{CONF} [libvirt] virt_type kvm -> qemu',
    ),
    _UNCHANGED,
    Step(
        f'mv {CONF} /tmp',
        f'{CONF} there -> missing',
        _states(U, f'{_USABLE} tcg'),
    ),
    Step(
        f'mv /tmp/nova.conf {CONF}',
        f'{CONF} missing -> there',
        _states(A, f'{_USABLE} tcg'),
    ),
    Step(
        _option('virt_type', 'kvm'),
        f'{CONF} [libvirt] virt_type qemu -> kvm',
    ),
    Step(
        f"sed -i '/cpu_models/d' {CONF}; "
        + _option('cpu_mode', 'host-passthrough'),
        f'{CONF} [libvirt] cpu_mode none -> host-passthrough; '
        f'{CONF} [libvirt] cpu_models (redacted) -> not set',
        _states(P, _USABLE),
    ),
)

_AMD = Series(
    'history-amd',
    (
        Boot(_amd(_epyc(0x1000, '1.0')), _WITHIN_A_BOOT),
        Boot(
            _amd(_epyc(0x1001, '1.0')),
            (Step('', 'microcode 0x1000 -> 0x1001'), _UNCHANGED),
        ),
        Boot(
            _amd(_epyc(0x1001, '2.0')),
            (Step('', 'firmware 1.0 -> 2.0'), _UNCHANGED),
        ),
        Boot(
            _amd(
                _epyc(0x1001, '2.0'),
                command_line=f'{_HIDDEN} amd_iommu=off',
            ),
            (Step('', 'kernel command line not set -> amd_iommu=off'),),
        ),
        Boot(
            _amd(_epyc(0x1001, '2.0'), kernel='6.12'),
            (
                Step(
                    '',
                    'kernel 6.1.* -> 6.12.*; kernel command line '
                    'amd_iommu=off -> not set; kvm *',
                ),
                _UNCHANGED,
            ),
        ),
        Boot(
            _amd(_epyc(0x1001, '2.0', 'EPYC-Milan,+svm'), kernel='6.12'),
            (Step('', 'CPU model AMD EPYC * -> AMD EPYC-Milan *'),),
        ),
        Boot(
            _amd(_epyc(0x1001, '2.0', 'EPYC-Milan,-svm'), kernel='6.12'),
            (
                Step(
                    '',
                    'virtualization in CPUID amdv npt -> not set; module '
                    'kvm_amd loaded -> not loaded; kvm *',
                    _states(A, f'hvm amdv {_GUESTS}'),
                ),
            ),
        ),
    ),
)


_BESIDE = 'apicv shadow_vmcs'
_EPT = 'slat ept unrestricted_guest ept_ad'


def _intel(*, locked: bool) -> table.LabHost:
    return dataclasses.replace(
        table.BY_NAME['intel-all-on'],
        emulator=Bochs('corei7_haswell_4770', locked=locked),
        command_line=_HIDDEN,
    )


_INTEL = Series(
    'history-intel',
    (
        Boot(
            _intel(locked=False),
            (
                _HAS_SECRETS,
                Step(
                    _reload('kvm-intel', 'nested=0'),
                    'kvm_intel nested Y -> N',
                    _states(A, _NESTED),
                ),
                Step(
                    _reload('kvm-intel', 'ept=0'),
                    '*kvm_intel ept Y -> N; *kvm_intel nested N -> Y; *'
                    'kvm_intel vmentry_l1d_flush never -> EPT disabled',
                    {**_states(A, _EPT), 'nested': P},
                ),
                Step(
                    _reload('kvm-intel'),
                    '*kvm_intel ept N -> Y; *',
                    _states(P, f'{_EPT} nested_slat'),
                ),
                _UNCHANGED,
            ),
        ),
        Boot(
            _intel(locked=True),
            (
                Step(
                    '',
                    'firmware lock (MSR 0x3a) 0x5 (VT-x permitted, locked) '
                    '-> 0x1 (VT-x off, locked); module kvm_intel loaded -> '
                    'not loaded; kvm *',
                    _states(A, f'{_USABLE} hvm vtx vpid {_EPT} {_BESIDE}'),
                ),
                _UNCHANGED,
            ),
        ),
    ),
)


def _arm(command_line: str) -> table.LabHost:
    return dataclasses.replace(
        table.BY_NAME['arm64-vhe'],
        emulator=QemuArm('max'),
        command_line=f'{_HIDDEN} {command_line}'.strip(),
    )


_ARM = Series(
    'history-arm64',
    (
        Boot(_arm(''), (_HAS_SECRETS, _UNCHANGED)),
        Boot(
            _arm('kvm-arm.mode=none'),
            (
                # Only a boot message shows that the processor has EL2.
                Step(
                    '',
                    'kernel command line not set -> kvm-arm.mode=none',
                    {**_states(A, 'kvm slat'), 'hvm': U},
                ),
                _UNCHANGED,
            ),
        ),
    ),
)

SERIES = (_AMD, _INTEL, _ARM)
