# SPDX-License-Identifier: Apache-2.0

import dataclasses

import testtools

from hvfilter.model.catalogue import CATALOGUE
from hvfilter.model.finding import Finding, Override, State
from hvfilter.report import table
from tests.unit.model.test_document import NESTED, NO_NESTED, report_of


class TestTable(testtools.TestCase):
    def test_deciding_stage_is_told_when_absent(self):
        found = {row[0]: row for row in table.rows(report_of(NESTED))}
        self.assertEqual(
            (
                'nested',
                State.ABSENT,
                'kvm',
                NO_NESTED.reason,
                NO_NESTED.remedy,
            ),
            found['nested'],
        )
        self.assertNotIn('vti', found)

    def test_everything_is_shown_when_the_machine_is_unheard_of(self):
        report = dataclasses.replace(report_of(NESTED), machine='vax')
        self.assertEqual(len(CATALOGUE), len(list(table.rows(report))))

    def test_each_stage_is_told_when_long(self):
        found = {row[0]: row for row in table.long_rows(report_of(NESTED))}
        self.assertEqual(len(CATALOGUE), len(found))
        nested = dict(zip(table.LONG_COLUMNS, found['nested'], strict=True))
        self.assertIs(State.UNKNOWN, nested['Cpu'])
        self.assertIs(State.ABSENT, nested['Kvm'])
        vtx = dict(zip(table.LONG_COLUMNS, found['vtx'], strict=True))
        self.assertEqual('', vtx['Kvm'])

    def test_one_row_an_observation_when_evidence(self):
        self.assertEqual(
            [
                (
                    'nested',
                    'kvm',
                    State.ABSENT,
                    'ioctl',
                    NO_NESTED.source,
                    NO_NESTED.asked,
                    NO_NESTED.value,
                    NO_NESTED.reason,
                )
            ],
            list(table.evidence_rows(report_of(NESTED))),
        )

    def test_both_words_are_told_when_overruled(self):
        report = report_of(
            Finding('nested', NESTED.stages, Override(State.PRESENT, 'I'))
        )
        found = {row[0]: row for row in table.rows(report)}
        self.assertIs(State.PRESENT, found['nested'][1])
        self.assertEqual(
            f'overridden by I; detected: absent, {NO_NESTED.reason}',
            found['nested'][3],
        )
