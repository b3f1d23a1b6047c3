# SPDX-License-Identifier: Apache-2.0
"""Whole machines that clouds let, and guests that hide what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hvfilter.probes import psci
from hvfilter.probes.machine_signs import SMBIOS
from tests.hosts.made import others
from tests.hosts.made.machine import Made
from tests.hosts.made.x86 import Amd, Intel

_KERNEL = '6.12.63+deb13-arm64'
_EC2 = 'Amazon EC2'
_GOOGLE = ('Google', 'Google Compute Engine', 'Google')
_TREE = '/proc/device-tree'


def pci(made: Made, *ids: str) -> Made:
    """PCI functions, as vendor and device in eight digits."""
    made.text(
        '/proc/bus/pci/devices',
        *(f'{n * 8:04x}\t{found}\t0' for n, found in enumerate(ids)),
    )
    return made


def ec2_metal_intel() -> Made:
    made = Intel(
        'EC2 bare metal, m7i.metal-24xl',
        dmi=(_EC2, 'm7i.metal-24xl', _EC2),
    ).make()
    return pci(made, '80867aa0', '1d0f8061', '1d0fec20')


def ec2_metal_amd() -> Made:
    made = Amd(
        'EC2 bare metal, m7a.metal-48xl', dmi=(_EC2, 'm7a.metal-48xl', _EC2)
    ).make()
    return pci(made, '102214a4', '1d0f8061', '1d0fec20')


def gce_metal() -> Made:
    made = Intel(
        'Google bare metal: its DMI is that of the virtual machines there',
        dmi=_GOOGLE,
    ).make()
    return pci(made, '80867aa0', '1ae00042')


def intel_hidden_virtualbox() -> Made:
    made = Intel(
        'A VirtualBox guest that hides the hypervisor bit; DMI was changed',
        kernel='6.12.63+deb13-cloud-amd64',
        vtx=False,
        loaded=False,
    ).make()
    return pci(made, '80861237', '80867000', '80eebeef', '80eecafe')


def intel_hidden_hyperv() -> Made:
    made = Intel(
        'A Hyper-V guest that hides the hypervisor bit; DMI was changed',
        kernel='6.12.63+deb13-cloud-amd64',
        vtx=False,
        loaded=False,
    ).make()
    made.directories['/sys/bus/vmbus/devices'] = (
        '00000000-0000-8899-0000-000000000000',
    )
    return made


def intel_hidden_xen() -> Made:
    made = Intel(
        'A Xen guest that hides the hypervisor bit; DMI was changed',
        kernel='6.12.63+deb13-cloud-amd64',
        vtx=False,
        loaded=False,
    ).make()
    made.directories['/sys/bus/xen/devices'] = ('vbd-51712', 'vif-0')
    return made


def _arm64(note: str, dmi: Sequence[str], *, kvm: bool) -> Made:
    made = others.arm64(note, _KERNEL, extensions={} if kvm else None)
    names = ('sys_vendor', 'product_name', 'bios_vendor')
    for name, value in zip(names, dmi, strict=True):
        made.text(f'/sys/class/dmi/id/{name}', value)
    if not kvm:
        made.iommu(table='IORT')
        made.chips('GICv3', 'GICv3', 'ITS-PCI-MSI-0000:00:01.0')
    return made


def arm64_ec2_metal() -> Made:
    return _arm64(
        'EC2 bare metal, m8g.metal-24xl',
        (_EC2, 'm8g.metal-24xl', _EC2),
        kvm=True,
    )


def arm64_ec2_guest() -> Made:
    return _arm64('EC2 guest', (_EC2, 'm8g.2xlarge', _EC2), kvm=False)


def arm64_oci_metal() -> Made:
    return _arm64(
        'Oracle bare metal, by the name of its size',
        ('Oracle Corporation', 'BM.Standard.A1.160', 'Oracle'),
        kvm=True,
    )


def arm64_gce_metal() -> Made:
    return _arm64(
        'Google bare metal: nothing but EL2 tells it from a guest there',
        _GOOGLE,
        kvm=True,
    )


def arm64_gce_guest() -> Made:
    return _arm64('Google guest', _GOOGLE, kvm=False)


def arm64_hetzner_guest() -> Made:
    return _arm64(
        'Hetzner cloud guest', ('Hetzner', 'vServer', 'Hetzner'), kvm=False
    )


def arm64_unknown_maker() -> Made:
    return _arm64(
        'Described by ACPI, of a maker that is in no list',
        ('Somebody', 'Something', 'Somebody'),
        kvm=False,
    )


def arm64_unknown_maker_hvc() -> Made:
    made = _arm64(
        'The same, and its FADT says that PSCI calls go to a hypervisor',
        ('Somebody', 'Something', 'Somebody'),
        kvm=False,
    )
    made.raw(psci.FADT, b'FACP' + bytes(125) + b'\3\0\1')
    return made


def arm64_unknown_maker_acpi() -> Made:
    made = _arm64(
        'The same, and its ACPI tables have a device of QEMU',
        ('Somebody', 'Something', 'Somebody'),
        kvm=False,
    )
    made.directories['/sys/bus/acpi/devices'] = ('ACPI0007:00', 'QEMU0002:00')
    return made


def arm64_smbios_guest() -> Made:
    made = _arm64(
        'A guest that bears the name of a maker; its SMBIOS says that it is '
        'a virtual machine',
        ('HPE', 'ProLiant', 'HPE'),
        kvm=False,
    )
    made.raw(SMBIOS, bytes([0, 24, *[0] * 17, 0x1C, 0, 0]))
    return made


def arm64_unknown_maker_qemu() -> Made:
    made = _arm64(
        'The same, and its PCI host bridge is one of QEMU',
        ('Somebody', 'Something', 'Somebody'),
        kvm=False,
    )
    return pci(made, '1b360008', '1af41041')


def arm64_board() -> Made:
    made = others.arm64('Raspberry Pi 4', _KERNEL, extensions={})
    for path in list(made.files):
        if path.startswith('/sys/class/dmi/'):
            del made.files[path]
    del made.directories['/sys/firmware/acpi/tables']
    board = b'raspberrypi,4-model-b\0brcm,bcm2711\0'
    made.raw(f'{_TREE}/compatible', board)
    return made


HOSTS: Mapping[str, Callable[[], Made]] = {
    make.__name__.replace('_', '-'): make
    for make in (
        ec2_metal_intel,
        ec2_metal_amd,
        gce_metal,
        intel_hidden_virtualbox,
        intel_hidden_hyperv,
        intel_hidden_xen,
        arm64_ec2_metal,
        arm64_ec2_guest,
        arm64_oci_metal,
        arm64_gce_metal,
        arm64_gce_guest,
        arm64_hetzner_guest,
        arm64_unknown_maker,
        arm64_smbios_guest,
        arm64_unknown_maker_acpi,
        arm64_unknown_maker_hvc,
        arm64_unknown_maker_qemu,
        arm64_board,
    )
}
