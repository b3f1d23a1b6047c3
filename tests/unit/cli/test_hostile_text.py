# SPDX-License-Identifier: Apache-2.0
"""No text of a recording or a report reaches a terminal as it is."""

import dataclasses
import json

from hvfilter.host.facts import Machine
from hvfilter.host.snapshot import Provenance
from hvfilter.model import document
from hvfilter.probes.host_report import probe_host
from tests.hosts import make
from tests.recordings import changed, tables
from tests.unit.cli.base import CommandTestCase, Terminal

EVIL = '\033[2J\033]0;x\a\x9b31m\u202eEVIL\r\n\u2066\x85'


def evil_everywhere(recorded):
    """A snapshot with EVIL in each text that is anybody's."""

    def lines(data):
        if not isinstance(data, bytes):
            return dataclasses.replace(data, what=EVIL, text=EVIL)
        return data.rstrip(b'\n') + b' ' + EVIL.encode() + b'\n'

    return changed(
        recorded,
        origin=Provenance(recorded.origin.how, EVIL, EVIL, EVIL),
        machine=Machine(recorded.machine.arch, f'6.12{EVIL}'),
        files={
            path: lines(data)
            for path, data in tables(recorded).files.items()
            if path != '/sys/devices/system/cpu/online'
        },
        stats={
            path: stat
            if not hasattr(stat, 'owner')
            else dataclasses.replace(stat, owner=EVIL, group=EVIL)
            for path, stat in tables(recorded).stats.items()
        },
        options={
            path: {
                section: dict.fromkeys(names, (EVIL,))
                for section, names in options.items()
            }
            for path, options in tables(recorded).options.items()
            if isinstance(options, dict)
        },
    )


class TestHostileText(CommandTestCase):
    def assert_plain(self, *argv, out=None):
        ran = self.run_command(*argv, out=out)
        for text in (ran.out, ran.err):
            self.assertTrue(text.replace('\n', '').isprintable(), (argv, text))
        return ran

    def sources(self):
        for name in ('intel-nested-off', 'kvm-refused', 'arm64-guest'):
            yield self.store(evil_everywhere(self.load(name)), EVIL[-9:-3])

    def test_escaped_in_every_format_when_it_is_a_recordings(self):
        for path in self.sources():
            for shown in (
                (),
                ('--long',),
                ('--evidence',),
                ('-f', 'json'),
                ('-f', 'json', '--noindent'),
                ('-f', 'json', '-c', 'Reason'),
                ('-f', 'yaml'),
                ('-f', 'yaml', '-c', 'Reason'),
                ('-f', 'csv'),
                ('-f', 'value'),
            ):
                ran = self.assert_plain('probe', '--snapshot', path, *shown)
                self.assertEqual(0, ran.status, ran)
            self.assert_plain('check', '--require', 'kvm', '--snapshot', path)
            other = self.host('intel-all-on')
            for form in ('table', 'json', 'yaml', 'csv'):
                self.assert_plain('diff', path, other, '-f', form, '--all')
            for argv in ((), ('--keep-names',)):
                ran = self.assert_plain(
                    'record', '--snapshot', path, *argv, self.folder / 'x'
                )
                self.assertEqual(0, ran.status, ran)
                self.assertTrue((self.folder / 'x').read_text().isascii())
                self.assert_plain('record', '--snapshot', path, *argv, '-')

    def test_escaped_when_cells_are_coloured(self):
        for path in self.sources():
            ran = self.run_command(
                'probe', '--evidence', '--snapshot', path, out=Terminal()
            )
            for colour in ('0', '31', '32', '33'):
                ran.out = ran.out.replace(f'\033[{colour}m', '')
            self.assertTrue(ran.out.replace('\n', '').isprintable())

    def test_yaml_and_json_hold_it_all_the_same(self):
        path = next(self.sources())
        ran = self.run_command('probe', '--snapshot', path, '-f', 'json')
        self.assertEqual(f'6.12{EVIL}', json.loads(ran.out)['kernel'])

    def test_escaped_when_it_is_a_reports(self):
        report = probe_host(make.RecordedHost(self.load('kvm-refused')))
        text = document.dumps(
            dataclasses.replace(report, machine=EVIL, kernel=EVIL, origin=EVIL)
        )
        path = self.folder / f'report{EVIL[-3:]}'
        path.write_text(text.replace('the recording', json.dumps(EVIL)[1:-1]))
        for argv in (
            ('--to', 'provider-config'),
            ('--to', 'placement'),
            ('--to', EVIL),
        ):
            self.assert_plain(
                'publish',
                '--dry-run',
                '--wait',
                '0',
                '--provider-name',
                EVIL,
                '--report',
                path,
                *argv,
            )
        for broken in (f'{{"{EVIL}": 1', json.dumps({EVIL: 1})):
            path.write_text(broken)
            for argv in (
                ('publish', '--provider-name', 'x', '--report', path),
                ('probe', '--snapshot', path),
                ('probe', '--cpuid', path),
                ('probe', '--sysroot', path),
                ('probe', '--sysroot', EVIL),
                ('probe', EVIL),
                (EVIL,),
                ('probe', '--snapshot', EVIL),
            ):
                ran = self.assert_plain(*argv)
                self.assertNotEqual(0, ran.status)
