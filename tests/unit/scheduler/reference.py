# SPDX-License-Identifier: Apache-2.0
"""The tables of the documentation, told once more: slowly and obviously.

Shares no code with what it checks, the catalogue of capabilities apart, and
remembers nothing. See doc/source/scheduling.rst.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from hvfilter.model import catalogue

ARM_KNOWS_NOT = {
    key
    for key, capability in catalogue.BY_KEY.items()
    if catalogue.Arch.ARM64 not in capability.archs
}
X86_KNOWS_NOT = {'vti'}
AMD_ONLY, INTEL_ONLY = (
    {
        key
        for key, capability in catalogue.BY_KEY.items()
        if capability.vendors == {vendor}
    }
    for vendor in (catalogue.Vendor.AMD, catalogue.Vendor.INTEL)
)
LOOKS_LIKE_OURS = {
    'HVFILTER:nested',
    ' hvfilter:nested',
    'hvfilter.nested',
    'trait: CUSTOM_HVFILTER_NESTED',
    'CUSTOM_HVFILTER_NESTED',
    'trait1:CUSTOM_HVFILTER_TDX',
}
NOVAS_TRAITS = {
    'HW_CPU_X86_AMD_SEV': 'sev',
    'HW_CPU_X86_AMD_SEV_ES': 'sev_es',
    'HW_CPU_X86_AMD_SEV_SNP': 'sev_snp',
    'HW_CPU_X86_INTEL_TDX': 'tdx',
}
MODELS = {
    'amd-sev': 'sev',
    'amd-sev-es': 'sev_es',
    'amd-sev-snp': 'sev_snp',
    'intel-tdx': 'tdx',
}
NEEDS_KVM = {'kvm', 'nested', 'nested_slat', 'sev', 'sev_es', 'sev_snp', 'tdx'}
NEEDS_KVM |= {'secure_execution'}


@dataclasses.dataclass
class Host:
    """One host of a random fleet; ``doubts`` are what it reported as not
    known."""

    name: str
    reported: bool
    has: set[str]
    hypervisor: Any
    cpu_info: Any
    guests: Any
    aggregates: list[dict[str, str]]
    uuid: bool = True
    doubts: set[str] = dataclasses.field(default_factory=set)


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
    host: Host,
    request: Request,
    options: Options,
    placement_known: bool,
    unanswered: frozenset[str] = frozenset(),
    undoubted: frozenset[str] = frozenset(),
) -> bool:
    """Whether the host passes.

    :param unanswered: capabilities of which Placement did not say who has them
    :param undoubted: those of which it did not say who reported them as
        unknown
    """
    options = for_aggregates(options, host.aggregates)
    if options.mode == 'permissive':
        return True
    asked, nonsense = everything_asked(request, options)
    if nonsense:
        return False
    kvm_host = not isinstance(host.hypervisor, str) or (
        host.hypervisor in ('', 'QEMU', 'KVM', 'qemu')
    )
    has = set()
    if placement_known and host.uuid:
        has = host.has - unanswered
    reported = host.reported and placement_known and host.uuid
    denied = ruled_out(host) if kvm_host else set()
    doubts = host.doubts if placement_known and host.uuid else set()

    def answer_on(capability: str) -> tuple[bool | None, str]:
        """Yes, no or None, and what the policy says of not knowing."""
        if not placement_known:
            answer, what = None, options.unreachable
        elif capability in has:
            return True, ''
        elif reported or not kvm_host:
            answer, what = False, ''
            if capability in unanswered | undoubted:
                answer, what = None, options.unreachable
            elif capability in doubts:
                answer, what = None, options.unreported
        else:
            answer, what = None, options.unreported
        if what == 'infer' and capability in ruled_out(host):
            answer = False
        return answer, what

    # What does Nova make of a guest that may be emulated?
    image = request.image or {}
    emulation = image.get('hw_emulation_architecture')
    emulated: bool | None = False
    tcg_what = ''
    if image.get('img_hv_type') == 'qemu' or emulation:
        emulated, tcg_what = answer_on('tcg')
        if emulated and 'tcg' in denied:
            emulated = False
        own = cpu_of(host).get('arch') or None
        others = {own} if isinstance(own, str) else with_kvm(host) or set()
        if emulation and others and emulation not in others:
            emulated = True

    for capability, demand, explicit, asker in asked:
        if demand == 'preferred':
            continue
        if not kvm_host and not explicit:
            continue
        if asker == 'policy' and emulated is True:
            continue
        answer, what = answer_on(capability)
        if answer and demand == 'required' and capability in denied:
            answer = False
        if answer is (demand == 'required'):
            continue
        if answer is not None and asker == 'policy' and emulated is None:
            answer, what = None, tcg_what
        if answer is not None:
            return False
        if what == 'reject' or (what == 'infer' and explicit):
            return False
    architecture = emulation or image.get('hw_architecture')
    asking = [a for a in asked if a[0] in NEEDS_KVM and a[1] == 'required']
    if architecture and asking and kvm_host:
        offered = with_kvm(host)
        if offered and architecture not in offered:
            if emulated is False:
                return False
            if any(
                a[2] if a[0] == 'kvm' else a[3] != 'policy' for a in asking
            ):
                return False
            if emulated is None and tcg_what == 'reject':
                return False
    if not request.rebuild:
        kept = has & set(options.reserved)
        wanted = and_lesser({a[0] for a in asked if a[1] != 'forbidden'})
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
        others = and_lesser({a[0] for a in asked if a[1] != 'forbidden'})
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
    """The least of what aggregates say, as far as that makes sense."""
    numbers = []
    for metadata in host.aggregates:
        try:
            number = float(metadata[f'{name}_multiplier'])
        except (KeyError, ValueError):
            continue
        if math.isfinite(number):
            numbers.append(number)
    return min(numbers, default=configured)


def everything_asked(  # noqa: C901  (a table, row after row)
    request: Request, options: Options
) -> tuple[list[tuple[str, str, bool, str]], bool]:
    """Capability, demand, whether explicit, asker; and whether some is
    nonsense."""
    image = request.image or {}
    asked, nonsense = [], False
    for name, value in request.specs.items():
        if name.startswith('hvfilter:'):
            key, demands = name[9:], ('required', 'forbidden', 'preferred')
        elif name.startswith('trait:CUSTOM_HVFILTER_'):
            key, demands = name[22:].lower(), ('required', 'forbidden')
            if key == 'reported':
                continue
            if key not in catalogue.BY_KEY:
                # One of a newer release; Placement sees to it.
                if value.strip().lower() not in demands:
                    nonsense = not request.rebuild or nonsense
                continue
        elif name in LOOKS_LIKE_OURS:
            nonsense = not request.rebuild or nonsense
            continue
        elif name.startswith('trait') and value.strip().lower() == 'required':
            named = NOVAS_TRAITS.get(name.partition(':')[2])
            if named:
                asked.append((named, 'required', False, 'flavor'))
            continue
        else:
            continue
        value = value.strip().lower()
        if key in catalogue.BY_KEY and value in demands:
            asked.append((key, value, True, 'flavor'))
        else:
            nonsense = not request.rebuild or nonsense
    for name, value in image.items():
        if name.startswith('trait:CUSTOM_HVFILTER_') and value == 'required':
            key = name[22:].lower()
            if key in catalogue.BY_KEY:
                asked.append((key, 'required', True, 'image'))
        elif name[6:] in NOVAS_TRAITS and value == 'required':
            asked.append((NOVAS_TRAITS[name[6:]], 'required', False, 'image'))
    model = image.get('hw_mem_encryption_model') or request.specs.get(
        'hw:mem_encryption_model', 'amd-sev'
    )
    if request.specs.get('hw:mem_encryption') in ('true', 'True', 'yes', '1'):
        asked.append((MODELS[model], 'required', False, 'flavor'))
    if image.get('hw_mem_encryption') in ('true', 'True', 'yes', '1'):
        asked.append((MODELS[model], 'required', False, 'image'))
    kind = image.get('img_hv_type')
    if kind == 'kvm':
        asked.append(('kvm', 'required', False, 'image'))
    if kind in (None, 'kvm', 'qemu'):
        said = {a[0] for a in asked if a[1] != 'preferred'}
        for key in options.required:
            if key not in said:
                asked.append((key, 'required', False, 'policy'))
    if request.rebuild:
        # The flavor was judged when the guest landed, as a KVM guest perhaps.
        again = set()
        if image.get('hw_emulation_architecture'):
            again = {(key, 'required') for key in NEEDS_KVM}
        asked = [a for a in asked if a[3] != 'flavor' or a[:2] in again]
    return asked, nonsense


def and_lesser(keys: set[str]) -> set[str]:
    """Who asks for SEV-SNP asks for SEV-ES and SEV, and so on."""
    found = set(keys)
    if 'sev_snp' in keys:
        found |= {'sev_es', 'sev'}
    if 'sev_es' in keys:
        found |= {'sev'}
    if 'nested_slat' in keys:
        found |= {'nested'}
    return found


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
    cpu = cpu_of(host)
    if cpu:
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
    if with_kvm(host) is not None and not any(
        each[1] == 'qemu'
        for each in host.guests
        if isinstance(each, (list, tuple)) and len(each) == 3
    ):
        gone |= {'tcg'}
    return gone


def cpu_of(host: Host) -> dict[str, Any]:
    """libvirt's word on the processor, if it makes sense."""
    try:
        cpu = json.loads(host.cpu_info)
    except (TypeError, ValueError):
        return {}
    return cpu if isinstance(cpu, dict) else {}


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
            [k.strip().lower() for k in a[name].split(',') if k.strip()]
            for a in aggregates
            if name in a
        ]
        sound = [
            keys for keys in lists if all(k in catalogue.BY_KEY for k in keys)
        ]
        if sound:
            setattr(found, name, [key for keys in sound for key in keys])
    return found
