# SPDX-License-Identifier: Apache-2.0

import json

import jsonschema
import testtools

from hvfilter.cli import schemas
from hvfilter.model import catalogue
from hvfilter.model.problem import Problem
from hvfilter.publish import outcome_document
from hvfilter.publish.base import Outcome
from tests.schemas import validator
from tests.unit.cli.base import CommandTestCase


def validate(document):
    """By the schema that it names."""
    schema = json.loads(schemas.all_schemas()[document['schema']])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator(schema).validate(document)


class TestSchemas(CommandTestCase):
    def test_each_has_an_id_of_its_own(self):
        found = {
            name: json.loads(text)
            for name, text in schemas.all_schemas().items()
        }
        self.assertIn('hvfilter/report/1', found)
        self.assertIn('hvfilter/snapshot/1', found)
        self.assertEqual(
            len(found), len({schema['$id'] for schema in found.values()})
        )
        for name, schema in found.items():
            self.assertEqual(name, schema['properties']['schema']['const'])
            self.assertFalse(schema['additionalProperties'])
            self.assertNotEqual('', schema['description'])

    def test_listed_and_printed(self):
        ran = self.run_command('schemas', '-f', 'json')
        names = [row['Name'] for row in json.loads(ran.out)]
        self.assertEqual(list(schemas.all_schemas()), names)
        for name in names:
            ran = self.run_command('schemas', name)
            self.assertEqual((0, ''), (ran.status, ran.err))
            self.assertEqual(schemas.all_schemas()[name], ran.out)

    def test_trouble_when_there_is_none_of_that_name(self):
        ran = self.run_command('schemas', 'hvfilter/report/9')
        self.assertEqual(2, ran.status)
        self.assertIn('hvfilter/report/1', ran.err)


class TestDocuments(CommandTestCase):
    def document(self, status, *argv):
        ran = self.run_command(*argv)
        self.assertEqual(status, ran.status, ran.err)
        found = json.loads(ran.out)
        validate(found)
        return found

    def test_check(self):
        for name, wanted, status, result in (
            ('intel-all-on', 'nested', 0, 'met'),
            ('intel-nested-off', 'kvm,nested', 1, 'not met'),
            ('kvm-refused', 'kvm', 2, 'unknown'),
        ):
            found = self.document(
                status,
                *('check', '--snapshot', self.host(name)),
                *('--require', wanted, '--forbid', 'sev', '-f', 'json'),
            )
            self.assertEqual(result, found['result'])
            keys = [check['capability'] for check in found['checks']]
            self.assertEqual([*wanted.split(','), 'sev'], keys)
            self.assertEqual('absent', found['checks'][-1]['wanted'])

    def test_diff(self):
        hosts = [
            self.host(name) for name in ('intel-all-on', 'intel-nested-off')
        ]
        found = self.document(1, 'diff', *hosts, '-f', 'json')
        self.assertFalse(found['same'])
        self.assertEqual({'nested', 'nested_slat'}, set(found['capabilities']))
        self.assertEqual(
            ('present', 'absent'),
            tuple(
                found['capabilities']['nested'][which]['state']
                for which in ('first', 'second')
            ),
        )
        self.assertEqual('VMX', found['nested_features']['first']['kind'])
        self.assertEqual('none', found['nested_features']['second']['why'])
        same = self.document(
            0, 'diff', hosts[0], hosts[0], '--all', '-f', 'json'
        )
        self.assertTrue(same['same'])
        self.assertEqual(set(catalogue.BY_KEY), set(same['capabilities']))
        other = self.host('amd-everything')
        found = self.document(1, 'diff', hosts[0], other, '-f', 'json')
        self.assertIn('SVM: NPT', found['nested_features']['only_second'])

    def test_columns_are_still_columns(self):
        hosts = [
            self.host(name) for name in ('intel-all-on', 'intel-nested-off')
        ]
        ran = self.run_command('diff', *hosts, '-f', 'json', '-c', 'Subject')
        self.assertIn({'Subject': 'nested'}, json.loads(ran.out))


class TestOutcomes(testtools.TestCase):
    def test_whatever_came_out(self):
        done = Outcome(
            'placement',
            'kvm1',
            frozenset({'CUSTOM_HVFILTER_KVM'}),
            changed=True,
            requests=3,
            notes=('A note.',),
        )
        problem = Problem('It failed', 'Do this.', transient=True)
        failed = Outcome('textfile', '', problem=problem)
        whole = outcome_document.to_document(
            [done, failed], dry_run=True, status=75
        )
        validate(whole)
        self.assertEqual(75, whole['exit_status'])
        self.assertTrue(whole['dry_run'])
        first, second = whole['publishers']
        self.assertEqual(['CUSTOM_HVFILTER_KVM'], first['added'])
        self.assertIsNone(first['problem'])
        self.assertEqual('Do this.', second['problem']['remedy'])
        self.assertTrue(second['problem']['transient'])
