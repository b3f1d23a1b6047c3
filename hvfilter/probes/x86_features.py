# SPDX-License-Identifier: Apache-2.0
"""The rows of the catalogue that x86 processors show, by kind."""

from __future__ import annotations

from collections.abc import Mapping

from hvfilter.model.catalogue import (
    BY_KEY,
    CATALOGUE,
    Capability,
    SvmFlag,
    VmxFlag,
)

SVM_LEAF = 0x8000000A

VMX_FLAGS: Mapping[str, VmxFlag] = {
    row.key: row.flag for row in CATALOGUE if isinstance(row.flag, VmxFlag)
}
SVM_FLAGS: Mapping[str, SvmFlag] = {
    row.key: flag
    for row in CATALOGUE
    for flag in (row.flag, row.svm_flag)
    if isinstance(flag, SvmFlag)
}
EITHER: Mapping[str, tuple[str, ...]] = {
    row.key: row.either for row in CATALOGUE if row.either
}
FEATURES: tuple[Capability, ...] = tuple(
    BY_KEY[key]
    for key in dict.fromkeys(('vtx', 'amdv', *VMX_FLAGS, *SVM_FLAGS, *EITHER))
)
"""All that registers and the flags of cpuinfo show."""


def of_module(module: str) -> tuple[str, ...]:
    """The features that the processors of one KVM module show by a form of
    their own."""
    own = {'kvm_intel': ('vtx', *VMX_FLAGS), 'kvm_amd': ('amdv', *SVM_FLAGS)}
    return own[module]


def name_of(module: str, key: str) -> str:
    """What a feature is called on the processors of a KVM module.

    :param module: '' where the processor's maker is not known
    """
    row = BY_KEY[key]
    forms = [BY_KEY[form] for form in row.either]
    own = [form for form in forms if form.module == module]
    return ' or '.join(form.name for form in own or forms) or row.name
