# SPDX-License-Identifier: Apache-2.0
"""Whether one host can have all of several capabilities."""

from __future__ import annotations

from collections.abc import Collection

from hvfilter.rules import infer

_LACKING = tuple(
    infer.absent(infer.HostFacts(machine=machine, vendor=vendor))
    for machine, vendor in (
        ('x86_64', 'Intel'),
        ('x86_64', 'AMD'),
        ('aarch64', ''),
        ('s390x', ''),
        ('ppc64le', ''),
        ('riscv64', ''),
        ('loongarch64', ''),
        ('ia64', ''),
    )
)
"""What hosts of each kind cannot have. Makers of x86 processors that are not
here (Zhaoxin, Centaur) have what one of these two has."""

_NEVER_TOGETHER = (frozenset({'kvm', 'tcg'}),)
"""nova-compute has one ``virt_type``."""


def together(keys: Collection[str]) -> bool:
    """Whether there are hosts with all of these keys of the catalogue."""
    required = frozenset(keys)
    if any(pair <= required for pair in _NEVER_TOGETHER):
        return False
    return any(not required & lacking for lacking in _LACKING)
