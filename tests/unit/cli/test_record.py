# SPDX-License-Identifier: Apache-2.0

import os
from unittest import mock

from hvfilter.cli import record
from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making
from hvfilter.probes.host_report import probe_host
from tests.recordings import changed, tables
from tests.unit.cli.base import CommandTestCase


class TestRecord(CommandTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / 'new.json'
        recorded = self.load('intel-nested-off')
        self.source = changed(
            recorded,
            files={
                **tables(recorded).files,
                '/proc/cmdline': b'root=/dev/mapper/node17 intel_iommu=on\n',
            },
        )

    def record(self, *argv):
        return self.run_command(
            'record', '--snapshot', self.store(self.source), *argv
        )

    def test_same_report_when_the_recording_is_looked_at(self):
        ran = self.record(self.path)
        self.assertEqual(0, ran.status, ran)
        self.assertEqual('', ran.out)
        self.assertIn('Read the file before', ran.err)
        again = snapshot.loads(self.path.read_bytes())
        self.assertEqual(
            probe_host(RecordedHost(self.source, 'x')),
            probe_host(RecordedHost(again, 'x')),
        )
        self.assertIs(Making.RECORDED, again.origin.how)
        self.assertTrue(again.origin.by.startswith('hvfilter '))

    def test_root_is_advised_when_something_was_forbidden(self):
        self.assertNotIn('as root', self.record(self.path).err)
        self.source = self.load('kvm-refused')
        ran = self.record(self.path)
        self.assertEqual(0, ran.status)
        self.assertIn('run as root for a complete recording', ran.err)

    def test_said_when_the_recording_gives_other_states(self):
        self.assertNotIn('other states', self.record(self.path).err)

        def left_out(_, path, data):
            return b'' if path == '/proc/cpuinfo' else data

        with mock.patch.object(record.Redaction, 'content', left_out):
            ran = self.record(self.path)
        self.assertIn('gives other states than the host for', ran.err)

    def test_names_go_when_not_asked_for(self):
        self.record(self.path, '--note', 'a note')
        text = self.path.read_text()
        self.assertNotIn('node17', text)
        self.assertIn('root=(redacted) intel_iommu=on', text)
        origin = snapshot.loads(text).origin
        self.assertEqual('a note', origin.note)
        self.assertEqual('', origin.where)

    def test_names_stay_when_asked_for(self):
        hostname = {'/proc/sys/kernel/hostname': b'node17\n'}
        self.source = changed(
            self.source, files={**tables(self.source).files, **hostname}
        )
        self.record(self.path, '--keep-names')
        recorded = snapshot.loads(self.path.read_text())
        self.assertIn(b'node17', tables(recorded).files['/proc/cmdline'])
        self.assertEqual('node17', recorded.origin.where)

    def test_on_standard_output_when_so_asked(self):
        ran = self.record('-')
        self.assertEqual('', ran.err)
        snapshot.loads(ran.out)

    def test_survives_when_the_file_is_written_again(self):
        self.path.write_text('old')
        self.record(self.path)
        snapshot.loads(self.path.read_text())
        self.assertEqual(
            {'made.json', 'new.json'},
            {path.name for path in self.folder.iterdir()},
        )

    def test_permissions_follow_the_umask_when_written(self):
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        self.record(self.path)
        self.assertEqual(0o640, self.path.stat().st_mode & 0o777)

    def test_written_into_when_it_is_a_device(self):
        self.assertEqual(0, self.record('/dev/null').status)

    def test_trouble_when_it_cannot_be_written(self):
        ran = self.record(self.folder / 'none' / 'x.json')
        self.assert_trouble('x.json: No such file', ran)
        ran = self.record(self.folder)
        self.assert_trouble(f'write {self.folder}: Is a directory', ran)


class TestOwnNames(CommandTestCase):
    def test_long_and_short_when_it_has_a_domain(self):
        with mock.patch('socket.gethostname', return_value='a1.example.org'):
            names = record.live_names()
        self.assertIn('a1.example.org', names)
        self.assertIn('a1', names)

    def test_none_when_it_is_called_localhost(self):
        with (
            mock.patch('socket.gethostname', return_value='localhost'),
            mock.patch('os.uname') as uname,
        ):
            uname.return_value.nodename = 'localhost.localdomain'
            names = record.live_names()
        self.assertNotIn('localhost', names)
