# SPDX-License-Identifier: Apache-2.0

import testtools
from hypothesis import given

from hvfilter.host import base, facts
from hvfilter.host.answers import Refusal
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance
from tests import strategies
from tests.recordings import KvmAnswers, a_snapshot, tables
from tests.unit.host.test_snapshot import FULL

ORIGIN = Provenance(Making.RECORDED, 'a test')


def ask_all(host, snapshot):
    """Every question that the snapshot answers, and a few that it doesn't."""
    questions = [
        *((host.read, (path,)) for path in [*tables(snapshot).files, '/no']),
        *(
            (host.listdir, (path,))
            for path in [*tables(snapshot).directories, '/no']
        ),
        *((host.stat, (path,)) for path in [*tables(snapshot).stats, '/no']),
        *(
            (host.options, (path, options))
            for path, options in tables(snapshot).options.items()
            if not isinstance(options, Refusal)
        ),
        *(
            (host.options, (path, {}))
            for path, options in tables(snapshot).options.items()
            if isinstance(options, Refusal)
        ),
        (host.options, ('/no', {'a': ('b',)})),
        *(
            (host.versions, (name,))
            for name in [*tables(snapshot).versions, 'no']
        ),
        *((host.groups, (user,)) for user in [*tables(snapshot).groups, 'no']),
        *(
            (host.cpuid, (cpu, *leaf))
            for cpu, table in tables(snapshot).cpuid.items()
            for leaf in table
        ),
        (host.cpuid, (99, 1, 0)),
        *(
            (host.msr, (cpu, index))
            for cpu, table in tables(snapshot).msrs.items()
            for index in table
        ),
        (host.msr, (99, 1)),
        (host.kvm_api_version, ()),
        *(
            (host.kvm_extension, (n,))
            for n in [*tables(snapshot).kvm.extensions, -1]
        ),
        (host.kvm_supported_cpuid, ()),
        (host.kvm_feature_msrs, ()),
        (host.smoke, ()),
    ]
    for method, args in questions:
        try:
            method(*args)
        except base.Denied:
            pass


class TestRecordingHost(testtools.TestCase):
    @given(strategies.SNAPSHOTS)
    def test_same_snapshot_when_a_replay_is_recorded(self, snapshot):
        host = RecordingHost(RecordedHost(snapshot), None)
        ask_all(host, snapshot)
        self.assertEqual(snapshot, host.snapshot(snapshot.origin))

    def test_same_snapshot_when_there_is_nothing_to_redact(self):
        host = RecordingHost(RecordedHost(FULL), Redaction())
        ask_all(host, FULL)
        self.assertEqual(FULL, host.snapshot(FULL.origin))

    def test_denial_reaches_the_asker_when_recorded(self):
        host = RecordingHost(RecordedHost(FULL), Redaction())
        self.assertRaises(base.Denied, host.read, '/sys/kernel/secret')
        self.assertEqual(
            {'/sys/kernel/secret': Refusal('EACCES')},
            tables(host.snapshot(ORIGIN)).files,
        )

    def test_options_add_up_when_asked_twice(self):
        host = RecordingHost(RecordedHost(FULL), None)
        conf = '/etc/nova/nova.conf'
        host.options(conf, {'libvirt': ('virt_type',)})
        host.options(conf, {'libvirt': ('cpu_mode',)})
        self.assertEqual(
            {conf: {'libvirt': {'virt_type': ('kvm',), 'cpu_mode': ()}}},
            tables(host.snapshot(ORIGIN)).options,
        )

    def test_origin_is_the_hosts_when_asked(self):
        host = RecordingHost(RecordedHost(FULL, 'there'), None)
        self.assertEqual('there', host.origin)
        self.assertEqual(FULL.machine, host.machine())


class TestRedactedRecording(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.source = a_snapshot(
            ORIGIN,
            facts.Machine('x86_64', '6.1-node17'),
            files={'/proc/cmdline': b'root=/dev/sda1 kvm.nested=1\n'},
            cpuid={
                0: {
                    (3, 0): facts.CpuidRegs(1, 2, 3, 4),
                    (4, 0): facts.CpuidRegs(1, 2, 3, 4),
                },
                1: {(3, 0): Refusal('EIO')},
            },
            msrs={0: {0x4F: 77}, 1: {0x3A: 5}},
            kvm=KvmAnswers(),
        )
        self.host = RecordingHost(
            RecordedHost(self.source), Redaction(['node17'])
        )
        ask_all(self.host, self.source)
        self.snapshot = self.host.snapshot(ORIGIN)

    def test_asker_gets_it_as_it_is_when_redacted(self):
        self.assertEqual(
            tables(self.source).files['/proc/cmdline'],
            self.host.read('/proc/cmdline'),
        )
        self.assertEqual(1, self.host.cpuid(0, 3, 0).eax)

    def test_snapshot_holds_no_serial_number_when_redacted(self):
        zeros = facts.CpuidRegs(0, 0, 0, 0)
        self.assertEqual(zeros, tables(self.snapshot).cpuid[0][3, 0])
        self.assertEqual(
            tables(self.source).cpuid[0][4, 0],
            tables(self.snapshot).cpuid[0][4, 0],
        )
        self.assertEqual(Refusal('EIO'), tables(self.snapshot).cpuid[1][3, 0])
        self.assertEqual({1: {0x3A: 5}}, tables(self.snapshot).msrs)

    def test_snapshot_holds_no_name_when_redacted(self):
        self.assertEqual('6.1-(redacted)', self.snapshot.machine.kernel)
        self.assertEqual(
            b'root=(redacted) kvm.nested=1\n',
            tables(self.snapshot).files['/proc/cmdline'],
        )
