# SPDX-License-Identifier: Apache-2.0

import re

import testtools

from hvfilter.host import snapshot
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.catalogue import BY_KEY
from hvfilter.probes.host_report import probe_host
from tests.hosts.make import FOLDER
from tests.lab import image, table


class TableTest(testtools.TestCase):
    def test_names_unique(self):
        self.assertEqual(len(table.HOSTS), len(table.BY_NAME))

    def test_patterns_compile(self):
        for host in table.HOSTS:
            for pattern in (*host.says, *host.silent):
                re.compile(pattern)

    def test_capabilities_and_states_known(self):
        for host in table.HOSTS:
            for key, state in host.expected.items():
                self.assertIn(key, BY_KEY, host.name)
                self.assertIn(state, (table.P, table.A, table.U), host.name)

    def test_kernel_known(self):
        for host in table.HOSTS:
            self.assertIn((host.emulator.arch, host.kernel), image.KERNELS)

    def test_no_kvm_where_no_guest_runs(self):
        for host in table.HOSTS:
            expected = table.P if host.runs else table.A
            self.assertEqual(expected, host.expected['kvm'], host.name)

    def test_quick_part_has_a_firmware_lock_and_both_vendors(self):
        quick = {host.name for host in table.HOSTS if host.quick}
        self.assertIn('intel-firmware-lock', quick)
        self.assertIn('amd-nested-off', quick)


class RecordingsTest(testtools.TestCase):
    def test_as_the_kernel_said_when_replayed(self):
        """What the lab recorded is judged as the host itself was."""
        for path in sorted(FOLDER.glob('lab-*.json')):
            host = table.BY_NAME[path.stem.removeprefix('lab-')]
            recorded = snapshot.loads(path.read_bytes())
            self.assertIn(host.name, recorded.origin.note)
            report = probe_host(RecordedHost(recorded))
            found = {key: report[key].state.value for key in host.expected}
            self.assertEqual(dict(host.expected), found, host.name)
