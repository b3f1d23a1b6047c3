# SPDX-License-Identifier: Apache-2.0
"""What shows a virtual machine, wherever it can be seen; and a real one.

One word that is missing proves nothing: hypervisors hide their CPUID bit and
their names. So all places are looked at: DMI, the PCI ids of devices that
only hypervisors make, the ACPI ids of such devices, Hyper-V's VMBus, XenBus
and Xen's own files, and the device tree. Which ones could be looked at, and
which were refused, is kept: a machine is called real only where something
else than the one word was seen.

Sources: systemd src/basic/virt.c and util-linux sys-utils/lscpu-virt.c name
the same signs; pci.ids; QEMU docs/specs/pci-ids.rst, hw/i386/acpi-build.c and
hw/arm/virt-acpi-build.c; kernel drivers/hv, drivers/xen.
"""

from __future__ import annotations

import dataclasses
import re
import weakref
from collections.abc import Iterator

from hvfilter.host.base import NOT_RECORDED, Denied, unless_denied
from hvfilter.model.catalogue import Arch
from hvfilter.model.finding import Strength
from hvfilter.probes import psci
from hvfilter.probes.context import ProbeContext

DMI = '/sys/class/dmi/id'
TREE = '/proc/device-tree'
HYPERVISOR_NODE = f'{TREE}/hypervisor/compatible'
COMPATIBLE = f'{TREE}/compatible'
XEN_TYPE = '/sys/hypervisor/type'
SMBIOS = '/sys/firmware/dmi/entries/0-0/raw'
_PCI = '/proc/bus/pci/devices'
_PCI_SYSFS = '/sys/bus/pci/devices'
_PCI_LIMIT = 256

_VIRTUAL = re.compile(
    r'\b(?:QEMU|KVM|KubeVirt|VMware|VMW\d+|VirtualBox|innotek GmbH|Xen|Bochs|'
    r'Parallels|BHYVE|OpenStack|Virtual Machine|Hyper-V|Firecracker|'
    r'Cloud Hypervisor|crosvm|Apple Virtualization|SeaBIOS|OVMF|'
    r'Standard PC \((?:Q35|i440FX)|RHEV Hypervisor|oVirt|AHV|Virtuozzo|'
    r'SmartDC HVM|Droplet|vServer)\b',
    re.IGNORECASE,
)
"""What makers of virtual machines write into DMI tables, and nobody else."""

_CLOUD = re.compile(
    r'^(?:Amazon EC2|Google|Google Compute Engine|Alibaba Cloud(?: ECS)?|'
    r'Tencent Cloud|CVM|Huawei Cloud|HUAWEICLOUD|Scaleway|Linode|Akamai|'
    r'Compute Instance|UpCloud|Exoscale|Vultr|IBM:VPC)\b',
    re.IGNORECASE,
)
"""Clouds that let virtual machines and real ones, and name both alike: on x86
the processor itself is what differs (systemd pull request 38125)."""

_METAL = re.compile(
    r'(?:^|[.\-_ /])(?:bare[ \-_]?)?metal(?:$|[.\-_ /\d])|'
    r'^(?:BM\.|(?:ecs\.)?ebm|physical\.)',
    re.IGNORECASE,
)
"""Names of clouds' sizes that are whole machines: m7i.metal-24xl (Amazon),
c3-standard-192-metal (Google), bx2-metal-96x384 (IBM), BM.Standard.A1.160
(Oracle), ebmg7 (Alibaba), physical.s4.3xlarge (Huawei)."""

_INSTANCE = re.compile(
    r'^[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|\d*xlarge)$'
)
"""Amazon's names of sizes that are virtual machines."""

_MAKER = (
    r'(?i)\b(?:ADLINK|Advantech|AMD|Ampere|APM|Apple Inc|ASRock|ASUS\w*|'
    r'Avantek|'
    r'Cavium|Dell|Foxconn|Fujitsu|Giga ?byte|Giga Computing|H3C|HPE?|'
    r'Hewlett[ -]Packard|Huawei(?! ?Cloud)|IEIT|Inspur|Inventec|Kunpeng|'
    r'Lenovo|Loongson|Marvell|MiTAC|NVIDIA|Oracle Corporation|Pegatron|'
    r'Phytium|QCT|Qualcomm|Quanta\w*|Radxa|Raspberry Pi|SolidRun|Sugon|'
    r'Supermicro|Super Micro|Tyan|Wiwynn|ZTE)\b'
)
"""Makers of machines that are not x86; compiled where one is looked for."""

