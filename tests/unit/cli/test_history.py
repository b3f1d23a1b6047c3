# SPDX-License-Identifier: Apache-2.0

import dataclasses
import json
from unittest import mock

from hvfilter.cli import history_keeping
from hvfilter.host.answers import Refusal
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.problem import Problem
from hvfilter.probes.host_report import probe_host
from hvfilter.publish import atomic_file, state_directory
from tests import recordings
from tests.unit.cli.base import CommandTestCase
from tests.unit.cli.test_schemas import validate

CONF = '/etc/nova/nova.conf'
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

    def keep(self, recorded):
        """One run of the agent."""
        recording = history_keeping.recording_of(RecordedHost(recorded))
        report = probe_host(recording)
        self.runs += 1
        history_keeping.keep(
            recording,
            report,
            state_directory.StateDirectory(self.state),
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
        last = self.shown()[-1]
        self.assertTrue((self.state / 'snapshots' / last['snapshot']).exists())


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

    def test_nothing_without_a_state_directory(self):
        self.state.rmdir()
        self.keep(self.start())
        self.assertFalse(self.state.exists())
        self.assertEqual([], self.said)
        ran = self.run_command('history', '--directory', self.state)
        self.assert_trouble('There is no history', ran)


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
