# SPDX-License-Identifier: Apache-2.0
"""Processors of our choice: QEMU's TCG and Bochs.

Each emulator boots a kernel with an initramfs and gives back what came out
of the serial line that the results are written to.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from tests.lab import debian


@dataclasses.dataclass(frozen=True)
class Boot:
    """What is booted.

    :ivar folder: for this run alone
    :ivar command_line: added to the emulator's own
    :ivar limit_s: seconds until it is given up
    :ivar shell: the console is the terminal of whoever asked
    :ivar nice: how far the emulator stands behind other programs
    """

    folder: pathlib.Path
    kernel: pathlib.Path
    initramfs: pathlib.Path
    command_line: str
    limit_s: float
    shell: bool
    nice: int = 10

    @property
    def console(self) -> pathlib.Path:
        return self.folder / 'console.log'

    @property
    def results(self) -> pathlib.Path:
        return self.folder / 'results.log'


X86_COMMAND_LINE = (
    'console=ttyS0 quiet loglevel=4 random.trust_cpu=on nokaslr '
    'mitigations=off cryptomgr.notests=1'
)


class Emulator(abc.ABC):
    """One way to emulate a processor."""

    arch: str
    """As Debian calls it."""

    results: str
    """The device in the host that the results are written to."""

    programs: tuple[debian.Program, ...]

    limit_s = 240.0

    @abc.abstractmethod
    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        """The command that boots it."""

    def run(self, boot: Boot) -> str:
        """Boot it and wait; what came out where the results go."""
        nice = str(boot.nice)
        command = ['nice', '-n', nice, *map(str, self.command(boot))]
        log = boot.folder / 'emulator.log'
        if boot.shell:
            subprocess.run(command, check=False)
            return ''
        with log.open('wb') as out:
            process = subprocess.Popen(
                command,
                cwd=boot.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                _wait(process, boot)
            finally:
                # Some machines cannot power themselves off.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not boot.results.exists():
            return ''
        return boot.results.read_bytes().decode('ascii', 'replace')


def _wait(process: subprocess.Popen[bytes], boot: Boot) -> None:
    """Until it ends, has told its results, or takes too long."""
    end = time.monotonic() + boot.limit_s
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.5)
        if boot.results.exists():
            with boot.results.open('rb') as file:
                file.seek(-min(64, boot.results.stat().st_size), os.SEEK_END)
                if b'LAB-END' in file.read():
                    return


@dataclasses.dataclass(frozen=True)
class QemuX86(Emulator):
    """x86-64 by QEMU's TCG.

    :ivar firmware: what SMBIOS says, in place of QEMU's own
    :ivar around: the host is a virtual machine of real KVM, in another one
        whose ``kvm-amd`` is loaded with these parameters
    """

    cpu: str
    firmware: tuple[str, ...] = ()
    around: tuple[str, ...] | None = None
    arch = 'amd64'
    results = '/dev/ttyS1'
    programs = debian.QEMU_X86

    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        console = 'stdio' if boot.shell else f'file:{boot.console}'
        firmware = [arg for f in self.firmware for arg in ('-smbios', f)]
        return [
            *('/usr/bin/qemu-system-x86_64', '-accel', 'tcg,thread=multi'),
            *('-machine', 'q35', '-cpu', self.cpu, '-smp', '1'),
            *('-m', '2560' if self.around is not None else '512'),
            *('-nodefaults', '-no-reboot'),
            *('-display', 'none', '-serial', console, *firmware),
            *('-serial', f'file:{boot.results}'),
            *('-kernel', boot.kernel, '-initrd', boot.initramfs, '-append'),
            f'{X86_COMMAND_LINE} {boot.command_line}',
        ]


@dataclasses.dataclass(frozen=True)
class QemuArm(Emulator):
    """arm64 by QEMU's TCG, with or without EL2."""

    cpu: str
    el2: bool = True
    arch = 'arm64'
    results = '/dev/ttyAMA0'
    programs = debian.QEMU_ARM

    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        console = 'stdio' if boot.shell else f'file:{boot.results}'
        state = 'on' if self.el2 else 'off'
        return [
            *('qemu-system-aarch64', '-accel', 'tcg,thread=multi', '-M'),
            f'virt,virtualization={state},gic-version=3',
            *('-cpu', self.cpu, '-smp', '1', '-m', '512', '-nodefaults'),
            *('-no-reboot', '-display', 'none', '-serial', console),
            *('-kernel', boot.kernel, '-initrd', boot.initramfs, '-append'),
            'console=ttyAMA0 quiet loglevel=1 nokaslr mitigations=off '
            f'cryptomgr.notests=1 {boot.command_line}',
        ]


@dataclasses.dataclass(frozen=True)
class QemuRiscv(Emulator):
    """riscv64 by QEMU's TCG."""

    cpu: str
    arch = 'riscv64'
    results = '/dev/ttyS0'
    programs = debian.QEMU_RISCV

    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        console = 'stdio' if boot.shell else f'file:{boot.results}'
        firmware = debian.QEMU_RISCV[1].path
        return [
            *('qemu-system-riscv64', '-accel', 'tcg', '-M', 'virt'),
            *('-cpu', self.cpu, '-smp', '1', '-m', '1024', '-nodefaults'),
            *('-no-reboot', '-display', 'none', '-serial', console),
            *('-bios', firmware, '-kernel', boot.kernel),
            *('-initrd', boot.initramfs, '-append'),
            'console=ttyS0 quiet loglevel=1 cryptomgr.notests=1 '
            f'{boot.command_line}',
        ]


