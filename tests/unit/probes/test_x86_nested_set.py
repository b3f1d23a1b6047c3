# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import snapshot
from hvfilter.host.answers import Refusal
from hvfilter.host.recorded import RecordedHost
from hvfilter.model import nested_evidence
from hvfilter.probes.host_report import probe_host
from tests.hosts.make import FOLDER
from tests.recordings import changed, tables

NOVA_CONF = '/etc/nova/nova.conf'


class NestedSetTest(testtools.TestCase):
    def registers(self, libvirt=None, host='nova-flags-removed'):
        """Of a host with other options in ``[libvirt]``."""
        recorded = snapshot.loads((FOLDER / f'{host}.json').read_bytes())
        options = dict(tables(recorded).options)
        if isinstance(libvirt, Refusal):
            options[NOVA_CONF] = libvirt
        elif libvirt is not None:
            given = {name: (value,) for name, value in libvirt.items()}
            options[NOVA_CONF] = {
                **options[NOVA_CONF],
                'libvirt': {**options[NOVA_CONF]['libvirt'], **given},
            }
        report = probe_host(RecordedHost(changed(recorded, options=options)))
        return nested_evidence.registers(report)

    def test_less_when_flags_remove_it(self):
        offered = self.registers(host='intel-all-on')
        less = self.registers()
        self.assertEqual(
            offered[0x48B] & ~(1 << 33 | 1 << 39 | 1 << 49), less[0x48B]
        )

    def test_all_that_is_offered_when_no_flag_reaches_guests(self):
        offered = self.registers(host='intel-all-on')
        for libvirt in (
            {'cpu_mode': 'none'},
            {'cpu_model_extra_flags': 'vmx-ept, -pcid'},
            {'cpu_model_extra_flags': '-vmx-ept, $other'},
            Refusal('EACCES'),
            Refusal('ENOENT'),
        ):
            self.assertEqual(offered, self.registers(libvirt), libvirt)
