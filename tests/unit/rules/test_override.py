# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.model.finding import Override, State
from hvfilter.rules import override, traits
from tests.fakes import reports

ORIGIN = '[hvfilter]overrule'


class ParseTest(testtools.TestCase):
    def test_parse_when_words_are_right(self):
        self.assertEqual(
            {
                'kvm': Override(State.PRESENT, ORIGIN),
                'sev': Override(State.ABSENT, ORIGIN),
            },
            override.parse(['kvm=present', ' sev = ABSENT '], ORIGIN),
        )
        self.assertEqual({}, override.parse([], ORIGIN))

    def test_parse_when_words_are_wrong(self):
        for words in (
            ['vmx=present'],
            ['kvm'],
            ['kvm='],
            ['kvm=unknown'],
            ['kvm=yes'],
            [''],
            ['kvm=present', 'kvm=absent'],
        ):
            error = self.assertRaises(
                ValueError, override.parse, words, ORIGIN
            )
            self.assertIn(ORIGIN, str(error))

    def test_error_when_words_are_wrong(self):
        for words, problem in (
            ('vmx=absent', 'names no capability; "hvfilter probe" shows all'),
            (
                'kvm=present=x',
                'is not understood; write "kvm=present" or "kvm=absent"',
            ),
        ):
            error = self.assertRaises(
                ValueError, override.parse, [words], ORIGIN
            )
            self.assertEqual(f"{ORIGIN}: '{words}' {problem}", str(error))


class ApplyTest(testtools.TestCase):
    def test_apply_when_finding_says_otherwise(self):
        found = reports.report(['ept'], ['kvm'])
        overruled = override.apply(
            found, override.parse(['kvm=present', 'ept=absent'], ORIGIN)
        )
        self.assertIs(State.PRESENT, overruled['kvm'].state)
        self.assertIs(State.ABSENT, overruled['kvm'].found)
        self.assertEqual(found['kvm'].stages, overruled['kvm'].stages)
        self.assertEqual(ORIGIN, overruled['kvm'].override.origin)
        desired = traits.desired(overruled)
        self.assertIn('CUSTOM_HVFILTER_KVM', desired.present)
        self.assertIn('CUSTOM_HVFILTER_EPT', desired.absent)

    def test_apply_when_nothing_is_overruled(self):
        found = reports.report(['ept'])
        self.assertEqual(found, override.apply(found, {}))
