# SPDX-License-Identifier: Apache-2.0
"""Can one host have all of these capabilities at all."""

from __future__ import annotations

from collections.abc import Collection

from hvfilter.rules import infer

_KINDS = (
    ('x86_64', 'Intel'),
    ('x86_64', 'AMD'),
    ('aarch64', ''),
    ('s390x', ''),
    ('ppc64le', ''),
    ('riscv64', ''),
    ('loongarch64', ''),
    ('ia64', ''),
)
"""Architecture and libvirt's vendor name. Makers of x86 processors that are
not here have what one of these two has."""

_NEVER_TOGETHER = (frozenset({'kvm', 'tcg'}),)
"""nova-compute has one ``virt_type``."""


def together(keys: Collection[str]) -> bool:
    """Whether there are hosts with all of these keys of the catalogue."""
    wanted = frozenset(keys)
    if any(pair <= wanted for pair in _NEVER_TOGETHER):
        return False
    return any(
        not wanted & infer.absent(infer.HostFacts(machine=arch, vendor=vendor))
        for arch, vendor in _KINDS
    )
