# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import base
from hvfilter.host.answers import Refusal
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from tests.recordings import KvmAnswers, a_snapshot, tables
from tests.unit.host.test_snapshot import FULL, REGS

NOTHING = a_snapshot(Provenance(Making.RECORDED), FULL.machine)
CONF = '/etc/nova/nova.conf'


class TestRecordedHost(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.host = RecordedHost(FULL)
        self.empty = RecordedHost(NOTHING)

    def denied(self, method, *args):
        return self.assertRaises(base.Denied, method, *args)

    def test_answers_as_recorded_when_asked_again(self):
        host = self.host
        self.assertEqual('6.12.1', host.machine().kernel)
        self.assertEqual(
            b'N\n', host.read('/sys/module/kvm_intel/parameters/nested')
        )
        self.assertEqual(('kvm', 'kvm_intel'), host.listdir('/sys/module'))
        self.assertEqual('kvm', host.stat('/dev/kvm').group)
        self.assertEqual(REGS, host.cpuid(3, 0))
        self.assertEqual(3 << 24, host.cpuid(3, 1, 0).ebx)
        self.assertEqual(5, host.msr(0, 0x3A))
        self.assertEqual(12, host.kvm_api_version())
        self.assertEqual(1, host.kvm_extension(235))
        self.assertEqual(REGS, host.kvm_supported_cpuid()[0].regs)
        self.assertEqual({0x480: 0x11E57ED}, host.kvm_feature_msrs())
        self.assertEqual(tables(FULL).smoke, host.smoke())

    def test_denied_as_recorded_when_it_was_denied(self):
        denied = self.denied(self.host.read, '/sys/kernel/secret')
        self.assertEqual(
            'read /sys/kernel/secret: EACCES (Permission denied)', str(denied)
        )
        denied = self.denied(self.host.kvm_extension, 240)
        self.assertEqual('open /dev/kvm', denied.what)
        denied = self.denied(self.host.msr, 4, 0x3A)
        self.assertEqual('read MSR 0x3a from /dev/cpu/4/msr', denied.what)

    def test_own_text_when_it_was_recorded(self):
        odd = a_snapshot(
            NOTHING.origin,
            NOTHING.machine,
            smoke=Refusal('EIO', 'run it', 'burnt'),
            kvm=KvmAnswers(supported_cpuid=Refusal('EBADF')),
        )
        denied = self.denied(RecordedHost(odd).smoke)
        self.assertEqual('run it: EIO (burnt)', str(denied))
        denied = self.denied(RecordedHost(odd).kvm_supported_cpuid)
        self.assertEqual('EBADF', denied.error)

    def test_not_recorded_when_never_asked(self):
        host = self.empty
        for method, args, what in (
            (host.read, ('/a',), 'read /a'),
            (host.listdir, ('/a',), 'list /a'),
            (host.stat, ('/a',), 'stat /a'),
            (host.options, ('/a', {}), 'read /a'),
            (
                host.cpuid,
                (1, 7, 2),
                'execute CPUID leaf 0x7 subleaf 2 on CPU 1',
            ),
            (host.msr, (0, 0x480), 'read MSR 0x480 from /dev/cpu/0/msr'),
            (host.kvm_api_version, (), 'KVM_GET_API_VERSION'),
            (host.kvm_extension, (7,), 'KVM_CHECK_EXTENSION 7'),
            (host.kvm_supported_cpuid, (), 'KVM_GET_SUPPORTED_CPUID'),
            (host.kvm_feature_msrs, (), 'KVM_GET_MSR_FEATURE_INDEX_LIST'),
            (host.smoke, (), 'run a small guest'),
        ):
            denied = self.denied(method, *args)
            self.assertEqual(base.NOT_RECORDED, denied.error)
            self.assertEqual(what, denied.what)
            self.assertFalse(denied.not_found)
            self.assertFalse(denied.forbidden)

    def test_only_what_is_set_when_options_are_asked(self):
        wanted = {'libvirt': ('virt_type', 'cpu_mode')}
        self.assertEqual(
            {'libvirt': {'virt_type': ('kvm',)}},
            self.host.options(CONF, wanted),
        )
        self.assertEqual({}, self.host.options(CONF, {}))

    def test_not_recorded_when_another_option_is_asked(self):
        denied = self.denied(
            self.host.options, CONF, {'libvirt': ('virt_type', 'new_one')}
        )
        self.assertEqual(base.NOT_RECORDED, denied.error)
        self.assertEqual(f'read {CONF} [libvirt]new_one', denied.what)

    def test_denied_when_the_options_file_was_denied(self):
        denied = self.denied(self.host.options, '/etc/nova/gone.conf', {})
        self.assertTrue(denied.not_found)

    def test_origin_is_the_snapshots_unless_given(self):
        self.assertEqual('made: nested is off', self.host.origin)
        self.assertEqual('recorded', self.empty.origin)
        self.assertEqual('a.json', RecordedHost(FULL, 'a.json').origin)
