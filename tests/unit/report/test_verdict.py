# SPDX-License-Identifier: Apache-2.0

import dataclasses
import re

import testtools

from hvfilter.model.catalogue import BY_KEY
from hvfilter.model.finding import Finding, Override, Processor, State
from hvfilter.report import verdict
from tests.hosts import make
from tests.unit.model.test_document import NESTED, NO_NESTED, report_of

NAMES = sorted(path.stem for path in make.FOLDER.glob('*.json'))


def report_on(name):
    text = (make.FOLDER / f'{name}.json').read_bytes()
    return make.report_on(make.snapshot.loads(text))


def summary(report, **kwargs):
    """The lines before the first empty one, unwrapped, by their label."""
    found = {}
    label = ''
    for line in verdict.lines(report, **kwargs):
        if not line:
            return found
        if not line.startswith(' '):
            label, _, line = line.partition(':')
        found[label] = f'{found.get(label, "")} {line.strip()}'.strip()
    return found


def entries(report):
    """State and text of each entry, unwrapped."""
    found = []
    lines = iter(verdict.lines(report))
    while next(lines):
        pass
    for line in lines:
        if not line:
            break
        if not line.startswith(' '):
            state, _, line = line.partition(' ')
            found.append([State(state), ''])
        found[-1][1] = f'{found[-1][1]} {line.strip()}'.strip()
    return found


def keys_of(text):
    return text.split(': ')[0].split(', ')


class TestVerdict(testtools.TestCase):
    def test_yes_needs_no_words(self):
        found = summary(report_on('intel-all-on'))
        self.assertEqual('yes', found['KVM guests'])
        self.assertEqual('yes', found['Nested guests'])
        self.assertNotIn('To fix', found)
        self.assertNotIn('Emulated guests', found)
        self.assertIn('a real machine', found['This host'])

    def test_no_comes_with_reason_and_remedy(self):
        report = report_on('amd-firmware-off')
        found = summary(report)
        for label, key in (('KVM guests', 'kvm'), ('Nested guests', 'nested')):
            self.assertEqual(f'no: {report[key].reason}', found[label])
        self.assertEqual(str(report['kvm'].remedy), found['To fix'])

    def test_steps_have_numbers_when_there_are_several(self):
        # Emulated here, and not offered beneath.
        report = report_on('lab-amd-cloud-vm-nested-off')
        found = summary(report)
        remedies = {str(report[key].remedy) for key in ('kvm', 'nested')}
        if len(remedies) > 1:
            self.assertTrue(found['To fix'].startswith('1. '))

    def test_unknown_is_not_no(self):
        report = report_on('kvm-refused')
        self.assertIs(State.UNKNOWN, report['kvm'].state)
        found = summary(report)
        self.assertTrue(found['KVM guests'].startswith('unknown: '))

    def test_emulating_nova_is_said(self):
        found = summary(report_on('intel-virt-type-qemu'))
        self.assertTrue(found['KVM guests'].startswith('no: '))
        self.assertTrue(found['Emulated guests'].startswith('yes: '))

    def test_override_is_shown(self):
        report = report_of(
            Finding('nested', NESTED.stages, Override(State.PRESENT, 'I'))
        )
        found = summary(report)
        self.assertEqual(
            f'yes: overridden by I; detected: absent, {NO_NESTED.reason}',
            found['Nested guests'],
        )
        self.assertIn(
            [
                State.PRESENT,
                f'nested: overridden by I; detected: absent, '
                f'{NO_NESTED.reason} To fix: {NO_NESTED.remedy}',
            ],
            entries(report),
        )

    def test_nothing_is_said_of_an_unknown_machine(self):
        report = dataclasses.replace(
            report_of(NESTED), machine='unknown', kernel='unknown'
        )
        self.assertEqual(
            'nothing is known of it', summary(report)['This host']
        )

    def test_as_wide_as_asked_for(self):
        report = report_on('intel-nested-off')
        for width in (40, 80, 200):
            widest = max(map(len, verdict.lines(report, width)))
            self.assertGreaterEqual(width, widest)
        self.assertEqual(
            list(verdict.lines(report, 40)), list(verdict.lines(report, 1))
        )

    def test_nothing_of_a_stranger_reaches_the_terminal(self):
        report = dataclasses.replace(
            report_of(NESTED), processor=Processor('a\033[2J\u202eb\nc')
        )
        for line in verdict.lines(report):
            self.assertTrue(line.isprintable())

    def test_every_recorded_host_is_shown_whole(self):
        for name in NAMES:
            with self.subTest(name):
                self.check(report_on(name))

    def check(self, report):
        shown = {}
        for state, text in entries(report):
            for key in keys_of(text):
                self.assertNotIn(key, shown)
                shown[key] = (state, text)
        for finding in report.findings:
            key = finding.capability
            if key not in shown:
                self.assertIs(State.ABSENT, finding.state)
                self.assertEqual('cpu', finding.deciding.stage.value)
                self.assertNotEqual('', report.machine)
                continue
            state, text = shown[key]
            self.assertIs(finding.state, state)
            if state is State.PRESENT:
                continue
            words = set(re.findall(r'[^\s,;]+', text))
            needed = set(re.findall(r'[^\s,;]+', finding.reason))
            self.assertEqual(set(), needed - words, text)
            self.assertIn(str(finding.remedy), text)
        long = [
            line
            for line in verdict.lines(report)
            if len(line) > 80 and ' ' in line.strip()
        ]
        self.assertEqual([], long)

    def test_other_makers_are_left_out(self):
        report = report_on('intel-nested-off')
        text = '\n'.join(verdict.lines(report))
        for key in ('amdv', 'npt', 'sev', 'vti', 'secure_execution'):
            self.assertNotRegex(text, rf'\b{key}\b')
        hidden = len(report.findings) - sum(
            len(keys_of(text)) for _, text in entries(report)
        )
        self.assertIn(f'{hidden} capabilities that such', text)
        self.assertLess(hidden, len(BY_KEY))


class TestJoined(testtools.TestCase):
    def test_what_differs_in_one_place(self):
        for reasons, text in (
            (['a'], 'a'),
            (
                [
                    'KVM offers no EPT to guests',
                    'KVM offers no VT-x to guests',
                ],
                'KVM offers no EPT, VT-x to guests',
            ),
            (['it has no A', 'it has no B C'], 'it has no A, B C'),
            (['one thing', 'another thing'], 'one thing; another thing'),
            (['it is so', 'it is so indeed'], 'it is so; it is so indeed'),
        ):
            self.assertEqual(text, verdict.joined(reasons))
