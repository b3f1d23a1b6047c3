# SPDX-License-Identifier: Apache-2.0

import datetime
from unittest import mock

from hvfilter.model.policy import Policy
from hvfilter.placement.holders import Ages, Holders
from hvfilter.rules.requests import Asked
from hvfilter.scheduler import hosts, rulings
from tests.unit.scheduler import base
from tests.unit.scheduler.base import host, spec

AGES = Ages(soft_s=30, hard_s=600, retry_s=5)


def question(**specs):
    named = {f'hvfilter:{key}': value for key, value in specs.items()}
    return rulings.Question(Asked.of(named), False, Policy())


class DocketTest(base.SchedulerTestCase):
    def setUp(self):
        super().setUp()
        self.docket = self.new()
        self.report('a', 'kvm')

    def new(self):
        holders = Holders(self.fleet, self.clock, lambda error: None)
        return rulings.Docket(holders, self.clock)

    def case(self, **specs):
        return self.docket.case(question(**specs), AGES)

    def sift(self, case, *hosts):
        return case.sift(
            list(hosts), lambda traits: self.docket.table_of(traits, AGES)
        )

    def verdict(self, case, state):
        """The words against a host, if any."""
        return ' '.join(map(str, self.sift(case, state).against))

    def test_same_question_meets_the_same_case(self):
        self.assertIs(self.case(), self.case())
        self.assertIsNot(self.case(), self.case(nested='required'))

    def test_case_is_new_when_the_old_one_is_old(self):
        case = self.case()
        self.clock.pass_s(30)
        self.assertIsNot(case, self.case())

    def test_case_stays_when_another_question_adds_a_trait(self):
        case = self.case()
        self.case(nested='required')
        self.assertIs(case, self.case())

    def test_case_is_new_once_what_was_unknown_is_known(self):
        self.case()
        self.fleet.fall()
        case = self.case(nested='required')
        self.assertIn('Placement out of reach', self.verdict(case, host('a')))
        self.fleet.rise()
        self.clock.pass_s(6)
        case = self.case(nested='required')
        self.assertIn('lacks nested', self.verdict(case, host('a')))

    def test_trait_that_went_is_acted_on_within_the_soft_age(self):
        self.report('a', 'kvm', 'nested')
        began_s = self.clock()
        self.case(nested='required')
        self.clock.pass_s(1)
        self.report('a', 'kvm')
        self.clock.pass_s(28)
        # Another question came for the first time, and meets old answers.
        self.docket._cases.clear()
        while not self.verdict(self.case(nested='required'), host('a')):
            self.clock.pass_s(1)
        self.assertEqual(30, self.clock() - began_s)

    def test_host_is_judged_once(self):
        case = self.case()
        states = [host('a'), host('b')]
        with mock.patch.object(rulings, 'judge', wraps=rulings.judge) as judge:
            for _ in range(3):
                self.sift(case, *states)
        self.assertEqual(2, judge.call_count)

    def test_hosts_alike_are_judged_once(self):
        names = [f'h{number}' for number in range(50)]
        for name in names:
            self.report(name, 'kvm')
        case = self.case()
        with mock.patch.object(rulings, 'judge', wraps=rulings.judge) as judge:
            self.sift(case, *map(host, names))
        self.assertEqual(1, judge.call_count)

    def test_cases_are_not_kept_without_end(self):
        for number in range(200):
            asked = Asked.of({f'hvfilter:odd{number}': 'required'})
            self.docket.case(rulings.Question(asked, False, Policy()), AGES)
        self.assertEqual(64, len(self.docket._cases))

    def test_hosts_are_not_kept_without_end(self):
        with mock.patch.object(rulings, '_MOST_HOSTS', 10):
            for number in range(5):
                case = self.case(**{f'odd{number}': 'required'})
                self.sift(case, *map(host, 'abcdefgh'))
            self.case()
        kept = sum(len(case) for case in self.docket._cases.values())
        self.assertLessEqual(kept, 10)

    def test_host_without_uuid_is_not_remembered(self):
        case = self.case()
        for _ in range(3):
            self.sift(
                case,
                host('a', uuid=None),
                host('b', uuid=None, guests=base.TCG_GUESTS),
            )
        self.assertEqual(0, len(case))

    def test_one_tenants_questions_cost_others_little(self):
        """300 images, each with other traits; then a usual request."""
        names = [f'h{number}' for number in range(200)]
        for name in names:
            self.report(name, 'kvm', 'nested', 'slat')
        states = [host(name) for name in names]
        for state in states:
            state.updated = datetime.datetime(2026, 1, 1)
        self.sift(self.case(), *states)
        keys = ('kvm', 'nested', 'slat', 'tdx')
        facts = hosts.HostReader.facts
        with (
            mock.patch.object(rulings, 'judge', wraps=rulings.judge) as judge,
            mock.patch.object(
                hosts.HostReader, 'facts', autospec=True, side_effect=facts
            ) as read,
        ):
            for number in range(300):
                traits = {
                    f'CUSTOM_HVFILTER_{key.upper()}': 'required'
                    for bit, key in enumerate(keys)
                    if number >> bit & 1
                }
                asked = Asked.of({}, traits, hw_architecture=f'a{number}')
                asking = rulings.Question(asked, False, Policy())
                self.sift(self.docket.case(asking, AGES), *states)
            # Hosts are read only when a trait becomes known.
            self.assertEqual(300, judge.call_count)
            self.assertEqual(3 * len(states), read.call_count)
            read.reset_mock()
            self.sift(self.case(), *states)
            self.clock.pass_s(30)
            self.sift(self.case(), *states)
            read.assert_not_called()


class RequestTest(base.SchedulerTestCase):
    def test_what_matters_is_taken_from_a_request_spec(self):
        from hvfilter.scheduler import request

        found = request.asked(
            spec(
                {'hvfilter:nested': 'required', 'hw:cpu_policy': 'shared'},
                {
                    'img_hv_type': 'kvm',
                    'hw_architecture': 'amd64',
                    'hw_emulation_architecture': 'aarch64',
                    'trait:CUSTOM_HVFILTER_TDX': 'required',
                    'trait:HW_CPU_X86_VMX': 'required',
                    'hw_disk_bus': 'scsi',
                },
            )
        )
        self.assertEqual(
            Asked(
                (('hvfilter:nested', 'required'),),
                (('CUSTOM_HVFILTER_TDX', 'required'),),
                'kvm',
                'x86_64',
                'aarch64',
            ),
            found,
        )
