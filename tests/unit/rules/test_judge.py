# SPDX-License-Identifier: Apache-2.0

import dataclasses
import itertools

import testtools

from hvfilter.model.policy import Mode, Policy, WhenUnknown
from hvfilter.model.requirement import (
    Demand,
    InvalidRequest,
    Origin,
    Requirement,
    Requirements,
)
from hvfilter.model.verdict import Cause, HostCapabilities, Reason
from hvfilter.rules.judge import judge

NEEDS_NESTED = Requirement(
    'nested', Demand.REQUIRED, Origin.FLAVOR, 'hvfilter:nested=required'
)
BARS_NESTED = Requirement('nested', Demand.FORBIDDEN, Origin.FLAVOR, 'no')
LIKES_NESTED = Requirement('nested', Demand.PREFERRED, Origin.FLAVOR, 'like')
POLICY_KVM = Requirement(
    'kvm', Demand.REQUIRED, Origin.POLICY, 'policy', explicit=False
)


def reported(*keys, **more):
    return HostCapabilities(frozenset(keys), True, **more)


def unreported(*undecided, **more):
    return HostCapabilities(frozenset(), False, frozenset(undecided), **more)


def causes(items, advertised, policy=None, **more):
    verdict = judge(
        Requirements(tuple(items), **more), advertised, policy or Policy()
    )
    return [reason.cause for reason in verdict.reasons]


class ReportedTest(testtools.TestCase):
    def test_host_is_accepted_when_it_has_what_is_required(self):
        self.assertEqual([], causes([NEEDS_NESTED], reported('nested')))

    def test_host_is_rejected_when_it_lacks_what_is_required(self):
        verdict = judge(Requirements((NEEDS_NESTED,)), reported(), Policy())
        self.assertFalse(verdict.accepted)
        self.assertEqual(
            'lacks nested (hvfilter:nested=required)', str(verdict)
        )

    def test_host_is_rejected_when_it_has_what_is_forbidden(self):
        self.assertEqual(
            [Cause.HAS_FORBIDDEN], causes([BARS_NESTED], reported('nested'))
        )
        self.assertEqual([], causes([BARS_NESTED], reported()))

    def test_preferred_never_rejects(self):
        for host in (reported(), unreported('nested'), reported('nested')):
            self.assertEqual([], causes([LIKES_NESTED], host))

    def test_all_that_follows_a_preferred_one_is_judged(self):
        likes_kvm = Requirement('kvm', Demand.PREFERRED, Origin.FLAVOR, 'like')
        self.assertEqual(
            [Cause.LACKS], causes([likes_kvm, NEEDS_NESTED], reported())
        )

    def test_every_reason_is_given_in_the_order_of_the_request(self):
        found = judge(
            Requirements((NEEDS_NESTED, POLICY_KVM)), reported(), Policy()
        )
        self.assertEqual(
            ['nested', 'kvm'], [reason.subject for reason in found.reasons]
        )

    def test_every_host_is_rejected_when_request_makes_no_sense(self):
        invalid = (InvalidRequest(Origin.FLAVOR, 'hvfilter:x=y', 'no such'),)
        for host in (reported('kvm'), unreported(), reported(kvm_host=False)):
            self.assertEqual(
                [Cause.NOT_UNDERSTOOD], causes([], host, invalid=invalid)
            )

    def test_reasons_tell_what_was_asked_and_by_which_words(self):
        nobody = reported('kvm', 'nested', 'tdx', native=frozenset({'i686'}))
        found = judge(
            Requirements(
                (BARS_NESTED, POLICY_KVM),
                (InvalidRequest(Origin.FLAVOR, 'hvfilter:x=y', 'no such'),),
                'x86_64',
            ),
            nobody,
            Policy(reserved=frozenset({'tdx', 'nested'})),
        )
        self.assertEqual(
            (
                Reason(Cause.NOT_UNDERSTOOD, 'hvfilter:x=y', 'no such'),
                Reason(Cause.HAS_FORBIDDEN, 'nested', 'no', Origin.FLAVOR),
                Reason(Cause.ARCHITECTURE, 'x86_64', 'hw_architecture=x86_64'),
                Reason(
                    Cause.RESERVED,
                    'nested, tdx',
                    '[hvfilter] reserved = nested,tdx',
                    Origin.POLICY,
                ),
            ),
            found.reasons,
        )
        found = judge(
            Requirements((NEEDS_NESTED,)), unreported('nested'), Policy()
        )
        self.assertEqual((Reason(Cause.UNREPORTED, ''),), found.reasons)
        stale = dataclasses.replace(unreported('nested'), expired='2026W40')
        found = judge(Requirements((NEEDS_NESTED,)), stale, Policy())
        self.assertEqual((Reason(Cause.STALE, '2026W40'),), found.reasons)
        self.assertEqual('report is stale (week 2026W40)', str(found))

    def test_mode_does_not_change_verdicts(self):
        self.assertEqual(
            [Cause.LACKS],
            causes([NEEDS_NESTED], reported(), Policy(mode=Mode.PERMISSIVE)),
        )


