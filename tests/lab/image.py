# SPDX-License-Identifier: Apache-2.0
"""What the hosts boot: kernel, modules, a small userland, and hvfilter.

An initramfs is three archives after each other: the userland with hvfilter
(one for each architecture), the modules of the kernel, and what makes this
one host.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from tests.lab import cpio, debian, emulators

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GUEST = pathlib.Path(__file__).resolve().parent / 'guest'
FOLDER = pathlib.Path(os.environ.get('HVFILTER_LAB_FOLDER', ROOT / '.lab'))
"""Where everything that was downloaded stays."""

USERLAND_SUITES = {
    'amd64': 'trixie',
    'arm64': 'trixie',
    'ppc64el': 'forky',
    'riscv64': 'forky',
}
LIBRARIES = ('libc6', 'libgcc-s1', 'zlib1g', 'libexpat1', 'libffi8')

DEPENDENCIES = (
    'cliff',
    'stevedore',
    'autopage',
    'prettytable',
    'wcwidth',
    'PyYAML',
    'oslo.config',
    'netaddr',
    'rfc3986',
)
"""What the commands that hosts run import besides the standard library; pure
Python of it."""

_UNUSED = re.compile(
    r'(test|idlelib|tkinter|ensurepip|pydoc_data|unittest|asyncio|sqlite3|'
    r'xmlrpc|wsgiref|curses|dbm|venv|multiprocessing|_pyrepl|xml|'
    r'lib-dynload/(_test|xx|_codecs_|_decimal|_sqlite|_curses|_ssl|_hashlib|'
    r'_bz2|_lzma|_uuid|_dbm|readline|_interp)|'
    r'encodings/(?!__init__|aliases|ascii|utf_8|latin_1|idna)|'
    r'(pydoc|turtle|doctest|pdb|_pydecimal|mailbox|imaplib|smtplib)\.py|'
    r'_sysconfigdata|EXTERNALLY|sitecustomize)'
)
"""What the hosts do not need of the standard library."""

_COMMAND = b'#!/bin/sh\nexec python3 -m hvfilter.cli.main "$@"\n'

_MODULES = ('msr', 'cpuid', 'kvm', 'kvm-amd', 'kvm-intel', 'kvm-hv')


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A Debian kernel.

    :ivar arch: as Debian calls it
    :ivar metapackage: depends on the newest one of its kind
    """

    arch: str
    suite: str
    metapackage: str


KERNELS: Mapping[tuple[str, str], Kernel] = {
    ('amd64', '6.1'): Kernel('amd64', 'bookworm', 'linux-image-cloud-amd64'),
    ('amd64', '6.12'): Kernel(
        'amd64', 'bookworm', 'linux-image-6.12-cloud-amd64'
    ),
    ('amd64', 'testing'): Kernel('amd64', 'forky', 'linux-image-cloud-amd64'),
    ('arm64', '6.1'): Kernel('arm64', 'bookworm', 'linux-image-cloud-arm64'),
    ('arm64', '6.12'): Kernel('arm64', 'trixie', 'linux-image-cloud-arm64'),
    ('arm64', 'testing'): Kernel('arm64', 'forky', 'linux-image-cloud-arm64'),
    ('ppc64el', 'testing'): Kernel(
        'ppc64el', 'forky', 'linux-image-powerpc64le'
    ),
    ('riscv64', 'testing'): Kernel('riscv64', 'forky', 'linux-image-riscv64'),
}


@dataclasses.dataclass(frozen=True)
class Userland:
    """Packages of a suite, unpacked: Python, busybox, and no more.

    :ivar python: ``python3.13``
    """

    root: pathlib.Path
    python: str
    suite: str


