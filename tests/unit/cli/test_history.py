# SPDX-License-Identifier: Apache-2.0

import dataclasses
import json
import os
import pathlib
import threading
from unittest import mock

from hvfilter.cli import history_keeping
from hvfilter.host.answers import Refusal
from hvfilter.host.facts import CpuidRegs, Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.problem import Problem
from hvfilter.probes.host_report import probe_host
from hvfilter.publish import atomic_file, state_directory
from tests import recordings
from tests.unit.cli.base import CommandTestCase
from tests.unit.cli.test_schemas import validate

CONF = '/etc/nova/nova.conf'
PAGE = pathlib.Path(__file__).parents[3] / 'doc/source/probe/history.txt'
START_S = 1_790_000_000


def file(path, content):
    def change(recorded):
        files = recordings.tables(recorded).files
        return recordings.changed(recorded, files={**files, path: content})

    return change


def parameter(name, value):
    return file(f'/sys/module/kvm_intel/parameters/{name}', value)


def cpuinfo(old, new):
    def change(recorded):
        text = recordings.tables(recorded).files['/proc/cpuinfo']
        assert old in text
        return file('/proc/cpuinfo', text.replace(old, new))(recorded)

    return change


def cmdline(word):
    def change(recorded):
        text = recordings.tables(recorded).files['/proc/cmdline'].strip()
        new = text + b' ' + word + b'\n'
        return file('/proc/cmdline', new)(recorded)

    return change


def option(name, *values):
    def change(recorded):
        options = dict(recordings.tables(recorded).options)
        sections = dict(options[CONF])
        sections['libvirt'] = {**sections['libvirt'], name: values}
        options[CONF] = sections
        return recordings.changed(recorded, options=options)

    return change


def kernel(release):
    return lambda recorded: recordings.changed(
        recorded, machine=Machine('x86_64', release)
    )


def lock(value):
    def change(recorded):
        msrs = {
            cpu: {**registers, 0x3A: value}
            for cpu, registers in recordings.tables(recorded).msrs.items()
        }
        return recordings.changed(recorded, msrs=msrs)

    return change


def unreadable(recorded):
    options = dict(recordings.tables(recorded).options)
    options[CONF] = Refusal('EACCES')
    return recordings.changed(recorded, options=options)


CHANGES = (
    (parameter('nested', b'N\n'), 'kvm_intel nested Y -> N'),
    (parameter('nested', b'Y\n'), 'kvm_intel nested N -> Y'),
    (parameter('ept', b'N\n'), 'kvm_intel ept Y -> N'),
    (parameter('ept', b'Y\n'), 'kvm_intel ept N -> Y'),
    (parameter('enable_apicv', b'N\n'), 'kvm_intel enable_apicv Y -> N'),
    (parameter('pml', b'N\n'), 'kvm_intel pml Y -> N'),
    (parameter('unrestricted_guest', b'N\n'), 'unrestricted_guest Y -> N'),
    (kernel('6.12.63+deb13-amd64'), '-> 6.12.63+deb13-amd64'),
    (kernel('6.1.0-29-amd64'), 'kernel 6.12.63+deb13-amd64 -> 6.1.0'),
    (lock(1), 'firmware lock (MSR 0x3a) 0x5 (VT-x permitted, locked) -> 0x1'),
    (lock(5), 'firmware lock (MSR 0x3a) 0x1 (VT-x off, locked) -> 0x5'),
    (option('virt_type', 'qemu'), f'{CONF} [libvirt] virt_type not set ->'),
    (option('virt_type', 'kvm'), '[libvirt] virt_type qemu -> kvm'),
    (option('cpu_mode', 'host-passthrough'), '[libvirt] cpu_mode not set ->'),
    (option('cpu_mode', 'none'), 'cpu_mode host-passthrough -> none'),
    (cmdline(b'intel_iommu=off'), 'command line not set -> intel_iommu=off'),
    (cmdline(b'nosmt'), 'kernel command line not set -> nosmt'),
    (file('/sys/class/dmi/id/bios_version', b'2.0\n'), 'firmware 1.0 -> 2.0'),
    (cpuinfo(b'microcode\t: 0x1', b'microcode\t: 0x2'), 'microcode 0x1'),
    (cpuinfo(b'Test 1', b'Test 2'), 'CPU model Test 1 -> Test 2'),
    (unreadable, f'{CONF} there -> unreadable (EACCES)'),
)