class IgnoranceTest(testtools.TestCase):
    def test_unreported_host_is_taken_as_the_policy_says(self):
        passes = {
            (WhenUnknown.INFER, POLICY_KVM): True,
            (WhenUnknown.INFER, NEEDS_NESTED): False,
            (WhenUnknown.INFER, BARS_NESTED): False,
            (WhenUnknown.ACCEPT, POLICY_KVM): True,
            (WhenUnknown.ACCEPT, NEEDS_NESTED): True,
            (WhenUnknown.ACCEPT, BARS_NESTED): True,
            (WhenUnknown.REJECT, POLICY_KVM): False,
            (WhenUnknown.REJECT, NEEDS_NESTED): False,
            (WhenUnknown.REJECT, BARS_NESTED): False,
        }
        for (ignorance, item), accepted in passes.items():
            host = unreported('kvm', 'nested')
            found = causes([item], host, Policy(unreported=ignorance))
            expected = [] if accepted else [Cause.UNREPORTED]
            self.assertEqual(expected, found, (ignorance, item))

    def test_unreachable_placement_is_taken_as_the_policy_says(self):
        host = unreported('kvm', 'nested', unreachable=True)
        for ignorance, item in itertools.product(
            WhenUnknown, (POLICY_KVM, NEEDS_NESTED)
        ):
            found = causes([item], host, Policy(unreachable=ignorance))
            accepted = ignorance is WhenUnknown.ACCEPT or (
                ignorance is WhenUnknown.INFER and item is POLICY_KVM
            )
            expected = [] if accepted else [Cause.NO_KNOWLEDGE]
            self.assertEqual(expected, found, (ignorance, item))

    def test_reported_host_leaves_only_placement_to_blame(self):
        host = reported('kvm', undecided=frozenset({'nested'}))
        policy = Policy(unreported=WhenUnknown.ACCEPT)
        self.assertEqual(
            [Cause.NO_KNOWLEDGE], causes([NEEDS_NESTED], host, policy)
        )

    def test_what_is_surely_absent_is_lacking(self):
        host = unreported('kvm')
        self.assertEqual([Cause.LACKS], causes([NEEDS_NESTED], host))
        self.assertEqual([], causes([BARS_NESTED], host))

    def test_one_reason_stands_for_all_that_is_not_known(self):
        host = unreported('kvm', 'nested')
        policy = Policy(unreported=WhenUnknown.REJECT)
        self.assertEqual(
            [Cause.UNREPORTED],
            causes([NEEDS_NESTED, POLICY_KVM], host, policy),
        )


class OtherHypervisorTest(testtools.TestCase):
    HOST = HostCapabilities(frozenset(), False, kvm_host=False)

    def test_policy_leaves_it_alone(self):
        self.assertEqual([], causes([POLICY_KVM], self.HOST))
        strict = Policy(unreported=WhenUnknown.REJECT)
        self.assertEqual([], causes([POLICY_KVM], self.HOST, strict))

    def test_it_lacks_what_is_asked_explicitly(self):
        self.assertEqual([Cause.LACKS], causes([NEEDS_NESTED], self.HOST))
        self.assertEqual([], causes([BARS_NESTED], self.HOST))
        self.assertEqual(
            [Cause.LACKS], causes([POLICY_KVM, NEEDS_NESTED], self.HOST)
        )

    def test_its_architecture_does_not_matter(self):
        self.assertEqual([], causes([], self.HOST, architecture='aarch64'))
        known = dataclasses.replace(self.HOST, native=frozenset({'x86_64'}))
        self.assertEqual([], causes([], known, architecture='aarch64'))


