# SPDX-License-Identifier: Apache-2.0
"""Packages: emulators on this machine, kernels and a userland for the hosts.

What the hosts are made of is downloaded through an apt of its own, with its
own lists and for any architecture; this machine's dpkg never hears of it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

MIRROR = os.environ.get('HVFILTER_LAB_MIRROR', 'http://deb.debian.org')
KEYRING = pathlib.Path('/usr/share/keyrings/debian-archive-keyring.gpg')


class Missing(Exception):
    """Something is needed that cannot be had; tells the remedy."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A program or file (a pattern) here and the package that brings it."""

    path: str
    package: str

    def there(self) -> bool:
        if self.path.startswith('/'):
            return any(pathlib.Path('/').glob(self.path[1:]))
        return shutil.which(self.path) is not None


APT = Program('apt-get', 'apt')
DPKG = Program('dpkg', 'dpkg')
OBJCOPY = Program('objcopy', 'binutils')
QEMU_X86 = (
    Program('/usr/bin/qemu-system-x86_64', 'qemu-system-x86'),
    Program('/usr/share/seabios/bios-256k.bin', 'seabios'),
)
QEMU_ARM = (Program('qemu-system-aarch64', 'qemu-system-arm'),)
QEMU_RISCV = (
    Program('qemu-system-riscv64', 'qemu-system-misc'),
    Program(
        '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin', 'opensbi'
    ),
)
QEMU_POWER = (
    Program('qemu-system-ppc64', 'qemu-system-ppc'),
    Program('/usr/share/qemu/skiboot.lid', 'qemu-system-data'),
)
BOCHS = (
    Program('bochs', 'bochs'),
    Program('/usr/lib/*/bochs/plugins/libbx_term_gui.so', 'bochs-term'),
    Program('/usr/share/bochs/BIOS-bochs-latest', 'bochsbios'),
    Program('/usr/share/bochs/VGABIOS-lgpl-latest', 'vgabios'),
    Program('xorriso', 'xorriso'),
    Program('/usr/lib/ISOLINUX/isolinux.bin', 'isolinux'),
    Program('/usr/lib/syslinux/modules/bios/ldlinux.c32', 'syslinux-common'),
    Program('script', 'bsdutils'),
)


def install(programs: Iterable[Program], what: str = 'the lab') -> list[str]:
    """Install what is not there yet; the names of the packages.

    :param what: is made of them
    :raises Missing: it is not there, and we may not install it
    """
    for program in (APT, DPKG):
        if not program.there():
            raise Missing(
                f'{program.path} is not here: {what} is made of Debian '
                'packages, so it needs Debian or a relative of it.'
            )
    packages = sorted({p.package for p in programs if not p.there()})
    if not packages:
        return []
    line = ' '.join(packages)
    if os.geteuid() != 0:
        raise Missing(
            f'{what} needs packages that only root can install: '
            f'apt-get install --no-install-recommends {line}'
        )
    environment = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    command = ['apt-get', 'install', '-qq', '-y', '--no-install-recommends']
    # Another apt may be at work, as unattended-upgrades is after a boot.
    command += ['-oDPkg::Lock::Timeout=600', *packages]
    done = _run(command, environment)
    if done.returncode:
        # The lists may be missing or out of date.
        _run(['apt-get', 'update', '-qq'], environment)
        done = _run(command, environment)
    if done.returncode:
        raise Missing(
            f'apt-get install {line} failed; it said:\n{done.stdout[-2000:]}'
        )
    return packages


@dataclasses.dataclass(frozen=True)
class Apt:
    """An apt with lists, a cache and sources of its own.

    :ivar folder: where it keeps everything
    :ivar arch: as Debian calls it
    :ivar suite: ``bookworm``, ``trixie``
    """

    folder: pathlib.Path
    arch: str
    suite: str

    @property
    def _home(self) -> pathlib.Path:
        return self.folder / 'apt' / f'{self.suite}-{self.arch}'

    def _command(self, program: str, *arguments: str) -> list[str]:
        home = self._home
        options = {
            'APT::Architecture': self.arch,
            'APT::Architectures::': self.arch,
            'APT::Sandbox::User': 'root',
            'APT::Get::List-Cleanup': 'false',
            'Acquire::Languages': 'none',
            'Dir::State': str(home / 'state'),
            'Dir::State::status': str(home / 'status'),
            'Dir::Cache': str(home / 'cache'),
            'Dir::Etc::SourceList': str(home / 'sources.list'),
            'Dir::Etc::SourceParts': '/dev/null',
        }
        flags = [f'-o{name}={value}' for name, value in options.items()]
        return [program, *flags, *arguments]

    def _apt(self, program: str, *arguments: str, where: str = '.') -> str:
        done = subprocess.run(
            self._command(program, *arguments),
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stdout[-1500:]
            raise Missing(
                f'{program} {" ".join(arguments)} for {self.suite} '
                f'{self.arch} failed; look at the network, or name a mirror '
                f'with HVFILTER_LAB_MIRROR. It said:\n{said}'
            )
        return done.stdout

    def update(self) -> None:
        """Get the lists, once."""
        home = self._home
        if (home / 'updated').exists():
            return
        if not KEYRING.exists():
            raise Missing(
                f'{KEYRING} is missing: install debian-archive-keyring, so '
                'that what is downloaded can be verified.'
            )
        for name in ('state/lists/partial', 'cache/archives/partial'):
            (home / name).mkdir(parents=True, exist_ok=True)
        (home / 'status').touch()
        signed = f'deb [signed-by={KEYRING}] {MIRROR}'
        (home / 'sources.list').write_text(
            f'{signed}/debian {self.suite} main\n'
            f'{signed}/debian-security {self.suite}-security main\n'
        )
        self._apt('apt-get', 'update', '-qq')
        (home / 'updated').touch()

    def depends(self, package: str) -> list[str]:
        """The names that a package depends on, as a metapackage does."""
        self.update()
        said = self._apt('apt-cache', 'depends', '-i', package)
        return re.findall(r'^ +(?:Pre)?Depends: (\S+)$', said, re.MULTILINE)

    def unpacked(self, packages: Sequence[str]) -> pathlib.Path:
        """A folder with the files of these packages, and of no other."""
        self.update()
        root = self._home / 'root' / packages[0]
        done = root.parent / f'{packages[0]}.done'
        if done.exists() and done.read_text() == ' '.join(packages):
            return root
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        archives = self._home / 'archives' / packages[0]
        archives.mkdir(parents=True, exist_ok=True)
        self._apt('apt-get', 'download', *packages, where=str(archives))
        for archive in sorted(archives.glob('*.deb')):
            subprocess.run(['dpkg', '-x', archive, root], check=True)
            archive.unlink()
        done.write_text(' '.join(packages))
        return root


def _run(
    command: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