class HistoryTestCase(CommandTestCase):
    def setUp(self):
        super().setUp()
        self.state = self.folder / 'state'
        self.state.mkdir()
        self.said = []
        self.runs = 0

    def keep(self, recorded, wait_s=0):
        """One run of the agent."""
        self.runs += 1
        directory = state_directory.StateDirectory(self.state)
        with history_keeping.turn(directory, self.said.append, wait_s) as ours:
            if not ours:
                return
            recording = history_keeping.recording_of(RecordedHost(recorded))
            history_keeping.keep(
                recording,
                probe_host(recording),
                directory,
                self.said.append,
                START_S + 600 * self.runs,
            )

    def shown(self, *argv):
        """The document of "hvfilter history"."""
        ran = self.run_command(
            'history', '--directory', self.state, '-f', 'json', *argv
        )
        self.assertEqual(0, ran.status, ran.err)
        document = json.loads(ran.out)
        validate(document)
        return document['changes']

    def start(self):
        recorded = self.load('intel-all-on')
        text = recordings.tables(recorded).files['/proc/cpuinfo']
        lines = [
            line
            for line in text.splitlines(keepends=True)
            if not line.startswith((b'model name', b'microcode'))
        ]
        head = b'model name\t: Test 1\nmicrocode\t: 0x1\n'
        recorded = file('/proc/cpuinfo', head + b''.join(lines))(recorded)
        return file('/sys/class/dmi/id/bios_version', b'1.0\n')(recorded)


class ChangesTest(HistoryTestCase):
    def test_each_change_is_one_line_with_its_cause(self):
        recorded = self.start()
        self.keep(recorded)
        self.assertEqual([], self.shown())
        for count, (change, cause) in enumerate(CHANGES, 1):
            recorded = change(recorded)
            for _ in range(2):
                self.keep(recorded)
            self.assertEqual(count, len(self.shown()), cause)
            ran = self.run_command(
                *('history', '--directory', self.state, '--limit', '1'),
                *('-f', 'value', '-c', 'Cause'),
            )
            self.assertIn(cause, ran.out)
            self.assertNotIn(';', ran.out, cause)
            self.assertNotIn('not known', ran.out)
        self.assertGreaterEqual(len(CHANGES), 20)
        self.assertEqual([], self.said)

    def causes(self, *kinds):
        """Of the change from one recorded host to the next."""
        for recorded in kinds:
            self.keep(recorded)
        (change,) = self.shown()
        return [
            ' '.join((each['subject'], each['before'], each['after']))
            for each in change['causes']
        ]

    def test_a_hypervisor_that_takes_the_feature_away(self):
        recorded = self.load('lab-amd-nested-on')
        tables = recordings.tables(recorded)
        leaves = dict(tables.cpuid[0])
        leaves[0x80000001, 0] = CpuidRegs(0, 0, 0, 0)
        after = recordings.changed(recorded, cpuid={0: leaves})
        self.assertEqual(
            ['virtualization in CPUID amdv npt not set'],
            self.causes(recorded, after),
        )

    def test_a_module_that_goes_takes_the_device_with_it(self):
        recorded = self.load('lab-amd-nested-on')
        tables = recordings.tables(recorded)
        listed = [
            name
            for name in tables.directories['/sys/module']
            if name != 'kvm_amd'
        ]
        gone = Refusal('ENOENT')
        after = recordings.changed(
            recorded,
            stats={**tables.stats, '/dev/kvm': gone},
            directories={**tables.directories, '/sys/module': tuple(listed)},
        )
        self.assertEqual(
            ['module kvm_amd loaded not loaded'], self.causes(recorded, after)
        )

    def test_a_device_that_goes_alone_is_the_cause(self):
        recorded = self.load('lab-amd-nested-on')
        stats = recordings.tables(recorded).stats
        after = recordings.changed(
            recorded, stats={**stats, '/dev/kvm': Refusal('ENOENT')}
        )
        (cause,) = self.causes(recorded, after)
        self.assertIn('/dev/kvm', cause)
        self.assertIn('missing', cause)

    def test_effect_is_named(self):
        self.keep(self.load('intel-all-on'))
        self.keep(self.load('intel-nested-off'))
        (change,) = self.shown()
        effects = {each['subject']: each for each in change['effects']}
        self.assertEqual('absent at kvm', effects['nested']['after'])
        self.assertIn('VT-x', effects['nested']['reason'])

    def test_bounded_however_often_it_changes(self):
        with (
            mock.patch.object(history_keeping, 'TEXT_LIMIT', 20_000),
            mock.patch.object(state_directory, 'SNAPSHOTS_LIMIT', 20_000),
        ):
            recorded = self.start()
            for turn in range(60):
                value = b'NY'[turn % 2 : turn % 2 + 1]
                self.keep(parameter('nested', value + b'\n')(recorded))
        size = sum(
            path.stat().st_size
            for path in self.state.rglob('*')
            if path.is_file()
        )
        self.assertLess(size, 40_000)
        shown = self.shown()
        last = self.state / 'snapshots' / shown[-1]['snapshot']
        self.assertTrue(last.exists())
        # The ones that had to go are not named any more.
        self.assertEqual('', shown[0]['snapshot'])
        ran = self.run_command('history', '--directory', self.state)
        number = 59 - len(shown)
        removed = f'Removed to make room: {number} earlier changes, the last'
        self.assertIn(removed, ran.err)
        told = [line for line in self.said if 'limited to' in line]
        self.assertTrue(told)
        self.assertIn(f'removed {number} earlier changes', told[-1])


