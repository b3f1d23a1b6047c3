# SPDX-License-Identifier: Apache-2.0

import itertools
import json
import pathlib

import jsonschema
import testtools
from hypothesis import given
from hypothesis import strategies as st

from hvfilter.host import facts, rows, snapshot
from hvfilter.host.answers import Refusal
from hvfilter.host.question import Kind
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model import form
from tests import schemas, strategies
from tests.recordings import KvmAnswers, a_snapshot

SCHEMA = snapshot.schema()
VALIDATOR = schemas.validator(SCHEMA)
REGS = facts.CpuidRegs(0xD, 0x756E6547, 0x6C65746E, 0x49656E69)
REGS_TEXT = 'eax=0x0000000d ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69'

FULL = a_snapshot(
    origin=Provenance(Making.MADE, 'hand', 'nowhere', 'nested is off'),
    machine=facts.Machine('x86_64', '6.12.1'),
    files={
        '/sys/module/kvm_intel/parameters/nested': b'N\n',
        '/proc/misc': b'232 kvm\n 61 cpu_dma_latency\n',
        '/sys/kernel/secret': Refusal('EACCES'),
    },
    directories={
        '/sys/module': ('kvm', 'kvm_intel'),
        '/sys/none': Refusal('ENOENT'),
    },
    stats={
        '/dev/kvm': facts.FileStat(facts.FileKind.CHAR, 0o660, 'root', 'kvm')
    },
    options={
        '/etc/nova/nova.conf': {
            'libvirt': {
                'virt_type': ('kvm',),
                'cpu_mode': (),
                'cpu_models': ('Haswell', 'Denverton'),
            }
        },
        '/etc/nova/gone.conf': Refusal('ENOENT'),
    },
    cpuid={
        cpu: {(0, 0): REGS, (1, 0): facts.CpuidRegs(1, cpu << 24, 0, 0)}
        for cpu in range(4)
    },
    msrs={cpu: {0x3A: 5} for cpu in range(4)} | {4: {0x3A: Refusal('EIO')}},
    kvm=KvmAnswers(
        12,
        {235: 1, 240: Refusal('EACCES', 'open /dev/kvm')},
        (facts.CpuidEntry(1, 0, REGS),),
        {0x480: 0x11E57ED},
    ),
    smoke=facts.SmokeRun(
        (('create_vm', 'ok'), ('real_mode', 'IO')),
        (facts.Sample(1000, 5000, 500),),
        1_000_000,
    ),
)


