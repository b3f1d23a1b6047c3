# SPDX-License-Identifier: Apache-2.0
"""The tables of the documentation, told once more: slowly and obviously.

Shares no code with what it checks, the names of capabilities apart, and
remembers nothing. See doc/source/scheduling.rst.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hvfilter.model import catalogue

ARM_KNOWS_NOT = {
    key
    for key, capability in catalogue.BY_KEY.items()
    if catalogue.Arch.ARM64 not in capability.archs
}
X86_KNOWS_NOT = {'vti'}
AMD_ONLY = {
    'amdv',
    'npt',
    'avic',
    'x2avic',
    'vgif',
    'vls',
    'vnmi',
    'lbrv',
    'nrips',
    'sev',
    'sev_es',
    'sev_snp',
}
INTEL_ONLY = {
    'vtx',
    'ept',
    'unrestricted_guest',
    'vpid',
    'apicv',
    'posted_interrupts',
    'shadow_vmcs',
    'pml',
    'mbec',
    'tdx',
}
NEEDS_KVM = {'kvm', 'nested', 'nested_slat', 'sev', 'sev_es', 'sev_snp', 'tdx'}


@dataclasses.dataclass
class Host:
    """One host of a random fleet; ``has`` None: it never reported."""

    name: str
    reported: bool
    has: set[str]
    hypervisor: Any
    cpu_info: Any
    guests: Any
    aggregates: list[dict[str, str]]
    uuid: bool = True


@dataclasses.dataclass
class Request:
    """What a flavor and an image say; image None: there is none."""

    specs: dict[str, str]
    image: dict[str, str] | None
    rebuild: bool


@dataclasses.dataclass
class Options:
    """[hvfilter] of nova.conf."""

    required: list[str]
    reserved: list[str]
    unreported: str
    unreachable: str
    mode: str
    scarce: list[str] = dataclasses.field(default_factory=list)
    preferred_multiplier: float = 1.0
    scarce_multiplier: float = 1.0


def passes(  # noqa: C901  (a table, row after row)
    host: Host, request: Request, options: Options, placement_known: bool
) -> bool:
    """Whether the host passes."""
    options = for_aggregates(options, host.aggregates)
    if options.mode == 'permissive':
        return True
    asked, nonsense = everything_asked(request, options)
    if nonsense:
        return False
    kvm_host = not isinstance(host.hypervisor, str) or (
        host.hypervisor in ('', 'QEMU', 'KVM', 'qemu')
    )
    has = host.has if placement_known and host.uuid else set()
    reported = host.reported and placement_known and host.uuid
    denied = ruled_out(host) if reported and kvm_host else set()
    for capability, demand, explicit in asked:
        if demand == 'preferred':
            continue
        if not kvm_host and not explicit:
            continue
        answer = knows(host, capability, has, reported, kvm_host)
        if not placement_known:
            answer = None
        if answer is None:
            what = (
                options.unreported if placement_known else options.unreachable
            )
            if what == 'accept':
                continue
            if what == 'reject':
                return False
            if capability in ruled_out(host):
                answer = False
            elif explicit:
                return False
            else:
                continue
        if demand == 'required' and (answer is False or capability in denied):
            return False
        if demand == 'forbidden' and answer is True:
            return False
    architecture = (request.image or {}).get('hw_architecture')
    needs_kvm = ('kvm', 'required') in {(a[0], a[1]) for a in asked}
    if architecture and needs_kvm and kvm_host:
        offered = with_kvm(host)
        if offered and architecture not in offered:
            return False
    if not request.rebuild:
        kept = has & set(options.reserved)
        wanted = {a[0] for a in asked if a[1] != 'forbidden'}
        if kept and not (kept & wanted):
            return False
    return True


def weights(
    fleet: list[Host],
    request: Request,
    options: Options,
    placement_known: bool,
) -> list[float]:
    """What the weigher makes of each host."""
    had = [h.has if placement_known and h.uuid else set() for h in fleet]
    found = []
    for host, has in zip(fleet, had, strict=True):
        here = for_aggregates(options, host.aggregates)
        asked, _ = everything_asked(request, here)
        preferred = {a[0] for a in asked if a[1] == 'preferred'}
        others = {a[0] for a in asked if a[1] != 'forbidden'}
        weight = 0.0
        if preferred:
            weight += (
                multiplier(
                    host, 'preferred_weight', options.preferred_multiplier
                )
                * len(preferred & has)
                / len(preferred)
            )
        wasted = [0.0]
        for key in has & ({*here.reserved} | {*options.scarce}) - others:
            lack = [each for each in had if key not in each]
            wasted.append(len(lack) / len(fleet))
        weight -= max(wasted) * multiplier(
            host, 'scarce_weight', options.scarce_multiplier
        )
        found.append(weight)
    return found


def multiplier(host: Host, name: str, configured: float) -> float:
    """The least of what aggregates say, as far as it makes sense."""
    said = []
    for metadata in host.aggregates:
        try:
            said.append(float(metadata[f'{name}_multiplier']))
        except (KeyError, ValueError):
            continue
    return min(said, default=configured)


def knows(
    host: Host, capability: str, has: set[str], reported: bool, kvm_host: bool
) -> bool | None:
    """True, False, or None for nobody knows, going by traits alone."""
    if capability in has:
        return True
    if reported or not kvm_host:
        return False
    return None


def everything_asked(  # noqa: C901  (a table, row after row)
    request: Request, options: Options
) -> tuple[list[tuple[str, str, bool]], bool]:
    """Capability, demand, whether explicit; and whether some is nonsense."""
    image = request.image or {}
    asked, nonsense = [], False
    if not request.rebuild:
        for name, value in request.specs.items():
            if name.startswith('hvfilter:'):
                key, demands = name[9:], ('required', 'forbidden', 'preferred')
            elif name.startswith('trait:CUSTOM_HVFILTER_'):
                key, demands = name[22:].lower(), ('required', 'forbidden')
                if key == 'reported':
                    continue
            else:
                continue
            value = value.strip().lower()
            if key in catalogue.BY_KEY and value in demands:
                asked.append((key, value, True))
            else:
                nonsense = True
    for name, value in image.items():
        if name.startswith('trait:CUSTOM_HVFILTER_') and value == 'required':
            key = name[22:].lower()
            if key in catalogue.BY_KEY:
                asked.append((key, 'required', True))
            elif key != 'reported':
                nonsense = True
    kind = image.get('img_hv_type')
    if kind == 'kvm':
        asked.append(('kvm', 'required', False))
    other = kind not in (None, 'kvm') or 'hw_emulation_architecture' in image
    if not request.rebuild and not other:
        said = {a[0] for a in asked if a[1] != 'preferred'}
        for key in options.required:
            if key not in said:
                asked.append((key, 'required', False))
    return asked, nonsense


def with_kvm(host: Host) -> set[str] | None:
    """Architectures of guests under KVM; None when libvirt's word is none."""
    if not isinstance(host.guests, list):
        return None
    triples = [
        each
        for each in host.guests
        if isinstance(each, (list, tuple)) and len(each) == 3
    ]
    if not triples:
        return None
    return {each[0] for each in triples if each[1] == 'kvm'}


