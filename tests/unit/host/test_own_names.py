# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import own_names
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from tests.recordings import a_snapshot


def names(files=(), options=(), where=''):
    """The names of a recorded host."""
    recorded = a_snapshot(
        Provenance(Making.RECORDED, where=where),
        Machine('x86_64', '6.1'),
        files={path: text.encode() for path, text in dict(files).items()},
        options=dict(options),
    )
    return set(own_names.names(RecordedHost(recorded)))


class TestNames(testtools.TestCase):
    def test_none_when_nothing_was_recorded(self):
        self.assertEqual(set(), names())
        files = {'/etc/hostname': 'localhost.localdomain\n'}
        self.assertEqual(set(), names(files))

    def test_each_source_when_it_was(self):
        for path, text in (
            ('/etc/hostname', 'n1.example.org\n'),
            ('/proc/sys/kernel/hostname', 'n1.example.org'),
            ('/etc/hosts', '127.0.0.1 x\n127.0.1.1 n1.example.org # c\n'),
            ('/proc/cmdline', 'ip=10.0.0.2::::n1.example.org:eth0 ip=dhcp'),
            ('/proc/cmdline', 'systemd.hostname=n1.example.org'),
            (
                '/dev/kmsg',
                '6,1,1,-;systemd: Hostname set to <n1.example.org>.',
            ),
        ):
            self.assertEqual({'n1.example.org', 'n1'}, names({path: text}))

    def test_nova_conf_names_it_too(self):
        options = {'/etc/nova/nova.conf': {'DEFAULT': {'host': ('n1',)}}}
        self.assertEqual({'n1'}, names(options=options))

    def test_recording_says_where_it_was_made(self):
        self.assertEqual({'n1'}, names(where='n1'))
        self.assertEqual(set(), names(where='a machine'))
