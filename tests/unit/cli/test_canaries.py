# SPDX-License-Identifier: Apache-2.0
"""Secrets and names of a host that must not be in a recording of it.

Each source holds some, each of them in its own form; whoever adds a source
of facts adds it here.
"""

import re

from hvfilter.host import snapshot
from tests.recordings import tables
from tests.unit.cli.base import CommandTestCase

HOST = 'CANARYHOST'
SECRET = 'CANARY'
UUID = '01234567-89ab-cdef-0123-456789abcdef'
ADDRESSES = (
    UUID,
    UUID.upper(),
    '52:54:00:aa:bb:cc',
    '52-54-00-AA-BB-CC',
    '10.11.12.13',
    '2001:db8::17',
    'fe80::5054:ff:feaa:bbcc',
    '2001:db8:1:2:3:4:5:6',
    'admin@example.org',
)
NAMES = f'{HOST} {HOST.lower()}.example.org {" ".join(ADDRESSES)}'

FILES = {
    'etc/hostname': f'{HOST}\n',
    'etc/hosts': f'127.0.1.1 {HOST}.example.org CANARYALIAS\n',
    'etc/machine-id': 'CANARYMID\n',
    'etc/os-release': f'ID=debian\nHOME_URL="https://CANARYOS/{HOST}"\n',
    'etc/nova/compute_id': UUID,
    'etc/nova/nova.conf': f"""\
[DEFAULT]
compute_driver = libvirt.LibvirtDriver
host = {HOST}
my_ip = 10.9.8.7
transport_url = rabbit://u:CANARYRABBIT@10.0.0.1/
[placement]
password = CANARYPASSWORD
auth_url = http://CANARYURL/
[libvirt]
virt_type = kvm
cpu_model_extra_flags = vmx
  # CANARYCONTINUED password = x
cpu_models = "CANARY QUOTED",{HOST}
""",
    f'etc/nova/nova.conf.d/{HOST}.conf': '[libvirt]\ncpu_mode=host-model\n',
    f'etc/nova/nova.conf.d/a-{HOST}.conf': '[libvirt]\nvirt_type=kvm\n',
    'etc/systemd/system/nova-compute.service': (
        '[Service]\nExecStart=/usr/bin/nova-compute --password=CANARYUNIT '
        f'--name {HOST} CANARYWORD\n'
    ),
    'proc/sys/kernel/arch': 'x86_64\n',
    'proc/sys/kernel/osrelease': f'6.12.1-{HOST}\n',
    'proc/sys/kernel/hostname': f'{HOST}\n',
    'proc/sys/kernel/domainname': 'CANARYDOMAIN\n',
    'proc/cmdline': (
        f'BOOT_IMAGE=/vmlinuz root=UUID={UUID} ro iommu=pt '
        f'rd.luks.key=CANARY01 ip=10.11.12.13::10.11.12.1:255.0.0.0:{HOST}:'
        'eth0 systemd.set_credential=db:CANARY02 CANARY03 '
        'Q0FOQVJZMDQtYmFzZTY0LXNlY3JldA== '
        '"systemd.setenv=TOKEN=CANARY05 kvm.note=CANARY06" '
        'dyndbg="file CANARY07 +p" kvm.nested=1 kvm.note="a CANARY08" '
        'password=CANARY09 cpu=CANARY10 intel_iommu=on,CANARY11 '
        f'kvm.name={HOST.lower()} -- tok=CANARY12 CANARY13\n'
    ),
    'proc/misc': '232 kvm\n',
    'proc/version': f'Linux version 6.12.1 (root@CANARYBUILD) on {HOST}\n',
    'proc/sysinfo': 'LPAR Name:            CANARYLP\nSequence Code: CANARY\n',
    'proc/cpuinfo': (
        'processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n'
        f'model name\t: {NAMES} Xeon\nflags\t\t: fpu lm vmx ept vpid\n\n'
        'Serial\t\t: CANARYSERIAL\n'
    ),
    'dev/kmsg': (
        '6,1,1,-;Command line: kvm.nested=1 password=CANARYKMSG1\n'
        '6,2,1,-;Kernel command line: kvm.nested=1 CANARYKMSG2 a=CANARYKMSG3\n'
        '5,3,1,-;Unknown kernel command line parameters "kvm=CANARYKMSG4"\n'
        '30,4,1,-;systemd[1]: kvm CANARYKMSG5\n'
        f'6,5,1,-;systemd[1]: Hostname set to <CANARYSET>.\n'
        f'6,6,1,-;kvm: CANARYSET and {NAMES}\n'
        '6,7,1,-;usb 1-1: SerialNumber: CANARYUSB\n'
    ),
    'sys/hypervisor/type': f'{NAMES}\n',
    'sys/devices/system/cpu/online': '0\n',
    'sys/module/kvm/parameters/note': f'CANARYPARAM {NAMES}\n',
    'sys/module/ccp/parameters/init_ex_path': f'/srv/{HOST}/CANARYPATH\n',
    'sys/module/kvm_intel/parameters/nested': 'Y\n',
    'sys/firmware/acpi/tables/DMAR': f'DMAR\0\xff{NAMES}',
    **{
        f'sys/class/dmi/id/{name}': f'Dell {NAMES}\n'
        for name in ('sys_vendor', 'product_name', 'bios_vendor')
    },
    **{
        f'sys/class/dmi/id/{name}': 'CANARYDMI\n'
        for name in (
            'product_serial',
            'product_uuid',
            'board_serial',
            'chassis_serial',
            'chassis_asset_tag',
        )
    },
}


class TestCanaries(CommandTestCase):
    def setUp(self):
        super().setUp()
        self.root = self.folder / 'root'
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                text.encode('latin-1' if '\xff' in text else 'utf-8')
            )

    def assert_nothing_told(self, ran, text):
        files = tables(snapshot.loads(text)).files.values()
        contents = [d.decode('latin-1') for d in files if type(d) is bytes]
        for shown in (ran.err, text, *contents):
            found = re.findall(f'(?i)\\w*{SECRET}\\w*', shown)
            self.assertEqual([], found)
            for address in ADDRESSES:
                self.assertNotIn(address, shown)

    def test_nothing_is_told_when_a_copy_is_recorded(self):
        path = self.folder / 'x.json'
        ran = self.run_command('record', '--sysroot', self.root, path)
        self.assertEqual(0, ran.status, ran)
        text = path.read_text()
        self.assert_nothing_told(ran, text)
        # And what probes need is still there.
        for kept in ('kvm.nested=1', 'intel_iommu=on', 'host-model', 'vpid'):
            self.assertIn(kept, text)

    def test_nothing_is_told_when_a_recording_is_recorded_again(self):
        for note in ((), ('--note', f'{HOST} has lost nested')):
            full, path = self.folder / 'full', self.folder / 'x.json'
            ran = self.run_command(
                'record', '--keep-names', '--sysroot', self.root, full
            )
            self.assertIn(HOST, full.read_text())
            ran = self.run_command('record', '--snapshot', full, *note, path)
            self.assertEqual(0, ran.status, ran)
            text = path.read_text().replace('CANARYSET', '')
            self.assert_nothing_told(ran, text)