_RACKED = frozenset({'17', '23', '28', '29'})
"""SMBIOS chassis types of servers: main server, rack mount, blade, blade
enclosure (DSP0134 sec. 7.4.1). Hypervisors write 1 (other) or 3 (desktop)."""

_PCI_VENDORS = {
    0x1AB8: 'Parallels',
    0x1B36: 'QEMU',
    0x15AD: 'VMware',
    0x5853: 'Xen',
    0x80EE: 'VirtualBox',
    0xFB5D: 'bhyve',
}
"""Vendors of PCI devices that exist in virtual machines only."""

_PCI_DEVICES = {
    (0x1234, 0x1111): 'QEMU or Bochs',
    (0x1414, 0x5353): 'Hyper-V',
    (0x1AF4, 0x1110): 'QEMU',
}
"""Devices of that kind, of vendors that also make others. Virtio devices are
none of them: cards make them too."""

_ACPI = re.compile(r'^(?:LNRO0005:|VMGENCTR:|VM(?:BUS|Bus):|XEN0)')
"""Beginnings of ACPI ids that only hypervisors give: virtio-mmio, the
generation counter, VMBus, Xen's platform device."""

_ACPI_QEMU = re.compile(r'^QEMU')
"""QEMU's own. Not looked for on x86, where the bit of CPUID and DMI show QEMU
unless it was disguised: the lab's stand-in for a real machine is such a QEMU,
and these ids are the only trace that it leaves."""

_BUSES = {
    '/sys/bus/vmbus/devices': 'Hyper-V',
    '/sys/bus/xen/devices': 'Xen',
}
"""Buses that exist under one hypervisor only."""

_VIRTUAL_TREES = (
    'linux,dummy-',
    'bhyve',
    'riscv-virtio',
    'qemu',
    'xen,xenvm',
    'jailhouse',
    'acrn',
)
"""Words in the device trees that hypervisors make: those of QEMU begin with
``linux,dummy-``."""

_FW_CFG = re.compile('fw[-_]cfg')
"""QEMU's own device (systemd src/basic/virt.c); hw/loongarch writes _."""


@dataclasses.dataclass(frozen=True)
class Sign:
    """One answer that shows what kind of machine this is.

    :ivar source: the file or directory
    :ivar asked: what was looked for in it
    """

    source: str
    asked: str
    value: str
    strength: Strength = Strength.FLAGS


_SURVEYS: weakref.WeakKeyDictionary[ProbeContext, Survey]
_SURVEYS = weakref.WeakKeyDictionary()


def survey(host: ProbeContext) -> Survey:
    """What was looked at on one host, once: remedies ask for it, too."""
    surveyed = _SURVEYS.get(host)
    if surveyed is None:
        surveyed = _SURVEYS[host] = Survey(host)
    return surveyed


