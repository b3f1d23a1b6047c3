# SPDX-License-Identifier: Apache-2.0
"""No input takes more than 256 MiB of memory or five seconds."""

import json
import os
import pathlib
import subprocess
import sys

from tests.unit.cli.base import CommandTestCase

MIB = 1 << 20
MEMORY_LIMIT = 256 * MIB
TIME_LIMIT_S = 5.0 if sys.version_info >= (3, 11) else 6.0
"""Of processor time; more only where an ordinary probe takes more than usual.
The interpreter of Python 3.10 is slower."""
USUAL_S = 0.4
HEAD = (
    '{"schema": "hvfilter/snapshot/1", "origin": {"how": "made"}, '
    '"machine": {"arch": "x86_64", "kernel": "6.1"}, '
)
PROGRAM = """
import re, sys
from hvfilter.cli.main import main
try:
    status = main(sys.argv[2:])
finally:
    # Of this program alone: rusage counts what it was forked from.
    with open('/proc/self/status') as told, open(sys.argv[1], 'w') as peak:
        peak.write(re.search('VmHWM:[^0-9]*([0-9]+)', told.read())[1])
sys.exit(status)
"""


class TestBounds(CommandTestCase):
    def ran(self, *argv, status=2):
        """What a process of its own says, within the limits."""
        text, status_there, spent_s, used = self._run(argv)
        self.assertLess(used, MEMORY_LIMIT, argv)
        if spent_s > TIME_LIMIT_S:
            # Processors that others use as well do less in a second.
            ordinary = ('probe', '--snapshot', self.host('kvm-busy'))
            usual_s = self._run(ordinary)[2]
            limit_s = TIME_LIMIT_S * max(1.0, usual_s / USUAL_S)
            self.assertLess(spent_s, limit_s, argv)
        self.assertEqual(status, status_there, text[-2000:])
        self.assertLess(len(text), 2000)
        return text

    def _run(self, argv):
        """Errors, exit status, seconds of processor time, bytes."""
        errors, peak = self.folder / 'errors', self.folder / 'peak'
        # Measured is the program, not coverage that watches its every line.
        unwatched = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith('COVERAGE_')
        }
        with errors.open('wb') as err:
            child = subprocess.Popen(
                [
                    sys.executable,
                    '-c',
                    PROGRAM,
                    str(peak),
                    *map(str, argv),
                ],
                stdout=subprocess.DEVNULL,
                stderr=err,
                env=unwatched,
            )
            _, ended, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(ended)
        spent_s = usage.ru_utime + usage.ru_stime
        used = int(peak.read_text()) * 1024
        return errors.read_text(), child.returncode, spent_s, used

    def file(self, text):
        path = self.folder / 'input'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def test_refused_when_a_file_is_huge(self):
        path = self.folder / 'input'
        with path.open('wb') as file:
            file.truncate(64 * MIB)
        for option in ('--snapshot', '--cpuid'):
            self.assertIn(
                'larger than 16 MiB', self.ran('probe', option, path)
            )
        text = self.ran(
            'publish', '--provider-name', 'x', '--report', path, status=1
        )
        self.assertIn('larger than 16 MiB', text)

    def test_refused_when_there_are_too_many_values(self):
        for text in (
            '[' + '[],' * (15 * MIB // 3),
            '[' * (8 * MIB),
            '{"a":' * MIB,
            HEAD + '"files": {' + ','.join(f'"{i}":{{}}' for i in range(MIB)),
            '["' + 'aa\\n' * (15 * MIB // 4) + '"]',
            '["' + '\\u4e00' * (15 * MIB // 6) + '"]',
        ):
            self.ran('probe', '--snapshot', self.file(text))

    def test_bounded_when_there_are_just_not_too_many(self):
        for text in (
            '["\U0001f600' + 'a' * (15 * MIB) + '"]',
            HEAD
            + '"files": {'
            + ','.join(f'"/{i}":"a"' for i in range(190_000))
            + '}}',
            HEAD
            + '"directories": {"/sys/module": ['
            + ','.join(f'"m{i}"' for i in range(190_000))
            + ']}}',
            '["' + '\\u4e00' * 990_000 + '"]',
        ):
            status = 0 if text.startswith('{') else 2
            self.ran('probe', '--snapshot', self.file(text), status=status)

    def test_refused_when_files_are_too_large_together(self):
        block = {'block': ['x' * 4000], 'rows': [[]] * 4000}
        lines = {'block': [''] * 4, 'rows': [[]] * 60_000}
        for files in (
            {f'/x{i}': [block] for i in range(100)},
            {f'/x{i}': [lines] for i in range(1)},
            {f'/x{i}': [lines, lines] for i in range(1)},
        ):
            text = HEAD + '"files": ' + json.dumps(files) + '}'
            status = 0 if text.count('rows') == 1 else 2
            told = self.ran(
                'probe', '--snapshot', self.file(text), status=status
            )
            if status:
                self.assertRegex(told, 'in all files together|more than')

    def test_bounded_when_many_processors_answer(self):
        leaves = {
            f'0x{leaf:08x}/0x0': 'eax=0x00000016 ebx=0x756e6547 '
            'ecx=0x6c65746e edx=0x49656e69'
            for leaf in range(9)
        }
        group = {'cpus': '0-65535', 'leaves': leaves}
        text = HEAD + '"cpuid": ' + json.dumps([group]) + '}'
        self.ran('probe', '--snapshot', self.file(text), status=0)
        leaves['0x00000010/0x0'] = leaves['0x00000000/0x0']
        text = HEAD + '"cpuid": ' + json.dumps([group]) + '}'
        told = self.ran('probe', '--snapshot', self.file(text))
        self.assertIn('more than 600000 answers', told)

    def test_bounded_when_a_dump_is_large(self):
        line = '0x00000001 0x{0:x}: eax=0x{0:x} ebx=0x0 ecx=0x0 edx=0x0\n'
        many = ''.join(line.format(i) for i in range(190_000))
        self.ran('probe', '--cpuid', self.file(many), status=0)
        again = 'CPUID 00000000: 00000016-756E6547-6C65746E-49656E69\n'
        for text in (
            '\n' * (15 * MIB),
            again * 190_000,
            many + many,
            'x' * (15 * MIB),
            'eax=0x0 ' * (2 * MIB - 1),
            '0x' + 'CPUID 0 ' * (2 * MIB - 1),
        ):
            status = 0 if text == again * 190_000 else 2
            self.ran('probe', '--cpuid', self.file(text), status=status)

    def test_bounded_when_a_copy_is_large(self):
        root = self.folder / 'root'
        folder = root / 'etc/nova/nova.conf.d'
        folder.mkdir(parents=True)
        (root / 'etc/nova/nova.conf').write_text('[libvirt]\n')
        text = '[libvirt]\n' + 'a=b\n' * 200_000
        for number in range(100):
            (folder / f'{number}.conf').write_text(text)
        (root / 'proc').mkdir()
        cpuinfo = ''.join(f'a{i}\t: b\n' for i in range(299_000))
        (root / 'proc/cpuinfo').write_text(cpuinfo)
        (root / 'proc/misc').write_text('232 kvm\n' * (2 * MIB))
        (root / 'proc/cmdline').write_text('kvm.a=b ' * (2 * MIB))
        for argv in (('probe',), ('record', self.folder / 'x')):
            self.ran(*argv, '--sysroot', root, status=0)

    def test_refused_at_once_when_a_pipe_or_a_device_is_in_the_way(self):
        pipe = self.folder / 'pipe'
        os.mkfifo(pipe)
        for option in ('--snapshot', '--cpuid', '--sysroot'):
            for path in (pipe, '/dev/zero', '/dev/null'):
                self.ran('probe', option, path)
        told = self.ran('record', '--snapshot', self.host('kvm-busy'), pipe)
        self.assertIn('Cannot write', told)

    def test_read_when_a_pipe_has_a_writer(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        data = self.host('kvm-busy').read_bytes()[:60000]
        os.write(write, data)
        os.close(write)
        ran = self.run_command('probe', '--snapshot', f'/dev/fd/{read}')
        self.assertEqual(0, ran.status, ran)


class TestNoSpace(CommandTestCase):
    def test_nothing_is_left_when_the_disk_is_full(self):
        program = (
            'import resource, signal, sys\n'
            'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
            'resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))\n'
            'from hvfilter.cli.main import main\n'
            'sys.exit(main(sys.argv[1:]))\n'
        )
        path = pathlib.Path(self.folder, 'new.json')
        for before in (None, 'old'):
            if before:
                path.write_text(before)
            ran = subprocess.run(
                [
                    sys.executable,
                    '-c',
                    program,
                    'record',
                    '--snapshot',
                    str(self.host('intel-all-on')),
                    str(path),
                ],
                capture_output=True,
                text=True,
            )
            self.assertEqual(2, ran.returncode)
            self.assertIn(': File too large', ran.stderr)
            left = [path.name for path in self.folder.iterdir()]
            self.assertEqual(['new.json'] if before else [], left)
        self.assertEqual('old', path.read_text())
