# SPDX-License-Identifier: Apache-2.0
"""What Nova asks Placement for on behalf of a flavor.

Source: Nova ``nova/scheduler/utils.py`` (``ResourceRequest.from_request_spec``
and ``_translate_vcpus_to_pcpus``), ``nova/objects/request_spec.py``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

_MIB_A_GIB = 1024
_NUMBERED = re.compile(r'(?:resources|trait|member_of|in_tree)[A-Za-z0-9_-]+:')
_COUNTED_ELSEWHERE = (
    ('NUMA', re.compile(r'hw:(?:numa|mem_page_size|cpu_thread|pci_numa)')),
    ('PCI devices', re.compile(r'pci_passthrough:|hw:vif')),
    ('encrypted memory', re.compile(r'hw:mem_encryption\b')),
    (
        'host aggregate metadata',
        re.compile(r'aggregate_instance_extra_specs:'),
    ),
)


@dataclasses.dataclass(frozen=True)
class ResourceRequest:
    """What a flavor takes.

    :ivar resources: resource class to amount, none of them 0
    :ivar required: traits
    :ivar forbidden: likewise
    :ivar uncounted: what of the flavor this leaves out, in a few words each
    """

    resources: Mapping[str, int]
    required: frozenset[str]
    forbidden: frozenset[str]
    uncounted: tuple[str, ...]


def request(
    vcpus: int, memory_mb: int, disk_gb: int, specs: Mapping[str, str]
) -> ResourceRequest:
    """The unnumbered request group of a flavor.

    :param disk_gb: with ephemeral and swap, as from :func:`disk`
    """
    processor = 'PCPU' if specs.get('hw:cpu_policy') == 'dedicated' else 'VCPU'
    resources = {
        processor: vcpus,
        'MEMORY_MB': memory_mb,
        'DISK_GB': disk_gb,
    }
    traits: dict[str, set[str]] = {'required': set(), 'forbidden': set()}
    for name, value in specs.items():
        scope, _, rest = name.partition(':')
        if scope == 'resources' and value.isdecimal():
            resources[rest] = int(value)
        elif scope == 'trait' and value in traits:
            traits[value].add(rest)
    return ResourceRequest(
        {name: amount for name, amount in resources.items() if amount},
        frozenset(traits['required']),
        frozenset(traits['forbidden']),
        _uncounted(specs),
    )


def disk(root_gb: int, ephemeral_gb: int, swap_mb: int) -> int:
    """DISK_GB of a server that does not boot from a volume."""
    return root_gb + ephemeral_gb + -(-swap_mb // _MIB_A_GIB)


def _uncounted(specs: Mapping[str, str]) -> tuple[str, ...]:
    uncounted = ['image properties', 'server groups']
    for words, pattern in _COUNTED_ELSEWHERE:
        if any(pattern.match(name) for name in specs):
            uncounted.append(words)
    if 'NUMA' not in uncounted:
        uncounted.append('NUMA')
    if any(_NUMBERED.match(name) for name in specs):
        uncounted.append('numbered resource groups')
    return tuple(uncounted)
