# SPDX-License-Identifier: Apache-2.0

import testtools

from hvfilter.host import facts, nested_svm, nested_vmx
from hvfilter.host.answers import Refusal
from hvfilter.host.question import nested_smoke
from hvfilter.host.recorded import RecordedHost
from hvfilter.model.finding import State, Strength
from hvfilter.probes import nested_words, x86_nested_run
from hvfilter.probes.context import ProbeContext
from tests.fakes.timing import TimedMachine
from tests.unit.probes.base import look_at

NATIVE = TimedMachine(10_000, 0.6, 0.55).samples()
EMULATED = TimedMachine(20_000, 1400, 0.55).samples()
BOTH = ('nested', 'nested_slat')
OFFERED = dict.fromkeys(BOTH, State.PRESENT)
CONF = '/etc/hvfilter/hvfilter.conf'


def plain(samples=NATIVE):
    steps = (('create_vm', 'ok'), ('long_mode', 'IO'))
    return facts.SmokeRun(steps, samples, 1)


def nested(ending='IO', samples=NATIVE):
    steps = (('create_vm', 'ok'), ('nested', ending))
    return facts.SmokeRun(steps, samples if ending == 'IO' else (), 1)


class ObserveTest(testtools.TestCase):
    def said(self, runs, offered=OFFERED, smoke=None, option=None):
        options = {}
        if option is not None:
            options[CONF] = (
                option
                if isinstance(option, Refusal)
                else {'hvfilter': {'nested_guest': (option,)}}
            )
        recorded = look_at(
            smoke=smoke or plain(), options=options
        ).host.snapshot
        for key, run in runs.items():
            recorded.answers[nested_smoke(key)] = run
        context = ProbeContext(RecordedHost(recorded))
        return {
            one.capability: one
            for one in x86_nested_run.observe(context, offered)
        }

    def check(self, runs, **states):
        said = self.said(runs)
        found = {key: one.state.value for key, one in said.items()}
        self.assertEqual(states, found)
        for one in said.values():
            self.assertIs(Strength.SMOKE, one.strength)
        return said

    def test_present_when_both_ran_natively(self):
        runs = dict.fromkeys(BOTH, nested())
        self.check(runs, nested='present', nested_slat='present')

    def test_absent_with_the_step_when_one_failed(self):
        runs = {
            'nested': nested(),
            'nested_slat': nested('VMRUN/EXIT_0xffffffff'),
        }
        said = self.check(runs, nested='present', nested_slat='absent')
        self.assertIn('VMEXIT_INVALID', said['nested_slat'].reason)

    def test_nested_shown_by_paging_when_the_other_failed(self):
        runs = {'nested': nested('VMRUN/SHUTDOWN'), 'nested_slat': nested()}
        self.check(runs, nested='present', nested_slat='present')

    def test_paging_not_shown_by_the_run_without(self):
        failed = nested('VMLAUNCH/ERROR_7')
        runs = {'nested': nested(), 'nested_slat': failed}
        said = self.check(runs, nested='present', nested_slat='absent')
        self.assertIn('invalid control field', said['nested_slat'].reason)

    def test_absent_when_emulated(self):
        slow = nested(samples=EMULATED)
        runs = dict.fromkeys(BOTH, slow)
        self.check(runs, nested='absent', nested_slat='absent')

    def test_unknown_and_no_second_run_when_busy(self):
        for ending in ('TIMEOUT', 'ENOMEM', 'EINTR'):
            runs = {'nested': nested(ending), 'nested_slat': nested()}
            self.check(runs, nested='unknown', nested_slat='unknown')

    def test_a_doubt_when_refused(self):
        runs = dict.fromkeys(BOTH, Refusal('EACCES'))
        self.check(runs, nested='unknown', nested_slat='unknown')

    def test_no_doubt_when_not_wanted_or_not_recorded(self):
        for runs in ({}, dict.fromkeys(BOTH, Refusal('ECANCELED'))):
            for one in self.said(runs).values():
                self.assertIs(State.UNKNOWN, one.state)
                self.assertIs(Strength.IOCTL, one.strength)

    def test_not_run_with_the_reason_when_the_plain_guest_is_slow(self):
        runs = dict.fromkeys(BOTH, nested())
        for one in self.said(runs, smoke=plain(EMULATED)).values():
            self.assertIs(Strength.IOCTL, one.strength)
            self.assertIn('did not run natively', one.reason)

    def test_not_run_when_an_option_says_no(self):
        runs = dict.fromkeys(BOTH, nested())
        for value in ('false', 'No', '0', 'off', 'perhaps'):
            for one in self.said(runs, option=value).values():
                self.assertIs(Strength.IOCTL, one.strength)
                self.assertIn('nested_guest = ' + value, one.reason)
        for one in self.said(runs, option='True').values():
            self.assertIs(State.PRESENT, one.state)

    def test_not_run_when_not_offered(self):
        runs = dict.fromkeys(BOTH, nested())
        self.assertEqual({}, self.said(runs, offered={}))
        without = {**OFFERED, 'nested_slat': State.ABSENT}
        self.assertEqual(['nested'], list(self.said(runs, without)))

    def test_recorded_run_counts_when_the_offer_is_not_known(self):
        unknown = dict.fromkeys(BOTH, State.UNKNOWN)
        failed = dict.fromkeys(BOTH, nested('VMRUN/SHUTDOWN'))
        for one in self.said(failed, unknown).values():
            self.assertIs(State.ABSENT, one.state)
        self.assertEqual({}, self.said({}, unknown))

    def test_doubt_when_the_files_cannot_be_read(self):
        failed = dict.fromkeys(BOTH, nested('VMRUN/SHUTDOWN'))
        for one in self.said(failed, option=Refusal('EACCES')).values():
            self.assertIs(State.UNKNOWN, one.state)
            self.assertIs(Strength.SMOKE, one.strength)
            self.assertIn('could not be read', one.reason)

    def test_unknown_when_the_other_run_leaves_a_doubt(self):
        """With nested paging it might have gone well."""
        for other, why in (
            (nested('TIMEOUT'), 'TIMEOUT'),
            (Refusal('EACCES'), 'Permission denied'),
            (None, 'not run'),
        ):
            runs = {'nested': nested('VMRUN/SHUTDOWN'), 'nested_slat': other}
            if other is None:
                del runs['nested_slat']
            said = self.check(runs, nested='unknown', nested_slat='unknown')
            self.assertIn('VMRUN: SHUTDOWN', said['nested'].reason)
            self.assertIn(why, said['nested'].reason)

    def test_absent_in_words_whatever_the_processor_answered(self):
        """Each VM-instruction error and each exit that is known by name, at
        each step of either guest."""
        endings = [
            f'{step}/ERROR_{number}'
            for step in nested_vmx.VmxGuest.marks.values()
            for number in nested_words._INSTRUCTION_ERRORS
        ]
        endings += [
            f'VMRUN/EXIT_{code:#x}' for code in nested_words._SVM_EXITS
        ]
        endings += [
            f'VMLAUNCH/EXIT_{0x80000000 | code:#x}'
            for code in nested_words._VMX_EXITS
        ]
        endings += [
            f'{step}/SHUTDOWN'
            for guest in (nested_svm.SvmGuest, nested_vmx.VmxGuest)
            for step in guest.marks.values()
        ]
        for ending in endings:
            said = self.said(dict.fromkeys(BOTH, nested(ending)))
            step = ending.partition('/')[0]
            for key in BOTH:
                one = said[key]
                self.assertIs(State.ABSENT, one.state, ending)
                self.assertRegex(one.reason, rf'failed: {step}: .+ \(.+\)$')
                self.assertNotIn('_0x', one.reason)
                self.assertTrue(one.remedy, ending)

    def test_remedy_of_each_ending(self):
        for ending, remedy in (
            ('VMRUN/SHUTDOWN', 'nested_guest_failed'),
            ('TIMEOUT', 'kvm_probe_again'),
            ('EACCES', 'kvm_guest_refused'),
            ('ENODATA', 'kvm_guest_failed'),
        ):
            said = self.said(dict.fromkeys(BOTH, nested(ending)))
            self.assertEqual((remedy,), said['nested'].remedy.keys)


class WordsTest(testtools.TestCase):
    def test_words_of_the_manuals(self):
        for outcome, words in (
            ('VMXON/SHUTDOWN', 'VMXON: SHUTDOWN (the guest shut down'),
            ('VMLAUNCH/EXIT_0x80000021', 'invalid guest state'),
            ('VMLAUNCH/ERROR_8', 'invalid host-state field(s)'),
            ('VMRUN/EXIT_0x400', 'nested page fault'),
            ('VMRUN/EXIT_0x123', 'VMRUN: exit 0x123'),
            ('VMCLEAR/EXIT_7', 'VMCLEAR: EXIT_7'),
            ('TIMEOUT', 'TIMEOUT'),
        ):
            self.assertIn(words, nested_words.why(outcome))