class DocsTest(HistoryTestCase):
    def test_the_documentation_shows_what_the_command_prints(self):
        later = kernel('6.1.0-29-amd64')
        on = later(self.load('intel-all-on'))
        off = later(self.load('intel-nested-off'))
        self.keep(self.load('intel-all-on'))
        for recorded in (on, off, option('virt_type', 'qemu')(off), on):
            self.keep(recorded)
        ran = self.run_command(
            'history', '--directory', self.state, '--max-width', '100'
        )
        shown = f'# hvfilter history --max-width 100\n{ran.out}'
        if os.environ.get('HVFILTER_WRITE_DOCS'):
            PAGE.write_text(shown)
        self.assertEqual(PAGE.read_text(), shown)


class TroubleTest(HistoryTestCase):
    def test_a_full_disk_is_said_once_and_nothing_is_lost(self):
        recorded = self.start()
        self.keep(recorded)
        after = parameter('nested', b'N\n')(recorded)
        full = Problem('Cannot write: No space left on device', 'Free some.')
        with mock.patch.object(atomic_file, 'replace', side_effect=full):
            self.keep(after)
        self.assertEqual(1, len(self.said))
        self.assertIn('No space left', self.said[0])
        self.keep(after)
        (change,) = self.shown()
        self.assertEqual('kvm_intel nested', change['causes'][0]['subject'])

    def test_a_corrupt_history_is_set_aside(self):
        recorded = self.start()
        (self.state / 'history.json').write_text('{"schema"')
        self.keep(recorded)
        self.assertEqual(1, len(self.said))
        self.assertIn('history.json.broken', self.said[0])
        self.assertTrue((self.state / 'history.json.broken').exists())
        self.assertEqual([], self.shown())

    def test_whatever_is_in_its_place_the_next_change_is_remembered(self):
        recorded = self.start()
        place = self.state / 'history.json'

        def link():
            place.symlink_to(self.folder / 'elsewhere')

        def huge():
            with place.open('wb') as file:
                file.truncate(1 << 33)

        self.keep(recorded)
        truncated = place.read_bytes()[:-20]
        there = self.names()
        for make, reason in (
            (lambda: place.write_bytes(bytes(range(256))), 'not JSON'),
            (lambda: place.write_bytes(b''), 'not JSON'),
            (lambda: place.write_bytes(truncated), 'not JSON'),
            (lambda: place.write_bytes(b'[]'), 'must be an object'),
            (link, 'a symbolic link'),
            (huge, 'larger than 256 KiB'),
            (lambda: os.mkfifo(place), 'not a regular file'),
        ):
            place.unlink()
            make()
            self.said.clear()
            ran = self.run_command('history', '--directory', self.state)
            self.assert_trouble('is not a history of a host', ran)
            self.assertIn(reason, ran.err)
            self.keep(parameter('nested', b'Y\n')(recorded))
            self.keep(parameter('nested', b'N\n')(recorded))
            self.assertEqual(1, len(self.said), self.said)
            self.assertIn(reason, self.said[0])
            self.assertIn('history.json.broken', self.said[0])
            self.assertEqual(1, len(self.shown()))
            # Recordings do not go with it.
            self.assertLessEqual(there, self.names())
            there = self.names()

    def names(self):
        return {path.name for path in (self.state / 'snapshots').iterdir()}

    def test_a_run_by_another_user_remembers_nothing(self):
        recorded = self.start()
        self.keep(recorded)
        after = parameter('nested', b'N\n')(recorded)
        with mock.patch.object(os, 'geteuid', return_value=54321):
            self.keep(after)
        self.assertIn('this run is by user 54321', self.said[0])
        self.assertEqual([], self.shown())
        self.keep(after)
        self.assertEqual(1, len(self.shown()))

    def test_a_busy_directory_is_said_once_and_nothing_is_lost(self):
        recorded = self.start()
        self.keep(recorded)
        after = parameter('nested', b'N\n')(recorded)
        with state_directory.StateDirectory(self.state).locked():
            self.keep(after)
        self.assertIn('another run', self.said[0])
        self.assertEqual(1, len(self.said))
        self.keep(after)
        self.assertEqual(1, len(self.shown()))

    def test_two_runs_at_once_remember_each_change_once(self):
        recorded = self.start()
        self.keep(recorded)
        changes = (
            parameter('nested', b'N\n'),
            parameter('ept', b'N\n'),
            parameter('pml', b'N\n'),
            kernel('6.12.63'),
        )
        now = [recorded]
        seen = []
        probe = probe_host

        def slowly(host):
            """The host changes while one run probes it."""
            report = probe(host)
            if changes[len(seen) :]:
                now[0] = changes[len(seen)](now[0])
                seen.append(1)
            return report

        def run():
            directory = state_directory.StateDirectory(self.state)
            with history_keeping.turn(directory, self.said.append) as ours:
                assert ours
                recording = history_keeping.recording_of(RecordedHost(now[0]))
                report = slowly(recording)
                history_keeping.keep(
                    recording, report, directory, self.said.append
                )

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], self.said)
        causes = [each['causes'][0]['subject'] for each in self.shown()]
        self.assertEqual(
            [
                *('kvm_intel nested', 'kvm_intel ept', 'kvm_intel pml'),
                'kernel',
            ],
            causes,
        )
        # The first one is of the host before the changes.
        self.assertEqual(1 + len(causes), len(self.names()))

    def test_nothing_without_a_state_directory(self):
        self.state.rmdir()
        self.keep(self.start())
        self.assertFalse(self.state.exists())
        self.assertEqual([], self.said)
        ran = self.run_command('history', '--directory', self.state)
        self.assert_trouble('There is no history', ran)

    def test_said_when_there_is_no_change(self):
        self.keep(self.start())
        ran = self.run_command('history', '--directory', self.state)
        self.assertEqual(0, ran.status)
        self.assertIn('nothing changed since the first run', ran.err)
        self.keep(parameter('nested', b'N')(self.start()))
        ran = self.run_command('history', '--directory', self.state)
        self.assertEqual('', ran.err)
        ran = self.run_command(
            'history', '--directory', self.state, '--since', '2099-01-01'
        )
        self.assertIn('matches --since', ran.err)


class OptionsTest(HistoryTestCase):
    def test_since_and_limit(self):
        recorded = self.start()
        for value in (b'Y', b'N', b'Y', b'N'):
            self.keep(parameter('nested', value)(recorded))
        self.assertEqual(3, len(self.shown()))
        self.assertEqual(2, len(self.shown('--limit', '2')))
        self.assertEqual(0, len(self.shown('--limit', '0')))
        second = self.shown()[1]['time']
        self.assertEqual(2, len(self.shown('--since', second)))
        self.assertEqual(0, len(self.shown('--since', '2099-01-01')))
        ran = self.run_command('history', '--since', 'yesterday')
        self.assertEqual(2, ran.status)

    def test_redacted_as_record_does_it(self):
        recorded = self.start()
        name = 'node-17.example.org'
        origin = dataclasses.replace(recorded.origin, where=name)
        recorded = recordings.changed(recorded, origin=origin)
        recorded = option('cpu_models', 'de:ad:be:ef:00:01')(recorded)
        self.keep(recorded)
        text = (self.state / 'history.json').read_text()
        self.assertNotIn('de:ad:be:ef:00:01', text)