class TestDocument(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.document = snapshot.to_document(FULL)

    def test_files_are_lines_when_written(self):
        self.assertEqual(
            {
                '/proc/misc': ['232 kvm', ' 61 cpu_dma_latency'],
                '/sys/kernel/secret': {'error': 'EACCES'},
                '/sys/module/kvm_intel/parameters/nested': 'N',
            },
            self.document['files'],
        )

    def test_an_answer_comes_once_when_processors_agree(self):
        self.assertEqual(
            {'cpus': '0-3', 'leaves': {'0x00000000/0x0': REGS_TEXT}},
            self.document['cpuid'][0],
        )
        self.assertEqual(
            ['0-3', '0', '1', '2', '3'],
            [group['cpus'] for group in self.document['cpuid']],
        )
        self.assertEqual(
            [
                {'cpus': '0-3', 'values': {'0x3a': '0x0000000000000005'}},
                {'cpus': '4', 'values': {'0x3a': {'error': 'EIO'}}},
            ],
            self.document['msrs'],
        )

    def test_unset_options_are_empty_when_asked(self):
        self.assertEqual(
            {
                'virt_type': 'kvm',
                'cpu_mode': [],
                'cpu_models': ['Haswell', 'Denverton'],
            },
            self.document['options']['/etc/nova/nova.conf']['libvirt'],
        )

    def test_kvm_is_told_when_asked(self):
        self.assertEqual(
            {
                'api_version': 12,
                'extensions': {
                    '235': 1,
                    '240': {'error': 'EACCES', 'what': 'open /dev/kvm'},
                },
                'supported_cpuid': [f'0x00000001/0x0 {REGS_TEXT}'],
                'feature_msrs': {'0x480': '0x00000000011e57ed'},
            },
            self.document['kvm'],
        )

    def test_nothing_but_the_head_when_nothing_was_asked(self):
        bare = a_snapshot(Provenance(Making.RECORDED), FULL.machine)
        self.assertEqual(
            {
                'schema': 'hvfilter/snapshot/1',
                'origin': {'how': 'recorded'},
                'machine': {'arch': 'x86_64', 'kernel': '6.12.1'},
            },
            snapshot.to_document(bare),
        )

    def test_few_lines_when_there_are_256_processors(self):
        many = a_snapshot(
            Provenance(Making.RECORDED),
            FULL.machine,
            cpuid={
                cpu: {
                    (leaf, 0): facts.CpuidRegs(leaf, 0, 0, 0)
                    for leaf in range(20)
                }
                for cpu in range(256)
            },
        )
        self.assertTrue(len(snapshot.dumps(many).splitlines()) < 40)


class TestRefusals(testtools.TestCase):
    def test_all_are_told_when_asked(self):
        errors = sorted(refusal.error for refusal in FULL.refusals)
        self.assertEqual(
            ['EACCES', 'EACCES', 'EIO', 'ENOENT', 'ENOENT'], errors
        )


class TestRoundTrip(testtools.TestCase):
    def test_same_snapshot_when_full(self):
        text = snapshot.dumps(FULL)
        self.assertEqual(FULL, snapshot.loads(text))
        VALIDATOR.validate(json.loads(text))

    @given(strategies.SNAPSHOTS)
    def test_same_snapshot_when_read_again(self, recorded):
        text = snapshot.dumps(recorded)
        again = snapshot.loads(text)
        self.assertEqual(recorded, again)
        self.assertEqual(text, snapshot.dumps(again))
        VALIDATOR.validate(json.loads(text))

    def test_links_are_left_out_when_an_earlier_release_recorded_them(self):
        document = snapshot.to_document(FULL)
        document['links'] = {'/a': '/b', '/c': {'error': 'ENOENT'}}
        VALIDATOR.validate(document)
        self.assertEqual(FULL, snapshot.loads(json.dumps(document)))

    def test_every_kind_has_one_row(self):
        self.assertEqual(list(Kind), [row.kind for row in rows.ROWS])

    def test_schema_is_one_when_checked(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)


class TestComplaints(testtools.TestCase):
    def complaint(self, **members):
        document = snapshot.to_document(FULL) | members
        error = self.assertRaises(
            form.DocumentError, snapshot.loads, json.dumps(document)
        )
        return str(error)

    def test_place_and_remedy_are_told_when_wrong(self):
        regs = (
            'registers are written such as eax=0x00000000 ebx=0x00000000 '
            'ecx=0x00000000 edx=0x00000000'
        )
        kinds = dict.fromkeys(row.member[0] for row in rows.ROWS)
        cases = [
            (
                {'file': {}},
                'file: no such member; there are: schema, origin, machine, '
                f'{", ".join(kinds)}, links',
            ),
            (
                {'origin': {'how': 'guessed'}},
                'origin.how: must be one of recorded, made, not "guessed"',
            ),
            (
                {'files': {'/a': {'error': 'denied'}}},
                'files["/a"].error: must be an errno\'s name, such as EACCES',
            ),
            (
                {'files': {'/a': {'error': 'NOTRECORDED'}}},
                'files["/a"].error: must be an errno\'s name, such as EACCES',
            ),
            (
                {
                    'stats': {
                        '/a': {
                            'kind': 'file',
                            'mode': '660',
                            'owner': '',
                            'group': '',
                        }
                    }
                },
                'stats["/a"].mode: must be octal, such as "0660"',
            ),
            (
                {'cpuid': [{'cpus': 'all', 'leaves': {}}]},
                'cpuid[0].cpus: must be a list of processors, such as "0-3,8"',
            ),
            (
                {'cpuid': [{'cpus': '0', 'leaves': {'1': REGS_TEXT}}]},
                'cpuid[0].leaves["1"]: a leaf is named such as 0x00000007/0x0',
            ),
            (
                {'cpuid': [{'cpus': '0', 'leaves': {'0x1/0x0': 'eax'}}]},
                f'cpuid[0].leaves["0x1/0x0"]: {regs}',
            ),
            (
                {
                    'cpuid': [
                        {'cpus': '0-1', 'leaves': {'0x1/0x0': REGS_TEXT}},
                        {'cpus': '1', 'leaves': {'0x01/0x00': REGS_TEXT}},
                    ]
                },
                'cpuid[1].leaves["0x01/0x00"]: processor 1 has answered '
                'that already',
            ),
            (
                {
                    'cpuid': [
                        {
                            'cpus': '0-65535',
                            'leaves': {
                                f'0x{leaf:x}/0x0': REGS_TEXT
                                for leaf in range(70)
                            },
                        }
                    ]
                },
                'cpuid[0]: more than 600000 answers altogether',
            ),
            (
                {'msrs': [{'cpus': '0', 'values': {'58': '0x5'}}]},
                'msrs[0].values["58"]: an MSR is named by its index, '
                'such as 0x3a',
            ),
            (
                {'msrs': [{'cpus': '0', 'values': {'0x3a': '5'}}]},
                'msrs[0].values["0x3a"]: must be hexadecimal, '
                'such as "0x0000000000000005"',
            ),
            (
                {'kvm': {'extensions': {'x': 1}}},
                'kvm.extensions.x: an extension is named by its number, '
                'such as 235',
            ),
            (
                {'kvm': {'api_version': 2**31}},
                'kvm.api_version: must be between -2147483648 and 2147483647',
            ),
            (
                {'kvm': {'supported_cpuid': ['0x1/0x0']}},
                f'kvm.supported_cpuid[0]: {regs}',
            ),
            (
                {'smoke': {'steps': [['a']], 'samples': [], 'elapsed_ns': 1}},
                'smoke.steps[0]: must be a pair: the step and its outcome',
            ),
            (
                {'smoke': {'steps': [], 'samples': [], 'elapsed_ns': -1}},
                'smoke.elapsed_ns: must be between 0 and 18446744073709551615',
            ),
        ]
        for members, told in cases:
            self.assertEqual(told, self.complaint(**members))

    def test_place_is_told_when_truncated(self):
        text = snapshot.dumps(FULL)
        for end in range(0, len(text) - 2, 97):
            error = self.assertRaises(
                form.DocumentError, snapshot.loads, text[:end]
            )
            self.assertIn('not JSON: ', str(error))

    @given(strategies.damaged(snapshot.to_document(FULL)))
    def test_a_form_error_and_no_other_when_damaged(self, damaged):
        try:
            snapshot.from_document(form.JsonNode(damaged))
        except form.DocumentError as error:
            self.assertTrue(str(error))

    @given(st.data())
    def test_schema_agrees_when_the_reader_refuses_a_member(self, data):
        damaged = data.draw(strategies.damaged(snapshot.to_document(FULL)))
        valid = VALIDATOR.is_valid(damaged)
        try:
            snapshot.from_document(form.JsonNode(damaged))
        except form.DocumentError:
            return
        self.assertTrue(valid)


class TestDocumentation(testtools.TestCase):
    def test_example_is_a_snapshot_when_read(self):
        page = pathlib.Path(__file__).parents[3] / 'doc/source/snapshot.rst'
        block = page.read_text().split('.. code-block:: json\n')[1]
        lines = itertools.takewhile(
            lambda line: not line or line.startswith('   '),
            block.splitlines(),
        )
        text = '\n'.join(lines)
        self.assertEqual('6.12.63', snapshot.loads(text).machine.kernel)
        VALIDATOR.validate(json.loads(text))