def ruled_out(host: Host) -> set[str]:
    """What Nova's own host state says cannot be."""
    gone = set()
    try:
        cpu = json.loads(host.cpu_info)
    except (TypeError, ValueError):
        cpu = None
    if isinstance(cpu, dict):
        if cpu.get('arch') == 'aarch64':
            gone |= ARM_KNOWS_NOT
        if cpu.get('arch') == 'x86_64':
            gone |= X86_KNOWS_NOT
        if cpu.get('vendor') == 'Intel':
            gone |= AMD_ONLY
        if cpu.get('vendor') in ('AMD', 'Hygon'):
            gone |= INTEL_ONLY
        features = cpu.get('features')
        if isinstance(features, list) and 'hypervisor' in features:
            gone |= {'bare_metal'}
    if with_kvm(host) == set():
        gone |= NEEDS_KVM
    return gone


def for_aggregates(
    options: Options, aggregates: list[dict[str, str]]
) -> Options:
    """The more careful word of all aggregates goes before the option."""
    found = dataclasses.replace(options)
    order = {
        'unreported': ['reject', 'infer', 'accept'],
        'placement_unreachable': ['reject', 'infer', 'accept'],
        'mode': ['enforcing', 'permissive'],
    }
    for name, careful_first in order.items():
        words = {a[name] for a in aggregates if a.get(name) in careful_first}
        for word in careful_first:
            if word in words:
                field = name.replace('placement_', '')
                setattr(found, field, word)
                break
    for name in ('required', 'reserved'):
        lists = [
            [key.strip() for key in a[name].split(',') if key.strip()]
            for a in aggregates
            if name in a
        ]
        sound = [
            keys for keys in lists if all(k in catalogue.BY_KEY for k in keys)
        ]
        if sound:
            setattr(found, name, [key for keys in sound for key in keys])
    return found