@dataclasses.dataclass(frozen=True)
class QemuPower(Emulator):
    """POWER without a hypervisor (PowerNV) by QEMU's TCG."""

    machine: str
    arch = 'ppc64el'
    results = '/dev/hvc0'
    programs = debian.QEMU_POWER
    limit_s = 300.0

    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        console = 'stdio' if boot.shell else f'file:{boot.results}'
        return [
            *('qemu-system-ppc64', '-accel', 'tcg', '-M', self.machine),
            *('-smp', '1', '-m', '2048', '-nodefaults', '-no-reboot'),
            *('-display', 'none', '-serial', console),
            *('-kernel', boot.kernel, '-initrd', boot.initramfs, '-append'),
            'console=hvc0 quiet loglevel=1 cryptomgr.notests=1 '
            f'{boot.command_line}',
        ]


# What the BIOS of Bochs ORs into IA32_FEATURE_CONTROL before it locks it,
# once in each of its two code paths; 1 locks it with VMX off.
_FEATURE_CONTROL = (
    re.compile(bytes.fromhex('b93a0000000f3283c8') + b'(.)' + b'\x0f\x30'),
    re.compile(bytes.fromhex('66b93a0000000f326683c8') + b'(.)' + b'\x0f\x30'),
)


def locked_bios(bios: bytes) -> bytes:
    """A copy of the BIOS of Bochs that locks VMX off.

    :raises Missing: it is not the BIOS we know
    """
    patched = bytearray(bios)
    changed = 0
    for pattern in _FEATURE_CONTROL:
        found = re.findall(pattern, bios)
        match = pattern.search(bios)
        if len(found) != 1 or match is None or found != [b'\x05']:
            raise debian.Missing(
                "Bochs's BIOS is not the one the lab knows how to change; "
                'the hosts with a firmware lock need bochsbios 2.7.'
            )
        patched[match.start(1)] = 1
        changed += 5 - 1
    # All bytes of a BIOS add up to nothing.
    patched[-1] = patched[-1] + changed & 0xFF
    return bytes(patched)


@dataclasses.dataclass(frozen=True)
class Bochs(Emulator):
    """x86-64 by Bochs, which has the VT-x that TCG lacks.

    :ivar model: as ``bochs --help cpu`` lists it
    :ivar locked: the firmware locks VMX off
    """

    model: str
    locked: bool = False
    arch = 'amd64'
    results = '/dev/ttyS1'
    programs = debian.BOCHS
    limit_s = 300.0

    def command(self, boot: Boot) -> list[str | pathlib.Path]:
        if boot.shell:
            raise debian.Missing(
                'Bochs has no console to type at; take a host of QEMU.'
            )
        _iso(boot)
        bios = pathlib.Path(debian.BOCHS[2].path)
        if self.locked:
            copy = boot.folder / 'bios'
            copy.write_bytes(locked_bios(bios.read_bytes()))
            bios = copy
        settings = boot.folder / 'bochsrc'
        lines: Mapping[str, str] = {
            'display_library': 'term',
            'cpu': f'model={self.model}, count=1, ips=50000000, '
            'reset_on_triple_fault=0, ignore_bad_msrs=1',
            'memory': 'guest=512, host=512',
            'romimage': f'file={bios}, options=fastboot',
            'vgaromimage': 'file=/usr/share/bochs/VGABIOS-lgpl-latest',
            'pci': 'enabled=1, chipset=i440fx',
            'ata0': 'enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14',
            'ata0-master': 'type=cdrom, path=boot.iso, status=inserted',
            'boot': 'cdrom',
            'com1': f'enabled=1, mode=file, dev={boot.console}',
            'com2': f'enabled=1, mode=file, dev={boot.results}',
            'clock': 'sync=none, time0=utc',
            'log': 'bochs.log',
            'panic': 'action=fatal',
            'error': 'action=ignore',
            'info': 'action=ignore',
            'debug': 'action=ignore',
            'speaker': 'enabled=0',
            'sound': 'driver=dummy',
        }
        settings.write_text(
            ''.join(f'{name}: {value}\n' for name, value in lines.items())
        )
        # Debian's Bochs has a debugger, which waits for "continue".
        (boot.folder / 'debugger').write_text('c\n')
        # Its display is a terminal, also where the lab itself has none.
        command = (
            f'TERM=xterm bochs -q -f {settings} -rc {boot.folder}/debugger'
        )
        # Its display needs a terminal.
        return ['script', '-qfec', command, '/dev/null']


def _iso(boot: Boot) -> None:
    """A CD that boots the kernel; Bochs cannot load one itself."""
    folder = boot.folder / 'iso'
    (folder / 'isolinux').mkdir(parents=True)
    for program in debian.BOCHS:
        if program.package in ('isolinux', 'syslinux-common'):
            shutil.copy(program.path, folder / 'isolinux')
    (folder / 'vmlinuz').symlink_to(boot.kernel)
    (folder / 'initrd').symlink_to(boot.initramfs)
    (folder / 'isolinux/isolinux.cfg').write_text(
        'SERIAL 0 115200\nDEFAULT lab\nPROMPT 0\nTIMEOUT 1\nLABEL lab\n'
        ' KERNEL /vmlinuz\n INITRD /initrd\n APPEND console=ttyS0,115200 '
        'quiet loglevel=4 nokaslr mitigations=off nosmp tsc=reliable '
        f'lpj=1000000 no_timer_check cryptomgr.notests=1 {boot.command_line}\n'
    )
    command: Sequence[str | pathlib.Path] = [
        *('xorriso', '-as', 'mkisofs', '-quiet', '-f', '-o'),
        *(boot.folder / 'boot.iso', '-b', 'isolinux/isolinux.bin', '-c'),
        *('isolinux/boot.cat', '-no-emul-boot', '-boot-load-size', '4'),
        *('-boot-info-table', '-l', '-J', '-R', folder),
    ]
    subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
