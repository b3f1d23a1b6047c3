# SPDX-License-Identifier: Apache-2.0
"""Filter and weigher against a slow and obvious telling of the same tables.

``HVFILTER_RANDOM_REQUESTS`` says how many requests are tried (100,000 take a
minute or two), ``HVFILTER_RANDOM_SEED`` where to begin.
"""

import dataclasses
import json
import os
import random

from nova import objects, weights

from hvfilter.model import catalogue
from hvfilter.scheduler import policies, worker_state
from hvfilter.scheduler.weighers import hardware_virt
from tests.unit.scheduler import base, reference
from tests.unit.scheduler.base import aggregate, host, spec

# Nova drops properties that it does not know, as this one before 32.
IMAGES_HAVE_MODELS = 'hw_mem_encryption_model' in objects.ImageMetaProps.fields

REQUESTS = int(os.environ.get('HVFILTER_RANDOM_REQUESTS', '2000'))
SEED = int(os.environ.get('HVFILTER_RANDOM_SEED', '1'))

KEYS = ['kvm', 'nested', 'slat', 'vtx', 'amdv', 'bare_metal', 'tdx', 'vti']
KEYS += ['tcg', 'sev', 'sev_es', 'nested_slat']
NAMES = [f'hvfilter:{key}' for key in KEYS]
NAMES += [f'trait:CUSTOM_HVFILTER_{key.upper()}' for key in KEYS]
NAMES += [
    'trait:CUSTOM_HVFILTER_REPORTED',
    'trait:HW_CPU_X86_VMX',
    'trait:CUSTOM_HVFILTER_OF_A_NEWER_RELEASE',
    'trait:HW_CPU_X86_AMD_SEV_ES',
    'trait_ENC:HW_CPU_X86_INTEL_TDX',
    'hw:cpu_policy',
    'hvfilterish',
]
ODD_NAMES = ['hvfilter:', 'hvfilter:nestd']
ODD_NAMES += sorted(reference.LOOKS_LIKE_OURS)
MODELS = sorted(reference.MODELS)
VALUES = ['required'] * 4 + ['forbidden'] * 2 + ['preferred', ' Required ']
HYPERVISORS = ['QEMU'] * 12 + ['ironic', 'LXC', 'VMware vCenter Server']
HYPERVISORS += [None, '', 5]
KVM = [['x86_64', 'kvm', 'hvm'], ['i686', 'kvm', 'hvm']]
TCG = [['x86_64', 'qemu', 'hvm'], ['aarch64', 'qemu', 'hvm']]
GUESTS = [[*KVM, *TCG]] * 6 + [TCG, TCG, [], None, 'kvm', [None, ['kvm']]]
GUESTS += [[['aarch64', 'kvm', 'hvm'], *TCG], KVM]
CPUS = [
    json.dumps({'arch': arch, 'vendor': vendor, 'features': features})
    for arch in ('x86_64', 'aarch64')
    for vendor in ('Intel', 'AMD', 'Hygon', None)
    for features in (['vmx'], ['svm', 'hypervisor'], None)
]
CPUS += [None, '', '{', '[]', '{"features": "hypervisor"}']
IGNORANCE = ['infer', 'infer', 'accept', 'reject']
WORDS = {
    'required': ['', 'kvm', 'KVM, nested', 'slat', 'nonsense', 'kvm,nonsense'],
    'reserved': ['', 'nested', 'tdx,slat', 'nonsense'],
    'unreported': [*IGNORANCE, 'perhaps'],
    'placement_unreachable': [*IGNORANCE, 'perhaps'],
    'mode': ['enforcing', 'permissive', 'lax'],
    'preferred_weight_multiplier': ['2.5', '0', '-1', 'much'],
    'scarce_weight_multiplier': ['3.0', '0.5', ''],
    'other': ['x'],
}


