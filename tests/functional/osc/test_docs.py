# SPDX-License-Identifier: Apache-2.0
"""The outputs in the documentation are those of the commands.

``HVFILTER_WRITE_DOCS=1`` in the environment writes them anew.
"""

import os
import pathlib
import shlex

from hvfilter.model.nested_registers import Registers
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
    'explain': 'explain --flavor nested.small --max-width 110 -c Verdict '
    "-c Hosts -c Reason -c 'Hosts Back' -c Names -c 'To Change'",
    'explain-host': 'explain --flavor nested.small --host kvm2 '
    "--max-width 100 -c Host -c Verdict -c Reasons -c 'To Change'",
    'misspelt': 'list --has nestd',
}
FLAVOR_OUTPUTS = {
    'flavor-set': 'set nested.small --require nested --forbid sev '
    '--prefer apicv',
    'flavor-refused': 'set nested.small --require vtx --require sev_es',
    'flavor-show': 'show nested.small --max-width 110',
}


AUDIT_OUTPUTS = {
    'audit': 'audit --max-width 110 -c Kind -c Problem -c Object -c Host '
    '-c Finding',
    'audit-plan': 'audit --plan',
}
SERVER = '0b8d3a52-6f0e-4c7b-9d7e-2f4c1a95e310'
"""Stands in the documentation for the id that Nova chose."""


class DocsTestCase(base.OpenStackTestCase):
    def replacements(self) -> dict[str, str]:
        """What differs from run to run, and what the documentation has."""
        return {str(base.week(ago)): week for ago, week in WEEKS.items()}

    def output(self, words: str, arguments: str) -> str:
        ran = self.openstack(*words.split(), *shlex.split(arguments))
        text = ran.out + ran.err
        for found, shown in self.replacements().items():
            text = text.replace(found, shown)
        lines = text.splitlines()
        if ran.code and not ran.out:
            # Where a line is about the usage, its end says what is wrong.
            lines = lines[-1:]
        return '\n'.join(
            [
                f'$ openstack {words} {arguments}',
                *(line.rstrip() for line in lines),
                '',
            ]
        )

    def check(self, words: str, outputs: dict[str, str]) -> None:
        write = os.environ.get('HVFILTER_WRITE_DOCS')
        for name, arguments in outputs.items():
            file = FOLDER / f'{name}.txt'
            output = self.output(words, arguments)
            if write:
                FOLDER.mkdir(exist_ok=True)
                file.write_text(output)
            self.assertEqual(file.read_text(), output, name)


class DocsTest(DocsTestCase):
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

    def test_outputs_are_those_of_the_commands(self) -> None:
        self.check('hypervisor capability', OUTPUTS)
        self.check('flavor capability', FLAVOR_OUTPUTS)


CLASSES_OUTPUTS = {
    'classes': 'classes --max-width 110 -c Class -c Hosts -c Accepts '
    "-c Lacks -c 'Module Parameters' -c 'Flags To Common' -c Names",
}


class ClassesDocsTest(DocsTestCase):
    def setUp(self) -> None:
        super().setUp()
        names = [f'kvm{number}' for number in range(1, 7)]
        self.start_hosts(*map(ComputeHost.amd, names))
        for name, edx in zip(names, (0x19, 0x19, 0x18, 0x9), strict=False):
            self.has(name, findings.AMD, nested_set=Registers.svm(edx))
        self.has('kvm5', findings.AMD)
        self.has('kvm6', findings.AMD - NESTED)

    def test_outputs_are_those_of_the_commands(self) -> None:
        self.check('hypervisor capability', CLASSES_OUTPUTS)


class AuditDocsTest(DocsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(
            ComputeHost('kvm1'),
            ComputeHost('kvm2'),
            ComputeHost('kvm3'),
        )
        for host in ('kvm1', 'kvm2'):
            self.has(host, findings.INTEL)
        self.has('kvm3', findings.INTEL, weeks_ago=3)
        flavor = self.flavor(4096, **{'hvfilter:nested': 'required'})
        self.server = self.boot(
            flavor, name='lab-7', availability_zone='nova:kvm2'
        )
        self.has('kvm2', findings.INTEL - NESTED)
        made = self.admin_api.post_flavor(
            {
                'flavor': {
                    'id': 'secret',
                    'name': 'secret.small',
                    'vcpus': 2,
                    'ram': 4096,
                    'disk': 10,
                }
            }
        )
        self.admin_api.post_extra_spec(
            made['id'], {'extra_specs': {'hvfilter:sev': 'required'}}
        )
        made = self.admin_api.post_aggregate({'aggregate': {'name': 'lab'}})
        self.admin_api.post_aggregate_action(
            made['id'],
            {'set_metadata': {'metadata': {'hvfilter:requires': 'nested'}}},
        )

    def replacements(self) -> dict[str, str]:
        return {**super().replacements(), str(self.server['id']): SERVER}

    def test_outputs_are_those_of_the_commands(self) -> None:
        self.check('hypervisor capability', AUDIT_OUTPUTS)
