# SPDX-License-Identifier: Apache-2.0
"""The outputs in the documentation are those of the commands.

``HVFILTER_WRITE_DOCS=1`` in the environment writes them anew.
"""

import os
import pathlib
import shlex

from tests.fakes.compute import ComputeHost
from tests.functional import findings
from tests.functional.osc import base

FOLDER = pathlib.Path(__file__).parents[3] / 'doc' / 'source' / 'asking'
WEEKS = {0: '2026W48', 3: '2026W45'}
"""Stand in the documentation for weeks so long before the test."""

NESTED = frozenset({'nested'})
OUTPUTS = {
    'list': 'list --has nested -c Host',
    'list-long': 'list --long --max-width 100 -c Host -c Report '
    "-c 'Unknown Capabilities' -c State -c Status -c 'Availability Zone'",
    'show': 'show kvm2 --max-width 100',
    'summary': 'summary --max-width 110',
    'summary-flavor': 'summary --flavor nested.small --by availability-zone',
    'misspelt': 'list --has nestd',
}
FLAVOR_OUTPUTS = {
    'flavor-set': 'set nested.small --require nested --forbid sev '
    '--prefer apicv',
    'flavor-refused': 'set nested.small --require vtx --require sev_es',
    'flavor-show': 'show nested.small --max-width 110',
}


class DocsTest(base.OpenStackTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('kvm1', vcpus=32),
            ComputeHost('kvm2'),
            ComputeHost.amd('kvm3'),
            ComputeHost('kvm4'),
            ComputeHost('kvm5'),
            ComputeHost('kvm6'),
        )
        self.has('kvm1', findings.INTEL)
        self.has('kvm2', findings.INTEL - NESTED)
        self.has('kvm3', findings.AMD)
        self.has('kvm4', findings.INTEL - NESTED, unknown=NESTED)
        self.has('kvm5', findings.INTEL, weeks_ago=3)
        zone = self.admin_api.post_aggregate(
            {'aggregate': {'name': 'east', 'availability_zone': 'east'}}
        )
        for host in ('kvm1', 'kvm2'):
            self.admin_api.add_host_to_aggregate(zone['id'], host)
        flavor = self.admin_api.post_flavor(
            {
                'flavor': {
                    'id': 'nested-small',
                    'name': 'nested.small',
                    'vcpus': 2,
                    'ram': 4096,
                    'disk': 10,
                }
            }
        )
        self.admin_api.post_extra_spec(
            flavor['id'], {'extra_specs': {'hvfilter:nested': 'required'}}
        )

    def output(self, words: str, arguments: str) -> str:
        ran = self.openstack(*words.split(), *shlex.split(arguments))
        text = ran.out + ran.err
        for ago, week in WEEKS.items():
            text = text.replace(str(base.week(ago)), week)
        # Where a line is about the usage, its end says what is wrong.
        lines = text.splitlines()[-1:] if ran.code else text.splitlines()
        return '\n'.join(
            [
                f'$ openstack {words} {arguments}',
                *(line.rstrip() for line in lines),
                '',
            ]
        )

    def test_outputs_are_those_of_the_commands(self) -> None:
        write = os.environ.get('HVFILTER_WRITE_DOCS')
        for words, outputs in (
            ('hypervisor capability', OUTPUTS),
            ('flavor capability', FLAVOR_OUTPUTS),
        ):
            for name, arguments in outputs.items():
                file = FOLDER / f'{name}.txt'
                output = self.output(words, arguments)
                if write:
                    FOLDER.mkdir(exist_ok=True)
                    file.write_text(output)
                self.assertEqual(file.read_text(), output, name)