class Dice:
    """Random requests, fleets and options."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, things: list, most: int) -> list:
        count = self.random.randint(0, min(most, len(things)))
        return self.random.sample(things, count)

    def request(self) -> reference.Request:
        dice = self.random
        specs = {n: dice.choice(VALUES) for n in self.some(NAMES, 3)}
        if dice.random() < 0.05:
            specs[dice.choice(ODD_NAMES)] = 'required'
        if dice.random() < 0.05:
            specs[dice.choice(NAMES)] = dice.choice(['', 'yes', 'preferred'])
        if dice.random() < 0.1:
            specs['hw:mem_encryption'] = dice.choice(['true', 'yes', 'no'])
        if dice.random() < 0.1:
            specs['hw:mem_encryption_model'] = dice.choice(MODELS)
        image = self.image() if dice.random() < 0.7 else None
        return reference.Request(specs, image, dice.random() < 0.1)

    def image(self) -> dict[str, str]:
        dice = self.random
        image = {}
        for name in self.some(NAMES[len(KEYS) :], 2):
            if name.startswith('trait:'):
                image[name] = dice.choice(['required', 'forbidden'])
        if dice.random() < 0.05:
            image['hw_mem_encryption'] = dice.choice(['True', 'False'])
        if dice.random() < 0.05 and IMAGES_HAVE_MODELS:
            image['hw_mem_encryption_model'] = dice.choice(MODELS)
        if dice.random() < 0.4:
            image['img_hv_type'] = dice.choice(['kvm', 'qemu', 'qemu', 'lxc'])
        if dice.random() < 0.2:
            image['hw_architecture'] = dice.choice(
                ['x86_64', 'aarch64', 'i686']
            )
        if dice.random() < 0.1:
            image['hw_emulation_architecture'] = dice.choice(
                ['x86_64', 'aarch64']
            )
        return image

    def wishes(self) -> reference.Request:
        """A request for a weigher, which a guest that stays never meets."""
        request = self.request()
        for name in request.specs:
            if name.startswith('hvfilter:') and self.random.random() < 0.7:
                request.specs[name] = 'preferred'
        return dataclasses.replace(request, rebuild=False)

    def options(self) -> reference.Options:
        dice = self.random
        return reference.Options(
            dice.choice([['kvm'], ['kvm'], [], ['kvm', 'nested'], ['slat']]),
            dice.choice([[], [], ['nested'], ['tdx', 'slat']]),
            dice.choice(IGNORANCE),
            dice.choice(IGNORANCE),
            dice.choice(['enforcing'] * 5 + ['permissive']),
            dice.choice([[], ['nested'], ['nested', 'tdx', 'vtx']]),
            dice.choice([1.0, 1.0, 2.0]),
            dice.choice([1.0, 0.0, 0.25]),
        )

    def metadata(self) -> dict[str, str]:
        return {
            name: self.random.choice(WORDS[name])
            for name in self.some(list(WORDS), 2)
        }

    def host(self, number: int) -> reference.Host:
        dice = self.random
        reported = dice.random() < 0.7
        has = set(self.some(KEYS, 5)) if reported else set(self.some(KEYS, 1))
        doubts = set()
        if dice.random() < 0.4:
            doubts = set(self.some(KEYS, 3))
        aggregates = []
        if dice.random() < 0.3:
            aggregates = [self.metadata() for _ in range(dice.randint(1, 4))]
        return reference.Host(
            f'host{number}',
            reported,
            has,
            dice.choice(HYPERVISORS),
            dice.choice(CPUS),
            dice.choice(GUESTS),
            aggregates,
            dice.random() < 0.95,
            doubts,
        )

    def fleet(self) -> list[reference.Host]:
        return [self.host(n) for n in range(self.random.randint(1, 8))]


def state_of(each: reference.Host) -> object:
    return host(
        each.name,
        uuid='' if each.uuid else None,
        hypervisor=each.hypervisor,
        guests=each.guests,
        cpu_info=each.cpu_info,
        aggregates=[
            aggregate(f'{each.name}-{number}', **metadata)
            for number, metadata in enumerate(each.aggregates)
        ],
    )


class ReferenceTest(base.SchedulerTestCase):
    """One filter meets changing fleets, so that what it remembers counts."""

    def settle(self, dice: Dice) -> tuple[list[reference.Host], bool]:
        """A new fleet, told of by Placement, or by nobody."""
        fleet = dice.fleet()
        for held in self.fleet.traits.values():
            held.clear()
        for each in fleet:
            if each.uuid:
                doubts = [f'{key}_unknown' for key in each.doubts]
                marker = ['reported'] * each.reported
                for key in (*each.has, *marker, *doubts):
                    self.fleet[key].add(base.uuid_of(each.name))
        known = dice.random.random() < 0.85
        if known:
            self.fleet.rise()
            self.clock.pass_s(31)
        else:
            self.fleet.fall()
            self.clock.pass_s(1000)
        return fleet, known

    def fall_midway(self, dice: Dice) -> None:
        """Placement answers of some traits, and then of no more."""
        self.clock.pass_s(1000)
        some = [catalogue.BY_KEY[key] for key in dice.some(KEYS, len(KEYS))]
        worker_state.current().trait_cache.get(
            {each.trait for each in some}
            | {each.unknown_trait for each in dice.some(some, len(some))},
            policies.times(),
        )
        self.fleet.fall()

    def unanswered(self) -> tuple[frozenset[str], frozenset[str]]:
        """Of what Placement did not answer, as the reference takes it."""
        holders = (
            worker_state.current().trait_cache.peek().uuids_by_trait or {}
        )
        rows = catalogue.CATALOGUE
        return (
            frozenset(row.key for row in rows if row.trait not in holders),
            frozenset(
                row.key for row in rows if row.unknown_trait not in holders
            ),
        )

    def settings(self, dice: Dice) -> reference.Options:
        """New ones, which are in force."""
        options = dice.options()
        self.flags(
            required=options.required,
            reserved=options.reserved,
            unreported=options.unreported,
            placement_unreachable=options.unreachable,
            mode=options.mode,
            scarce=options.scarce,
            preferred_weight_multiplier=options.preferred_multiplier,
            scarce_weight_multiplier=options.scarce_multiplier,
        )
        # These aggregates never said anything else.
        policies.start()
        return options

    def test_filter_and_reference_agree(self) -> None:
        dice = Dice(SEED)
        tried = partial = 0
        while tried < REQUESTS:
            fleet, known = self.settle(dice)
            states = [state_of(each) for each in fleet]
            options = self.settings(dice)
            midway = known and dice.random.random() < 0.3
            if midway:
                self.fall_midway(dice)
            for request in [dice.request() for _ in range(5)] * 2:
                tried += 1
                found = self.filter.filter_all(
                    states,
                    spec(
                        request.specs, request.image, rebuild=request.rebuild
                    ),
                )
                silent = self.unanswered() if midway else ()
                partial += bool(midway and silent[0])
                expected = [
                    each.name
                    for each in fleet
                    if reference.passes(each, request, options, known, *silent)
                ]
                self.assertEqual(
                    expected,
                    [state.host for state in found],
                    (request, options, known, silent, fleet),
                )
        self.assertNotIn('errors', self.counts)
        self.assertGreater(partial / tried, 0.1)
        # Neither all nor nothing passes.
        passed = self.counts['hosts_passed']
        judged = passed + self.counts['hosts_rejected']
        self.assertTrue(0.2 < passed / judged < 0.8, (passed, judged))

    def test_weigher_and_reference_agree(self) -> None:
        weigher = hardware_virt.HardwareVirtWeigher()
        dice = Dice(SEED)
        tried = 0
        seen: list[float] = []
        while tried < REQUESTS:
            fleet, known = self.settle(dice)
            states = [weights.WeighedObject(state_of(h), 0.0) for h in fleet]
            options = self.settings(dice)
            for request in [dice.wishes() for _ in range(5)] * 2:
                tried += 1
                found = weigher.weigh_objects(
                    states, spec(request.specs, request.image)
                )
                expected = reference.weights(fleet, request, options, known)
                self.assertEqual(
                    [round(weight, 9) for weight in expected],
                    [round(weight, 9) for weight in found],
                    (request, options, known, fleet),
                )
                seen += found
        self.assertNotIn('errors', self.counts)
        for some in (
            [weight for weight in seen if weight > 0],
            [weight for weight in seen if weight < 0],
        ):
            self.assertGreater(len(some) / len(seen), 0.03)
