# SPDX-License-Identifier: Apache-2.0
"""What is left out of a recording never changes what is found."""

import testtools

from hvfilter.host import own_names, record_extras, snapshot
from hvfilter.host.facts import Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.recording import RecordingHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.probes.host_report import probe_host
from tests.hosts import make
from tests.recordings import changed, tables

NAMES = ('node17', 'node17.example.org')
WORDS = (
    'root=/dev/sda1 quiet host=node17 nointremap nohibernate clearcpuid=vmx '
    'kvm_intel.nested=0 kvm-amd.sev=0 "kvm_amd.npt=0" intel_iommu=off '
    'amd_iommu=off iommu=pt kvm-arm.mode=none id_aa64mmfr1.vh=0 prot_virt=0 '
    'module_blacklist=kvm_hv,ccp nosmt mem_encrypt=off disable_radix'
)


def reports(host):
    """The report on a host, and that on its redacted recording."""
    recording = RecordingHost(
        host, Redaction((*NAMES, *own_names.names(host)))
    )
    live = probe_host(recording, None, make.probes())
    record_extras.ask(recording)
    text = snapshot.dumps(recording.snapshot(Provenance(Making.RECORDED)))
    again = RecordedHost(snapshot.loads(text), host.origin)
    return live, probe_host(again, None, make.probes())


class TestRedactedHosts(testtools.TestCase):
    def hosts(self):
        for path in sorted(make.FOLDER.glob('*.json')):
            yield path.stem, snapshot.loads(path.read_bytes())

    def test_same_report_whatever_the_host(self):
        for name, recorded in self.hosts():
            with self.subTest(name):
                live, again = reports(RecordedHost(recorded))
                self.assertEqual(live, again)

    def test_same_states_when_its_name_is_everywhere(self):
        for name, recorded in self.hosts():
            with self.subTest(name):
                told = changed(
                    recorded,
                    machine=Machine(
                        recorded.machine.arch,
                        f'{recorded.machine.kernel}-node17',
                    ),
                    files={
                        **tables(recorded).files,
                        '/proc/sys/kernel/hostname': b'node17\n',
                    },
                    options={
                        path.replace('nova.conf.d/', 'nova.conf.d/node17-'): o
                        for path, o in tables(recorded).options.items()
                    },
                )
                live, again = reports(RecordedHost(told))
                self.assertEqual(make.brief(live), make.brief(again))

    def test_same_report_whatever_the_command_line_says(self):
        for name, recorded in self.hosts():
            with self.subTest(name):
                before = tables(recorded).files.get('/proc/cmdline')
                text = before if isinstance(before, bytes) else b''
                told = changed(
                    recorded,
                    files={
                        **tables(recorded).files,
                        '/proc/cmdline': text.rstrip() + b' ' + WORDS.encode(),
                    },
                )
                live, again = reports(RecordedHost(told))
                self.assertEqual(live, again)