class Survey:
    """All that was looked at on one host.

    :ivar virtual: signs of a virtual machine
    :ivar real: positive signs of a real one
    :ivar looked: places that answered and showed no virtual machine
    :ivar refused: places that are there and could not be looked at
    :ivar withheld: tables that only root may read, and that could show one
    :ivar unsettled: names that belong to neither kind
    :ivar unrecorded: what a recording would have to hold for a board's name
        to count
    """

    def __init__(self, host: ProbeContext) -> None:
        self._look = host
        self.virtual: list[Sign] = []
        self.real: list[Sign] = []
        self.looked: list[str] = []
        self.refused: list[tuple[str, Denied]] = []
        self.withheld: list[str] = []
        self.unsettled: list[Sign] = []
        self.unrecorded: list[tuple[str, Denied]] = []
        self._dmi()
        self._xen()
        if host.arch in (Arch.ARM64, Arch.RISCV64, Arch.LOONGARCH64):
            self._device_tree()
            self._smbios()
        if host.arch is Arch.ARM64:
            self._fadt()
        if self.virtual or host.arch in (Arch.S390X, Arch.PPC64):
            # One sign is enough, and long lists need not be recorded then.
            return
        self._pci()
        self._buses()

    def _text(self, path: str) -> str | None:
        """The text of a file; None, noted where refused, when there is none.

        What a recording does not hold was not looked at, which is no
        refusal: recordings of earlier releases hold less.
        """
        try:
            return self._look.text(path)
        except Denied as denied:
            self._note(path, denied)
            return None

    def _names(self, path: str) -> tuple[str, ...]:
        try:
            return self._look.names(path)
        except Denied as denied:
            self._note(path, denied)
            return ()

    def _note(self, path: str, denied: Denied) -> None:
        if not denied.not_found and denied.error != NOT_RECORDED:
            self.refused.append((path, denied))

    def _dmi(self) -> None:
        answers = {}
        recorded = True
        for name in ('sys_vendor', 'product_name', 'bios_vendor'):
            path = f'{DMI}/{name}'
            try:
                answers[name] = self._look.text(path)
            except Denied as denied:
                self._note(path, denied)
                recorded = recorded and denied.not_found
        vendor = answers.get('sys_vendor', '')
        product = answers.get('product_name', '')
        cloud = any(map(_CLOUD.search, answers.values()))
        for name, value in answers.items():
            if name == 'bios_vendor' and cloud and _METAL.search(product):
                # Some start their whole machines with the same firmware.
                continue
            if _VIRTUAL.search(value):
                self._virtual(f'{DMI}/{name}', name, value)
        if cloud:
            self._cloud(vendor, product)
        elif any(answers.values()):
            self._maker(vendor, product)
        if recorded and any(answers.values()):
            self.looked.append('DMI')

    def _cloud(self, vendor: str, product: str) -> None:
        path = f'{DMI}/product_name'
        if _METAL.search(product):
            self.real.append(Sign(path, 'a size of bare metal', product))
        elif vendor == 'Amazon EC2' and _INSTANCE.search(product):
            self._virtual(path, 'product_name', product)
        elif product and self._look.arch is not Arch.X86:
            self._cloud_guest(path, product)

    def _cloud_guest(self, path: str, product: str) -> None:
        """No flag shows it there, but a cloud's guest is not given EL2."""
        # Where that is not known it may: no guest is made of it.
        if unless_denied(lambda: self._look.kvm_registered, True):
            self.unsettled.append(Sign(path, 'product_name', product))
        else:
            self._virtual(path, 'product_name', product)

    def _maker(self, vendor: str, product: str) -> None:
        """On x86 the processor itself says more than a maker's name."""
        if self._look.arch is Arch.X86:
            return
        if _METAL.search(product):
            path = f'{DMI}/product_name'
            self.real.append(Sign(path, 'a size of bare metal', product))
        elif re.search(_MAKER, vendor):
            path = f'{DMI}/sys_vendor'
            self.real.append(Sign(path, 'a maker of machines', vendor))
        else:
            path = f'{DMI}/chassis_type'
            kind = self._text(path)
            if kind in _RACKED:
                self.real.append(Sign(path, 'a server in a rack', kind))
            elif vendor:
                path = f'{DMI}/sys_vendor'
                self.unsettled.append(Sign(path, 'sys_vendor', vendor))

    def _virtual(
        self,
        source: str,
        asked: str,
        value: str,
        strength: Strength = Strength.FLAGS,
    ) -> None:
        self.virtual.append(Sign(source, asked, value, strength))

    def _xen(self) -> None:
        """Xen, its dom0 included: there too it owns the processor."""
        kind = self._text(XEN_TYPE)
        if kind:
            self._virtual(XEN_TYPE, 'type', kind, Strength.PARAMETER)
        # The directory exists under Xen only, the file where it is mounted.
        path = '/proc/xen/capabilities'
        domain = self._text(path)
        try:
            self._look.names('/proc/xen')
        except Denied as denied:
            self._note('/proc/xen', denied)
            if domain is None:
                return
        value = domain or 'no word of a privileged domain'
        self._virtual(path, 'capabilities', value, Strength.PARAMETER)

    def _smbios(self) -> None:
        """Bit 4 of BIOS Characteristics Extension Byte 2: a virtual machine.

        DSP0134 sec. 7.1.2.2. Where it is not set nothing follows.
        """
        try:
            table = self._look.read(SMBIOS)
        except Denied as denied:
            self._withhold(SMBIOS, denied)
            return
        if len(table) > 19 and table[1] > 19 and table[19] >> 4 & 1:
            self._virtual(SMBIOS, 'byte 19 bit 4', f'{table[19]:#04x}')

    def _fadt(self) -> None:
        try:
            flags = psci.hvc_by_acpi(self._look)
        except Denied as denied:
            self._withhold(psci.FADT, denied)
            return
        if flags:
            self._virtual(psci.FADT, psci.ASKED, flags)

    def _withhold(self, path: str, denied: Denied) -> None:
        if not denied.not_found and denied.error != NOT_RECORDED:
            self.withheld.append(path)

    def _device_tree(self) -> None:
        hypervisor = self._tree(HYPERVISOR_NODE)
        board = self._tree(COMPATIBLE)
        arm = self._look.arch is Arch.ARM64
        method = self._tree(psci.METHOD) if arm else ''
        if not board:
            self.unrecorded.clear()
        if hypervisor:
            self._virtual(HYPERVISOR_NODE, 'compatible', hypervisor)
        names = self._names(TREE) if board else ()
        made = next((name for name in names if _FW_CFG.match(name)), '')
        if made:
            self._virtual(TREE, 'fw-cfg', made)
        if method == 'hvc':
            # Arm DEN0022 sec. 5.2: what answers sits at EL2.
            self._virtual(psci.METHOD, psci.ASKED, method)
        if board and any(word in board for word in _VIRTUAL_TREES):
            self._virtual(COMPATIBLE, 'compatible', board)
        elif board and None not in (hypervisor, method):
            self.real.append(Sign(COMPATIBLE, 'the name of a board', board))
            self.looked.append('device tree')

    def _tree(self, path: str) -> str | None:
        """A property: strings, each ended by a NUL; '' where the tree does
        not have it, None where that is not known."""
        try:
            text = self._look.text(path)
        except Denied as denied:
            self._note(path, denied)
            if denied.error == NOT_RECORDED:
                self.unrecorded.append((path, denied))
            return '' if denied.not_found else None
        return ', '.join(part for part in text.split('\0') if part)

    def _pci(self) -> None:
        any_device = False
        for vendor, device in self._pci_ids():
            any_device = True
            maker = _PCI_VENDORS.get(vendor) or _PCI_DEVICES.get(
                (vendor, device)
            )
            if maker:
                value = f'{vendor:04x}:{device:04x} ({maker})'
                self._virtual(_PCI, 'devices of hypervisors', value)
                return
        if any_device:
            self.looked.append('PCI')

    def _pci_ids(self) -> Iterator[tuple[int, int]]:
        """Vendor and device of each PCI function."""
        try:
            text = self._look.text(_PCI)
        except Denied as denied:
            self._note(_PCI, denied)
            yield from self._pci_ids_of_sysfs()
            return
        for line in text.splitlines():
            words = line.split()
            if len(words) > 1 and re.fullmatch('[0-9a-f]{8}', words[1]):
                yield int(words[1][:4], 16), int(words[1][4:], 16)

    def _pci_ids_of_sysfs(self) -> Iterator[tuple[int, int]]:
        for name in self._names(_PCI_SYSFS)[:_PCI_LIMIT]:
            numbers = []
            for file in ('vendor', 'device'):
                text = self._text(f'{_PCI_SYSFS}/{name}/{file}') or ''
                if re.fullmatch('0x[0-9a-f]{4}', text):
                    numbers.append(int(text, 16))
            if len(numbers) == 2:
                yield numbers[0], numbers[1]

    def _buses(self) -> None:
        path = '/sys/bus/acpi/devices'
        names = self._names(path)
        x86 = self._look.arch is Arch.X86
        for name in names:
            if _ACPI.match(name) or (not x86 and _ACPI_QEMU.match(name)):
                self._virtual(path, 'devices of hypervisors', name)
                break
        for path, hypervisor in _BUSES.items():
            devices = self._names(path)
            if devices:
                value = f'{hypervisor}: {devices[0]}'
                self._virtual(path, 'devices', value, Strength.PARAMETER)
