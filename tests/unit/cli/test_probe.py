# SPDX-License-Identifier: Apache-2.0

import csv
import io
import json
import os
import pathlib
from unittest import mock

import yaml

from hvfilter.host.facts import Machine
from hvfilter.model import document
from hvfilter.model.finding import State
from tests import schemas
from tests.recordings import changed, tables
from tests.unit.cli.base import CommandTestCase, Terminal
from tests.unit.host.test_cpuid_dump import TOOL
from tests.unit.model.test_document import SCHEMA

DOCS = pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'probe'
WRITE = 'with HVFILTER_WRITE_DOCS=1 in the environment it is written anew'


class TestProbe(CommandTestCase):
    def probe(self, *argv, name='intel-nested-off', **kwargs):
        return self.run_command(
            'probe', '--snapshot', self.host(name), *argv, **kwargs
        )

    def test_verdict_comes_first(self):
        ran = self.probe()
        self.assertEqual(0, ran.status)
        self.assertEqual('', ran.err)
        self.assertEqual(
            'KVM guests:      yes',
            next(line for line in ran.out.splitlines() if 'KVM g' in line),
        )
        self.assertNotIn('\033', ran.out)
        wide = self.probe('--max-width', '200').out.splitlines()
        self.assertLess(len(wide), len(ran.out.splitlines()))

    def test_deciding_stage_is_shown_when_rows_are_asked_for(self):
        ran = self.probe('--sort-column', 'Capability')
        line = next(
            line for line in ran.out.splitlines() if '| nested ' in line
        )
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        self.assertEqual(['nested', 'absent', 'kvm'], cells[:3])
        self.assertNotEqual('', cells[3])
        self.assertNotEqual('', cells[4])

    def test_outputs_in_the_documentation(self):
        for name in ('intel-nested-off', 'amd-firmware-off'):
            path = DOCS / f'{name}.txt'
            shown = f'# hvfilter probe\n{self.probe(name=name).out}'
            if os.environ.get('HVFILTER_WRITE_DOCS'):
                path.parent.mkdir(exist_ok=True)
                path.write_text(shown)
            self.assertEqual(shown, path.read_text(), WRITE)

    def test_whole_report_when_json(self):
        ran = self.probe('-f', 'json')
        schemas.validator(SCHEMA).validate(json.loads(ran.out))
        report = document.loads(ran.out)
        self.assertIs(State.ABSENT, report['nested'].state)
        self.assertEqual(str(self.host('intel-nested-off')), report.origin)

    def test_one_line_when_json_without_indent(self):
        ran = self.probe('-f', 'json', '--noindent')
        self.assertEqual(1, len(ran.out.splitlines()))
        document.loads(ran.out)

    def test_same_report_when_yaml(self):
        as_json = json.loads(self.probe('-f', 'json').out)
        self.assertEqual(as_json, yaml.safe_load(self.probe('-f', 'yaml').out))

    def test_only_columns_when_json_and_columns(self):
        ran = self.probe('-f', 'json', '-c', 'Capability', '-c', 'State')
        self.assertIn(
            {'Capability': 'nested', 'State': 'absent'}, json.loads(ran.out)
        )

    def test_each_stage_when_long(self):
        ran = self.probe('--long', '-f', 'csv')
        rows = {
            row['Capability']: row
            for row in csv.DictReader(io.StringIO(ran.out))
        }
        self.assertEqual('present', rows['nested']['Cpu'])
        self.assertEqual('absent', rows['nested']['Kvm'])
        self.assertIn('vti', rows)

    def test_observations_when_evidence(self):
        ran = self.probe('--evidence', '-f', 'csv')
        rows = list(csv.DictReader(io.StringIO(ran.out)))
        self.assertIn('/proc/cpuinfo', {row['Source'] for row in rows})

    def test_coloured_when_on_a_terminal(self):
        ran = self.probe(out=Terminal())
        self.assertIn('\033[31mabsent\033[0m', ran.out)
        self.assertIn('\033[32mpresent\033[0m', ran.out)

    def test_not_coloured_when_a_machine_reads(self):
        for argv in (('-f', 'csv'), ('-f', 'value'), ('-f', 'json')):
            self.assertNotIn('\033', self.probe(*argv, out=Terminal()).out)

    def test_not_coloured_when_not_wanted(self):
        for name, value in (('NO_COLOR', '1'), ('TERM', 'dumb')):
            with mock.patch.dict('os.environ', {name: value}):
                ran = self.probe(out=Terminal())
                self.assertNotIn('\033', ran.out)

    def test_escaped_when_a_recording_holds_escape_sequences(self):
        recorded = self.load('intel-nested-off')
        hostile = changed(
            recorded,
            machine=Machine('x86_64\033]0;owned\a', recorded.machine.kernel),
            files={
                **tables(recorded).files,
                '/sys/module/kvm_intel/parameters/nested': b'\033[2J\n',
            },
        )
        path = self.store(hostile)
        for argv in ((), ('--long',), ('--evidence',)):
            ran = self.run_command(
                'probe', '--snapshot', path, *argv, '-f', 'value'
            )
            self.assertEqual(0, ran.status)
            self.assertNotIn('\033', ran.out)

    def test_trouble_when_the_snapshot_is_none(self):
        path = self.folder / 'x.json'
        for text, told in (
            ('', 'not JSON'),
            ('{}', '"schema" is missing'),
            ('{"schema": "hvfilter/report/1"}', 'schema: must be'),
            ('[1', 'not JSON'),
        ):
            path.write_text(text)
            ran = self.run_command('probe', '--snapshot', path)
            self.assert_trouble(f'{path} is not a snapshot: ', ran)
            self.assertIn(told, ran.err)
            self.assertIn('hvfilter record', ran.err)

    def test_trouble_when_the_snapshot_is_endless(self):
        ran = self.run_command('probe', '--snapshot', '/dev/zero')
        self.assert_trouble('Cannot read /dev/zero: it is a device', ran)

    def test_trouble_when_the_snapshot_cannot_be_read(self):
        ran = self.run_command('probe', '--snapshot', self.folder)
        self.assert_trouble(': Is a directory', ran)
        ran = self.run_command('probe', '--snapshot', 'a\0b')
        self.assert_trouble('Cannot read', ran)

    def test_snapshot_is_read_when_it_comes_by_standard_input(self):
        stdin = mock.Mock()
        stdin.buffer = self.host('intel-nested-off').open('rb')
        self.addCleanup(stdin.buffer.close)
        with mock.patch('sys.stdin', stdin):
            ran = self.run_command('probe', '--snapshot', '-', '-f', 'json')
        self.assertEqual('-', json.loads(ran.out)['origin'])

    def test_copy_of_a_host_is_looked_at_when_named(self):
        root = self.folder / 'root'
        (root / 'proc').mkdir(parents=True)
        (root / 'proc/cpuinfo').write_text('flags : lm vmx\n')
        ran = self.run_command('probe', '--sysroot', root, '-f', 'json')
        found = json.loads(ran.out)
        self.assertEqual('x86_64', found['machine'])
        vtx = found['capabilities']['vtx']
        self.assertEqual('present', vtx['stages']['cpu']['state'])

    def test_registers_are_looked_at_when_named(self):
        path = self.folder / 'dump'
        path.write_text(TOOL)
        ran = self.run_command('probe', '--cpuid', path, '-f', 'json')
        vtx = json.loads(ran.out)['capabilities']['vtx']
        self.assertEqual('present', vtx['stages']['cpu']['state'])

    def test_both_are_looked_at_when_registers_add_to_a_recording(self):
        path = self.folder / 'dump'
        path.write_text(TOOL)
        ran = self.run_command(
            'probe', '--cpuid', path, '--sysroot', self.folder, '-f', 'json'
        )
        found = json.loads(ran.out)
        self.assertEqual(
            f'sysroot {self.folder} and cpuid {path}', found['origin']
        )

    def test_trouble_when_a_copy_or_registers_cannot_be_used(self):
        for argv, told in (
            (('--sysroot', '/nonexistent'), '--sysroot: No such file'),
            (('--sysroot', '/etc/passwd'), '--sysroot: Not a directory'),
            (('--sysroot', 'a\0b'), '--sysroot: '),
            (('--cpuid', '/etc/passwd'), 'no line of CPUID registers'),
            (('--cpuid', '/nonexistent'), 'Cannot read'),
            (
                ('--sysroot', '/', '--snapshot', '/etc/passwd'),
                'exclude each other',
            ),
        ):
            self.assert_trouble(told, self.run_command('probe', *argv))

    def test_other_configuration_is_asked_when_named(self):
        ran = self.probe('--nova-conf', '/my.conf', '-f', 'json')
        nova = json.loads(ran.out)['capabilities']['kvm']['stages']['nova']
        self.assertEqual('unknown', nova['state'])

    def test_named_configuration_counts_when_a_recording_has_none(self):
        path = self.folder / 'elsewhere.conf'
        path.write_text('[libvirt]\nvirt_type = qemu\n')
        (self.folder / 'd').mkdir()
        (self.folder / 'd' / 'x.conf').write_text(path.read_text())
        for option, name in (
            ('--config-file', path),
            ('--config-dir', self.folder / 'd'),
            ('--nova-conf', path),
        ):
            ran = self.probe(option, name, '-f', 'json', name='intel-no-nova')
            kvm = json.loads(ran.out)['capabilities']['kvm']
            self.assertEqual('absent', kvm['state'], option)
            self.assertIn('virt_type = qemu', str(kvm['stages']['nova']))

    def test_this_host_is_looked_at_when_none_is_named(self):
        host = 'hvfilter.host.live.LiveHost'
        from hvfilter.host.recorded import RecordedHost

        recorded = RecordedHost(self.load('intel-nested-off'))
        with mock.patch(host, return_value=recorded) as live:
            ran = self.run_command('probe', '--no-smoke', '-f', 'json')
            self.assertEqual(0, ran.status)
            self.run_command('probe')
        self.assertEqual(
            [mock.call(smoke=False), mock.call(smoke=True)],
            live.call_args_list,
        )
