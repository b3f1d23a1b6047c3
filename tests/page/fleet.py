# SPDX-License-Identifier: Apache-2.0
"""Clouds to show: hosts of a few kinds, in zones and aggregates.

All of it follows from the number of hosts; nothing is random.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from hvfilter.model import catalogue
from hvfilter.osc.compute import Aggregate, Hypervisor
from hvfilter.osc.fleet import Host
from hvfilter.osc.report_page.content import About, document
from hvfilter.placement.capacity import Free
from hvfilter.rules import capability_state

MADE_AT = 1_795_000_000.0
"""The same in every picture."""

TITLE = 'KVM capabilities of cloud-west'

_COMMON = ('kvm', 'hvm', 'slat', 'nested', 'nested_slat', 'bare_metal')
_INTEL = (
    *_COMMON,
    'vtx',
    'ept',
    'vpid',
    'unrestricted_guest',
    'apicv',
    'posted_interrupts',
    'shadow_vmcs',
    'ept_ad',
    'pml',
    'tsc_scaling',
)
_AMD = (
    *_COMMON,
    'amdv',
    'npt',
    'vgif',
    'vls',
    'lbrv',
    'nrips',
    'avic',
    'tsc_scaling',
)
_IOMMU = ('iommu', 'interrupt_remapping')


class Model(NamedTuple):
    """A kind of host.

    :ivar weight: of how many hosts in a hundred
    """

    weight: int
    vendor: str
    machine: str
    has: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    report: str = 'valid'
    flags: tuple[str, ...] = ()
    hypervisor: str = 'QEMU'


def _without(keys: tuple[str, ...], *others: str) -> tuple[str, ...]:
    return tuple(key for key in keys if key not in others)


_VMX, _SVM = ('vmx',), ('svm',)
_NEITHER = ('nested', 'nested_slat')

MODELS = (
    Model(
        28, 'Intel', 'x86_64', (*_INTEL, *_IOMMU, 'mbec'), (), 'valid', _VMX
    ),
    Model(
        20,
        'AMD',
        'x86_64',
        (*_AMD, *_IOMMU, 'x2avic', 'vnmi', 'sev', 'sev_es', 'sev_snp'),
        flags=_SVM,
    ),
    Model(14, 'Intel', 'x86_64', _without(_INTEL, *_NEITHER), flags=_VMX),
    Model(
        10, 'AMD', 'x86_64', (*_AMD, 'iommu'), ('sev', 'sev_es'), flags=_SVM
    ),
    Model(7, 'Intel', 'x86_64', (*_INTEL, *_IOMMU, 'mbec', 'tdx'), flags=_VMX),
    Model(
        6,
        '',
        'aarch64',
        ('kvm', 'hvm', 'slat', 'iommu', 'interrupt_remapping', 'bare_metal'),
    ),
    Model(5, 'Intel', 'x86_64', (), report='unreported', flags=_VMX),
    Model(
        4, 'Intel', 'x86_64', (*_INTEL, *_IOMMU), report='stale', flags=_VMX
    ),
    Model(3, 'Intel', 'x86_64', ('bare_metal', 'tcg'), flags=_VMX),
    Model(1, 'IBM', 's390x', ('kvm', 'hvm', 'slat', 'secure_execution')),
    Model(1, 'Intel', 'x86_64', (*_INTEL, 'amdv'), flags=_VMX),
    Model(1, '', '', (), hypervisor='VMware vCenter Server'),
)

ZONES = ('az-east', 'az-north', 'az-west')
AGGREGATES = ('general', 'confidential', 'gpu', 'edge', 'licensed')


def _models(count: int) -> Iterator[Model]:
    """So many, each as often as its weight says, spread evenly."""
    share = dict.fromkeys(MODELS, 0.0)
    for _ in range(count):
        for model in MODELS:
            share[model] += model.weight
        most = max(share, key=lambda model: share[model])
        share[most] -= sum(model.weight for model in MODELS)
        yield most


def _traits(model: Model) -> frozenset[str]:
    if model.report == 'unreported' or not model.has:
        return frozenset()
    rows = catalogue.BY_KEY
    return frozenset(
        [
            catalogue.REPORTED_TRAIT,
            *(rows[key].trait for key in model.has),
            *(rows[key].unknown_trait for key in model.unknown),
        ]
    )


def aggregate(name: str, zone: str = '') -> Aggregate:
    """One of them; its uuid follows from its name."""
    made = uuid.uuid5(uuid.NAMESPACE_DNS, name)
    return Aggregate(name, str(made), zone, frozenset())


def host(number: int, model: Model, name: str = '') -> Host:
    """One of a kind; its place follows from its number."""
    zone = ZONES[number * 7 // 5 % len(ZONES)]
    rack = f'{zone.removeprefix("az-")}-r{number // 40 % 25 + 1:02}'
    name = name or f'cmp-{rack}-{number + 1:04}.cloud.example'
    made = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    info: dict[str, Any] = {'features': list(model.flags)}
    if model.machine:
        info['arch'] = model.machine
    if model.vendor:
        info['vendor'] = model.vendor
    hypervisor = Hypervisor(
        made,
        name,
        name,
        model.hypervisor,
        number % 61 != 5,
        number % 23 != 11,
        json.dumps(info),
    )
    names = _traits(model)
    week = '2026W41 or earlier' if model.report == 'stale' else ''
    aggregates = [aggregate(zone, zone)]
    aggregates += [
        aggregate(each)
        for place, each in enumerate(AGGREGATES)
        if number % (place * 3 + 2) == 0
    ]
    return Host(
        made,
        name,
        capability_state.advertised(names, week, hypervisor.facts),
        names,
        hypervisor,
        zone,
        tuple(aggregates),
    )


def free(number: int) -> Free:
    """What is left on a host of this number."""
    vcpus = 16 + number * 37 % 180
    return Free({'VCPU': (vcpus,), 'MEMORY_MB': (vcpus * 4096,)}, frozenset())


def hosts(count: int) -> list[Host]:
    """So many, in the order of their names."""
    made = [host(*each) for each in enumerate(_models(count))]
    return sorted(made, key=lambda each: each.name)


def rooms(count: int) -> dict[str, Free]:
    """What Placement says is free on them; some are full."""
    made = [host(*each) for each in enumerate(_models(count))]
    return {
        each.uuid: free(number)
        for number, each in enumerate(made)
        if number % 29
    }


def content(count: int) -> dict[str, Any]:
    """What the page of a cloud of so many hosts holds."""
    about = About(TITLE, MADE_AT, '1.0.0', 2)
    return document(hosts(count), rooms(count), about)


def kinds(count: int) -> dict[str, Any]:
    """As :func:`content`, with each host of a kind of its own."""
    usual = content(count)
    first = usual['kinds'][0]
    keys = len(first['states'])
    usual['kinds'] = [
        {
            **first,
            'states': ''.join(
                '01'[number >> place & 1] for place in range(keys)
            ),
        }
        for number in range(count)
    ]
    usual['hosts']['kind'] = list(range(count))
    return usual