class EmulationTest(testtools.TestCase):
    """What a guest becomes is decided by the host."""

    def causes(self, host, policy=None, items=(POLICY_KVM,), **more):
        more.setdefault('emulable', True)
        return causes(items, host, policy, **more)

    def test_guest_is_content_with_a_host_that_emulates(self):
        self.assertEqual([], self.causes(reported('tcg')))
        self.assertEqual(
            [Cause.LACKS], self.causes(reported('tcg'), emulable=False)
        )

    def test_guest_is_a_kvm_guest_elsewhere(self):
        self.assertEqual([], self.causes(reported('kvm')))
        self.assertEqual([Cause.LACKS], self.causes(reported()))
        nested = dataclasses.replace(POLICY_KVM, capability='nested')
        self.assertEqual(
            [Cause.LACKS],
            self.causes(reported('kvm'), items=(POLICY_KVM, nested)),
        )

    def test_what_is_asked_explicitly_is_judged_all_the_same(self):
        self.assertEqual(
            [Cause.LACKS],
            self.causes(reported('tcg'), items=(POLICY_KVM, NEEDS_NESTED)),
        )

    def test_guest_is_emulated_on_hosts_of_another_architecture(self):
        x86 = frozenset({'x86_64', 'i686'})
        for machine, native, architecture, accepted in (
            ('x86_64', x86, 'aarch64', True),
            ('x86_64', x86, 'x86_64', False),
            # Nova compares with the processor's, not with what KVM offers.
            ('x86_64', x86, 'i686', True),
            ('', x86, 'aarch64', True),
            ('', x86, 'x86_64', False),
            # Of a host of which nothing is known it is not taken for granted.
            ('', None, 'aarch64', False),
            ('', frozenset(), 'aarch64', False),
        ):
            host = reported(machine=machine, native=native)
            found = self.causes(host, emulation_architecture=architecture)
            self.assertEqual(
                [] if accepted else [Cause.LACKS],
                found,
                (machine, architecture),
            )

    def test_doubt_about_tcg_is_taken_as_the_policy_says(self):
        for ignorance, expected in (
            (WhenUnknown.INFER, []),
            (WhenUnknown.ACCEPT, []),
            (WhenUnknown.REJECT, [Cause.UNREPORTED]),
        ):
            policy = Policy(unreported=ignorance)
            host = unreported('tcg')
            self.assertEqual(expected, self.causes(host, policy), ignorance)
        host = reported(
            undecided=frozenset({'tcg'}), unknown=frozenset({'tcg'})
        )
        strict = Policy(unreported=WhenUnknown.REJECT)
        self.assertEqual([], self.causes(host))
        self.assertEqual([Cause.UNKNOWN], self.causes(host, strict))

    def test_architecture_matters_unless_guest_is_emulated(self):
        x86 = frozenset({'x86_64'})
        host = reported('kvm', native=x86)
        arm = {'architecture': 'aarch64'}
        self.assertEqual([Cause.ARCHITECTURE], self.causes(host, **arm))
        emulates = dataclasses.replace(host, capabilities=frozenset({'tcg'}))
        self.assertEqual([], self.causes(emulates, **arm))
        doubtful = dataclasses.replace(host, undecided=frozenset({'tcg'}))
        self.assertEqual([], self.causes(doubtful, **arm))
        self.assertEqual(
            [Cause.ARCHITECTURE],
            self.causes(
                doubtful, Policy(unreachable=WhenUnknown.REJECT), **arm
            ),
        )

    def test_kvm_that_a_flavor_requires_is_of_the_architecture(self):
        needs_kvm = dataclasses.replace(NEEDS_NESTED, capability='kvm')
        verdict = judge(
            Requirements(
                (needs_kvm,),
                architecture='aarch64',
                emulable=True,
                emulation_architecture='aarch64',
            ),
            reported('kvm', machine='x86_64', native=frozenset({'x86_64'})),
            Policy(),
        )
        self.assertEqual(
            'does not run aarch64 under KVM '
            '(hw_emulation_architecture=aarch64)',
            str(verdict),
        )

    def test_guest_that_is_emulated_gets_nothing_of_kvm(self):
        host = reported(
            *('kvm', 'nested', 'sev', 'vtx'),
            machine='x86_64',
            native=frozenset({'x86_64'}),
        )
        for key, origin, accepted in (
            ('nested', Origin.FLAVOR, False),
            ('nested', Origin.IMAGE, False),
            ('nested', Origin.POLICY, True),
            ('sev', Origin.IMAGE, False),
            # The host has it, whatever runs there.
            ('vtx', Origin.FLAVOR, True),
            # Of one image, which names the other architecture as well.
            ('kvm', Origin.IMAGE, True),
        ):
            item = Requirement(
                key, Demand.REQUIRED, origin, 'words', explicit=False
            )
            for own, expected in (
                ('aarch64', [] if accepted else [Cause.ARCHITECTURE]),
                ('x86_64', []),
            ):
                found = causes(
                    [item],
                    host,
                    architecture=own,
                    emulable=True,
                    emulation_architecture=own,
                )
                self.assertEqual(expected, found, (key, origin, own))