class Images:
    """Builds and keeps what hosts boot."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._built = folder / 'images'
        self._built.mkdir(parents=True, exist_ok=True)
        self._packed: dict[str, pathlib.Path] = {}

    def kernel(self, arch: str, version: str) -> pathlib.Path:
        """The kernel's file."""
        root = self._kernel_root(arch, version)
        places = ('boot/vmlinu[xz]-*', 'usr/lib/modules/*/vmlinuz')
        (image,) = (path for place in places for path in root.glob(place))
        return image

    def initramfs(
        self,
        arch: str,
        version: str,
        host: Mapping[str, object],
        state: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """The three archives.

        :param host: for ``guest/host.py``
        :param state: path to content of what an earlier boot left behind
        """
        own = io.BytesIO()
        writer = cpio.Writer(own)
        writer.file('lab/host.json', json.dumps(host).encode())
        for name, content in _texts(host.get('files')).items():
            writer.file(name.lstrip('/'), content.encode())
        for name, data in (state or {}).items():
            writer.file(name.lstrip('/'), data)
        writer.close()
        return b''.join(
            (
                self.userland(arch).read_bytes(),
                self.modules(arch, version).read_bytes(),
                own.getvalue(),
            )
        )

    def around(
        self, version: str, initramfs: bytes, parameters: Sequence[str]
    ) -> bytes:
        """A host that runs another as a virtual machine of real KVM.

        :param version: of both kernels
        :param initramfs: of the inner one
        :param parameters: for the outer ``kvm-amd``
        """
        own = io.BytesIO()
        writer = cpio.Writer(own)
        kernel = self.kernel('amd64', version)
        writer.file('inner/kernel', kernel.read_bytes())
        writer.file('inner/initramfs', initramfs)
        settings = {
            'load': ' '.join(parameters),
            'cpu': 'host',
            'command_line': emulators.X86_COMMAND_LINE,
        }
        lines = [f"{name}='{value}'\n" for name, value in settings.items()]
        writer.file('lab/around.conf', ''.join(lines).encode())
        writer.close()
        return b''.join(
            (
                self._qemu().read_bytes(),
                self.modules('amd64', version).read_bytes(),
                own.getvalue(),
            )
        )

    def _qemu(self) -> pathlib.Path:
        """Busybox, and this machine's own QEMU with what it is linked to."""
        done = self._built / 'qemu.cpio'
        if done.exists():
            return done
        root = self._unpacked('amd64', USERLAND_SUITES['amd64']).root
        said = subprocess.run(
            ['ldd', '/usr/bin/qemu-system-x86_64'],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        with _whole(done) as part, part.open('wb') as file:
            writer = cpio.Writer(file)
            writer.file('init', (GUEST / 'around').read_bytes(), 0o755)
            busybox = (root / 'usr/bin/busybox').read_bytes()
            writer.file('bin/busybox', busybox, 0o755)
            libraries = re.findall(r'(/\S+) \(0x', said)
            for name in ('/usr/bin/qemu-system-x86_64', *libraries):
                content = pathlib.Path(name).read_bytes()
                writer.file(name[1:], content, 0o755)
            for path in _qemu_firmware():
                writer.file(f'usr/share/qemu/{path.name}', path.read_bytes())
            writer.close()
        return done

    def _kernel_root(self, arch: str, version: str) -> pathlib.Path:
        kernel = KERNELS[arch, version]
        apt = debian.Apt(self._folder, kernel.arch, kernel.suite)
        chosen = self._folder / f'kernel-{arch}-{version}'
        if not chosen.exists():
            names = apt.depends(kernel.metapackage)
            image = next(n for n in names if n.startswith('linux-image-'))
            # Newer releases spread a kernel over several packages.
            parts = [
                name
                for name in apt.depends(image)
                if name.startswith(('linux-binary-', 'linux-modules-'))
            ]
            chosen.write_text(' '.join([image, *parts]))
        return apt.unpacked(chosen.read_text().split())

    def _module_files(
        self, arch: str, version: str
    ) -> dict[str, pathlib.Path]:
        root = self._kernel_root(arch, version)
        return {
            path.name.split('.ko')[0].replace('_', '-'): path
            for path in root.glob('**/*.ko*')
        }

    def module(self, arch: str, version: str, name: str) -> bytes:
        """One module as the hosts load it."""
        return _stripped(_module(self._module_files(arch, version)[name]))

    def modules(self, arch: str, version: str) -> pathlib.Path:
        """KVM and what it needs, in the order of loading."""
        done = self._built / f'modules-{arch}-{version}.cpio'
        if done.exists():
            return done
        files = self._module_files(arch, version)
        order: list[str] = []

        def add(name: str) -> None:
            if name in order or name not in files:
                return
            for needed in _depends(_module(files[name])):
                add(needed.replace('_', '-'))
            order.append(name)

        for name in _MODULES:
            add(name)
        with _whole(done) as part, part.open('wb') as file:
            writer = cpio.Writer(file)
            for name in order:
                module = _stripped(_module(files[name]))
                writer.file(f'lab/modules/{name}.ko', module)
            writer.file('lab/modules/order', '\n'.join(order).encode())
            writer.close()
        return done

    def userland(self, arch: str) -> pathlib.Path:
        """Busybox, Python, hvfilter and what that imports."""
        userland = self._unpacked(arch, USERLAND_SUITES[arch])
        packed = self._hvfilter(userland.suite)
        done = self._built / f'userland-{arch}-{packed.name}.cpio'
        if done.exists():
            return done
        for old in self._built.glob(f'userland-{arch}-*'):
            old.unlink()
        libraries = self._python_library(arch, userland)
        python = userland.python
        with _whole(done) as part, part.open('wb') as file:
            writer = cpio.Writer(file)
            for name in ('bin', 'lib', 'lib64', 'sbin'):
                writer.link(name, f'usr/{name}')
            for name in ('proc', 'sys', 'dev', 'tmp', 'run', 'root'):
                writer.folder(name)
            init = (GUEST / 'init').read_bytes()
            writer.file('init', init, 0o755)
            for script in sorted(GUEST.glob('*.py')):
                writer.file(f'lab/{script.name}', script.read_bytes())
            for program in ('busybox', python):
                content = (userland.root / 'usr/bin' / program).read_bytes()
                writer.file(f'usr/bin/{program}', content, 0o755)
            writer.link('usr/bin/python3', python)
            writer.file('usr/bin/hvfilter', _COMMAND, 0o755)
            _shared_libraries(userland, writer)
            writer.tree(libraries, f'usr/lib/{python}')
            writer.tree(packed, 'usr/lib/python3/dist-packages')
            writer.close()
        return done

    def _unpacked(self, arch: str, suite: str) -> Userland:
        apt = debian.Apt(self._folder, arch, suite)
        link = self._folder / f'python-{suite}'
        if not link.exists():
            names = apt.depends('python3-minimal')
            (package,) = (n for n in names if re.match(r'python3\.\d', n))
            link.write_text(package.removesuffix('-minimal'))
        python = link.read_text()
        packages = (
            f'{python}-minimal',
            f'lib{python}-minimal',
            f'lib{python}-stdlib',
            'busybox-static',
            *LIBRARIES,
        )
        return Userland(apt.unpacked(packages), python, suite)

    def _python_library(self, arch: str, userland: Userland) -> pathlib.Path:
        """The standard library, compiled, without what nobody needs."""
        source = userland.root / 'usr/lib' / userland.python
        done = self._folder / f'library-{userland.suite}-{arch}'
        if done.exists():
            return done
        with _whole(done) as part:
            for path in cpio.walk(source):
                name = str(path.relative_to(source))
                if _UNUSED.match(name) or path.is_symlink():
                    continue
                target = part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            self._compile(part, userland.suite)
        return done

    def _hvfilter(self, suite: str) -> pathlib.Path:
        """hvfilter as pip installs it, and its dependencies, compiled."""
        # Once: who edits while the lab runs gets all hosts from one state.
        if suite not in self._packed:
            self._packed[suite] = self._pack_hvfilter(suite)
        return self._packed[suite]

    def _pack_hvfilter(self, suite: str) -> pathlib.Path:
        digest = hashlib.sha256()
        sources = [
            *cpio.walk(ROOT / 'hvfilter'),
            *cpio.walk(GUEST),
            ROOT / 'setup.cfg',
            pathlib.Path(__file__),
        ]
        for source in sources:
            if '__pycache__' not in source.parts:
                digest.update(f'{source}\0'.encode() + source.read_bytes())
        done = self._folder / f'site-{suite}-{digest.hexdigest()[:12]}'
        if done.exists():
            return done
        for old in self._folder.glob(f'site-{suite}-*'):
            shutil.rmtree(old)
        with _whole(done) as part:
            part.mkdir()
            for name in DEPENDENCIES:
                _copy_distribution(name, part)
            _pip_install(part)
            self._compile(part, suite)
        return done

    def _compile(self, folder: pathlib.Path, suite: str) -> None:
        """Bytecode in place of source: emulated processors are slow.

        Without a Python that can do it the source stays.
        """
        userland = self._unpacked('amd64', suite)
        libraries = userland.root / 'usr/lib/x86_64-linux-gnu'
        loader = libraries / 'ld-linux-x86-64.so.2'
        python = userland.root / 'usr/bin' / userland.python
        command = [
            *(loader, '--library-path', libraries, python, '-S', '-E'),
            *('-m', 'compileall', '-q', '-b', '--invalidation-mode'),
            *('unchecked-hash', '-s', folder, '-p', '/lab', folder),
        ]
        environment = {'PYTHONHOME': str(userland.root / 'usr')}
        if subprocess.run(command, env=environment, check=False).returncode:
            print('lab: nothing here runs x86-64; hosts will be slow to look')
            return
        for source in folder.glob('**/*.py'):
            source.unlink()


class _whole:  # noqa: N801 - reads as a statement
    """A path to build at, which becomes the real one if all goes well."""

    def __init__(self, done: pathlib.Path) -> None:
        self._done = done
        self._part = done.with_name(f'{done.name}.part')

    def __enter__(self) -> pathlib.Path:
        if self._part.is_dir():
            shutil.rmtree(self._part)
        return self._part

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._part.rename(self._done)


def standard_library() -> frozenset[str]:
    """Top-level names that hosts can import of it."""
    return frozenset(
        name
        for name in sys.stdlib_module_names
        if not any(
            _UNUSED.match(path)
            for path in (name, f'{name}.py', f'lib-dynload/{name}.')
        )
    )


def _texts(value: object) -> dict[str, str]:
    return value if isinstance(value, dict) else {}


def _module(path: pathlib.Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == '.xz' else content


def _depends(module: bytes) -> list[str]:
    """What its ``.modinfo`` says."""
    found = re.search(rb'\0depends=([^\0]*)\0', module)
    names = found.group(1).decode() if found else ''
    return [name for name in names.split(',') if name]


def _stripped(module: bytes) -> bytes:
    """Without debug data; loading is much quicker where emulation is slow."""
    if not debian.OBJCOPY.there():
        return module
    command = ['objcopy', '--strip-debug', '-R', '.BTF', '-R', '.BTF_ids']
    with tempfile.NamedTemporaryFile() as file:
        file.write(module)
        file.flush()
        done = subprocess.run(
            [*command, file.name], stderr=subprocess.DEVNULL, check=False
        )
        # It may not know other architectures than its own.
        if done.returncode:
            return module
        return pathlib.Path(file.name).read_bytes()


def _qemu_firmware() -> list[pathlib.Path]:
    """What QEMU reads when it starts a PC with a kernel of its own."""
    found = {
        path.name: path
        for folder in ('qemu', 'seabios')
        for path in pathlib.Path('/usr/share', folder).glob('*.bin')
    }
    names = ('bios-256k.bin', 'linuxboot_dma.bin', 'kvmvapic.bin')
    return [found[name] for name in names]


def _shared_libraries(userland: Userland, writer: cpio.Writer) -> None:
    root = userland.root
    wanted = re.compile(
        r'(ld-linux|ld64\.|libc\.|libm\.|libdl\.|libpthread\.|librt\.|libutil\.|'
        r'libz\.|libexpat\.|libffi\.|libgcc_s\.)'
    )
    for path in cpio.walk(root / 'usr'):
        name = str(path.relative_to(root))
        if not name.startswith(('usr/lib/', 'usr/lib64/')):
            continue
        if not wanted.match(path.name) or userland.python in path.parts:
            continue
        if path.is_symlink():
            writer.link(name, str(path.readlink()))
        else:
            writer.file(name, path.read_bytes(), 0o755)


def _copy_distribution(name: str, target: pathlib.Path) -> None:
    """Its pure Python, and what tells its entry points."""
    for file in importlib.metadata.distribution(name).files or ():
        metadata = '.dist-info/' in str(file)
        if file.parts[0] == '..' or '/tests/' in str(file):
            continue
        if file.suffix == '.py' or (
            metadata and file.name in ('METADATA', 'entry_points.txt')
        ):
            copy = target / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), copy)


def _pip_install(target: pathlib.Path) -> None:
    command: Sequence[str | pathlib.Path] = [
        *(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps'),
        *('--disable-pip-version-check', '--no-compile'),
        *('--target', target, ROOT),
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise debian.Missing(
            f'pip could not install hvfilter; it said:\n{done.stdout[-2000:]}'
        )
