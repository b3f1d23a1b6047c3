# SPDX-License-Identifier: Apache-2.0

import json

import jsonschema
import testtools
from hypothesis import given
from testtools.matchers import Contains

from hvfilter.cli.schemas import all_schemas
from hvfilter.model import catalogue, document, form
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import (
    Finding,
    HostReport,
    Observation,
    Override,
    StageFinding,
    State,
    Strength,
)
from tests import schemas, strategies

SCHEMA = json.loads(all_schemas()[document.SCHEMA])
VALIDATOR = schemas.validator(SCHEMA)
NO_NESTED = Observation(
    'nested',
    Stage.KVM,
    State.ABSENT,
    Strength.IOCTL,
    'KVM_GET_SUPPORTED_CPUID',
    'VMX',
    '0',
    'KVM gives no VMX to guests',
    'load kvm_intel with nested=1',
)


def stages_of(key, *particular):
    told = {stage.stage: stage for stage in particular}
    return tuple(
        told.get(stage, StageFinding(stage, State.UNKNOWN, 'no', '', ()))
        for stage in catalogue.BY_KEY[key].stages
    )


def report_of(*findings):
    told = {finding.capability: finding for finding in findings}
    return HostReport(
        'x86_64',
        '6.12.1',
        'live',
        tuple(
            told.get(row.key, Finding(row.key, stages_of(row.key)))
            for row in catalogue.CATALOGUE
        ),
    )


NESTED = Finding(
    'nested',
    stages_of(
        'nested',
        StageFinding(
            Stage.KVM,
            State.ABSENT,
            NO_NESTED.reason,
            NO_NESTED.remedy,
            (NO_NESTED,),
            contradicted=True,
        ),
    ),
)


class TestToDocument(testtools.TestCase):
    def test_everything_is_told_when_a_stage_is_absent(self):
        told = document.to_document(report_of(NESTED))
        self.assertEqual('hvfilter/report/1', told['schema'])
        nested = told['capabilities']['nested']
        self.assertEqual('absent', nested['state'])
        self.assertEqual('kvm', nested['stage'])
        self.assertEqual(NO_NESTED.reason, nested['reason'])
        self.assertEqual(NO_NESTED.remedy, nested['remedy'])
        self.assertEqual(
            {
                'state': 'absent',
                'reason': NO_NESTED.reason,
                'remedy': NO_NESTED.remedy,
                'contradicted': True,
            },
            nested['stages']['kvm'],
        )
        self.assertEqual(
            ['cpu', 'firmware', 'kvm', 'nova'], list(nested['stages'])
        )
        self.assertEqual(
            [
                {
                    'stage': 'kvm',
                    'state': 'absent',
                    'strength': 'ioctl',
                    'source': 'KVM_GET_SUPPORTED_CPUID',
                    'asked': 'VMX',
                    'value': '0',
                    'reason': NO_NESTED.reason,
                    'remedy': NO_NESTED.remedy,
                }
            ],
            nested['evidence'],
        )
        self.assertNotIn('overruled', nested)

    def test_both_states_are_told_when_overruled(self):
        overruled = Finding(
            'nested', NESTED.stages, Override(State.PRESENT, 'agent.conf')
        )
        nested = document.to_document(report_of(overruled))['capabilities'][
            'nested'
        ]
        self.assertEqual('present', nested['state'])
        self.assertEqual(
            {'found': 'absent', 'origin': 'agent.conf'}, nested['overruled']
        )


class TestFromDocument(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.document = document.to_document(report_of(NESTED))
        self.nested = self.document['capabilities']['nested']

    def complaint(self):
        error = self.assertRaises(
            form.DocumentError, document.loads, json.dumps(self.document)
        )
        return str(error)

    def test_unknown_when_the_document_does_not_tell(self):
        del self.document['capabilities']['kvm']
        report = document.loads(json.dumps(self.document))
        self.assertIs(State.UNKNOWN, report['kvm'].state)
        self.assertEqual('not in the report', report['kvm'].reason)

    def test_passed_over_when_the_catalogue_does_not_know_it(self):
        self.document['capabilities']['warp_drive'] = {'state': 'present'}
        self.assertEqual(
            report_of(NESTED), document.loads(json.dumps(self.document))
        )

    def test_refused_when_it_is_another_document(self):
        self.document['schema'] = 'hvfilter/snapshot/1'
        self.assertEqual(
            'schema: must be "hvfilter/report/1", not "hvfilter/snapshot/1"',
            self.complaint(),
        )

    def test_refused_when_state_and_stages_disagree(self):
        self.nested['state'] = 'present'
        self.assertEqual(
            'capabilities.nested.state: the stages make it "absent"',
            self.complaint(),
        )

    def test_refused_when_found_and_stages_disagree(self):
        self.nested['overruled'] = {'found': 'unknown', 'origin': 'x'}
        self.assertEqual(
            'capabilities.nested.overruled.found: the stages make it "absent"',
            self.complaint(),
        )

    def test_refused_when_reason_and_stages_disagree(self):
        self.nested['reason'] = 'because'
        self.assertThat(
            self.complaint(), Contains('capabilities.nested.reason: ')
        )

    def test_refused_when_remedy_and_stages_disagree(self):
        self.nested['remedy'] = ''
        self.assertThat(
            self.complaint(), Contains('capabilities.nested.remedy: ')
        )

    def test_refused_when_a_stage_is_missing(self):
        del self.nested['stages']['nova']
        self.assertEqual(
            'capabilities.nested.stages: the member "nova" is missing',
            self.complaint(),
        )

    def test_refused_when_a_stage_is_none_of_the_capability(self):
        ept = self.document['capabilities']['ept']
        ept['evidence'] = [dict(self.nested['evidence'][0], stage='nova')]
        self.assertEqual(
            'capabilities.ept.evidence[0].stage: '
            'ept passes only cpu, firmware, kvm',
            self.complaint(),
        )

    def test_refused_when_a_state_is_not_known(self):
        self.nested['stages']['cpu']['state'] = 'maybe'
        self.assertEqual(
            'capabilities.nested.stages.cpu.state: must be one of '
            'present, absent, unknown, not "maybe"',
            self.complaint(),
        )

    def test_refused_when_a_strength_is_not_known(self):
        self.nested['evidence'][0]['strength'] = 'hearsay'
        self.assertEqual(
            'capabilities.nested.evidence[0].strength: must be one of '
            'register, flags, parameter, ioctl, smoke',
            self.complaint(),
        )


class TestRoundTrip(testtools.TestCase):
    @given(strategies.reports())
    def test_same_report_when_read_again(self, report):
        text = document.dumps(report)
        self.assertEqual(report, document.loads(text))
        VALIDATOR.validate(json.loads(text))

    @given(strategies.damaged(document.to_document(report_of(NESTED))))
    def test_a_form_error_and_no_other_when_damaged(self, damaged):
        try:
            document.from_document(form.JsonNode(damaged))
        except form.DocumentError as error:
            self.assertTrue(str(error))

    def test_schema_is_one_when_checked(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