class UnknownTest(testtools.TestCase):
    """The host reported that it could not find out."""

    HOST = reported(
        'kvm',
        undecided=frozenset({'nested'}),
        unknown=frozenset({'nested'}),
    )

    def test_unknown_is_not_lacking(self):
        for item in (NEEDS_NESTED, BARS_NESTED):
            found = judge(Requirements((item,)), self.HOST, Policy())
            self.assertEqual(
                f'reported nested as unknown ({item.words})', str(found)
            )

    def test_unknown_is_taken_as_the_policy_says_of_unreported_hosts(self):
        nested = dataclasses.replace(POLICY_KVM, capability='nested')
        for ignorance, item, accepted in (
            (WhenUnknown.INFER, NEEDS_NESTED, False),
            (WhenUnknown.INFER, nested, True),
            (WhenUnknown.ACCEPT, BARS_NESTED, True),
            (WhenUnknown.REJECT, nested, False),
        ):
            policy = Policy(unreported=ignorance)
            self.assertEqual(
                [] if accepted else [Cause.UNKNOWN],
                causes([item], self.HOST, policy),
                (ignorance, item),
            )
        # It is not Placement that leaves the doubt.
        silent = Policy(unreachable=WhenUnknown.ACCEPT)
        self.assertEqual(
            [Cause.UNKNOWN], causes([NEEDS_NESTED], self.HOST, silent)
        )


class ArchitectureTest(testtools.TestCase):
    def test_host_is_rejected_when_it_runs_others_only(self):
        host = reported('kvm', native=frozenset({'x86_64', 'i686'}))
        self.assertEqual(
            [Cause.ARCHITECTURE], causes([], host, architecture='aarch64')
        )
        self.assertEqual([], causes([], host, architecture='i686'))

    def test_host_is_accepted_when_nothing_is_known_of_its_guests(self):
        for native in (None, frozenset()):
            host = reported('kvm', native=native)
            self.assertEqual([], causes([], host, architecture='aarch64'))


class NoKvmTest(testtools.TestCase):
    def test_silence_of_placement_is_not_the_host_s(self):
        """Nobody reports from a host without KVM."""
        host = unreported('nested', kvm_host=False)
        for unreachable, found in (
            (WhenUnknown.ACCEPT, []),
            (WhenUnknown.REJECT, [Cause.NO_KNOWLEDGE]),
        ):
            policy = Policy(
                unreachable=unreachable,
                unreported=(
                    WhenUnknown.ACCEPT
                    if unreachable is WhenUnknown.REJECT
                    else WhenUnknown.REJECT
                ),
            )
            for item in (NEEDS_NESTED, BARS_NESTED):
                self.assertEqual(found, causes([item], host, policy))


class ReservedTest(testtools.TestCase):
    POLICY = Policy(reserved=frozenset({'nested', 'tdx'}))

    def test_host_is_kept_when_guest_asks_for_none_of_it(self):
        self.assertEqual(
            [Cause.RESERVED],
            causes([POLICY_KVM], reported('kvm', 'nested'), self.POLICY),
        )

    def test_host_is_given_when_guest_asks_for_some_of_it(self):
        host = reported('kvm', 'nested', 'tdx')
        self.assertEqual([], causes([NEEDS_NESTED], host, self.POLICY))
        self.assertEqual([], causes([LIKES_NESTED], host, self.POLICY))

    def test_host_is_kept_when_guest_asks_for_something_else(self):
        host = reported('kvm', 'tdx')
        self.assertEqual(
            [Cause.RESERVED], causes([LIKES_NESTED], host, self.POLICY)
        )

    def test_who_asks_for_more_of_the_same_asks_for_it(self):
        for asked, kept in (
            ('sev_es', 'sev'),
            ('sev_snp', 'sev'),
            ('sev_snp', 'sev_es'),
            ('nested_slat', 'nested'),
        ):
            policy = Policy(reserved=frozenset({kept}))
            needs = Requirement(
                asked, Demand.REQUIRED, Origin.FLAVOR, asked, explicit=False
            )
            host = reported('kvm', asked, kept)
            self.assertEqual([], causes([needs], host, policy))
        needs = Requirement('sev', Demand.REQUIRED, Origin.FLAVOR, 'sev')
        policy = Policy(reserved=frozenset({'sev_es'}))
        self.assertEqual(
            [Cause.RESERVED],
            causes([needs], reported('kvm', 'sev', 'sev_es'), policy),
        )

    def test_forbidding_is_not_asking(self):
        found = causes([BARS_NESTED], reported('nested'), self.POLICY)
        self.assertEqual([Cause.HAS_FORBIDDEN, Cause.RESERVED], found)

    def test_host_is_not_kept_when_it_has_nothing_reserved(self):
        self.assertEqual([], causes([], reported('kvm'), self.POLICY))

    def test_guest_stays_when_it_is_there_already(self):
        host = reported('kvm', 'nested')
        self.assertEqual([], causes([], host, self.POLICY, in_place=True))
