# SPDX-License-Identifier: Apache-2.0

from unittest import mock

from hvfilter.model.policy import Policy
from hvfilter.placement.holders import Ages, Holders
from hvfilter.rules.requests import Asked
from hvfilter.scheduler import rulings
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
        verdict, _ = case.look(host('a'))
        self.assertEqual(
            'Placement out of reach and nothing known',
            verdict.reasons[0].summary,
        )
        self.fleet.rise()
        self.clock.pass_s(6)
        case = self.case(nested='required')
        verdict, _ = case.look(host('a'))
        self.assertEqual('lacks nested', verdict.reasons[0].summary)

    def test_host_is_judged_once(self):
        case = self.case()
        states = [host('a'), host('b')]
        with mock.patch.object(rulings, 'judge', wraps=rulings.judge) as judge:
            for _ in range(3):
                for state in states:
                    case.look(state)
        self.assertEqual(2, judge.call_count)

    def test_hosts_alike_are_judged_once(self):
        names = [f'h{number}' for number in range(50)]
        for name in names:
            self.report(name, 'kvm')
        case = self.case()
        with mock.patch.object(rulings, 'judge', wraps=rulings.judge) as judge:
            for name in names:
                case.look(host(name))
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
                for name in 'abcdefgh':
                    case.look(host(name))
            self.case()
        kept = sum(len(case) for case in self.docket._cases.values())
        self.assertLessEqual(kept, 10)

    def test_processors_are_not_kept_without_end(self):
        reader = rulings.HostReader()
        with mock.patch.object(rulings, '_MOST_PROCESSORS', 10):
            for number in range(100):
                reader.facts(host('a', cpu_info=f'{{"arch": "{number}"}}'))
        self.assertLessEqual(len(reader._seen), 10)

    def test_host_without_uuid_is_not_remembered(self):
        case = self.case()
        for _ in range(3):
            case.look(host('a', uuid=None))
            case.look(host('b', uuid=None, guests=base.TCG_GUESTS))
        self.assertEqual(0, len(case))


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
                True,
            ),
            found,
        )
