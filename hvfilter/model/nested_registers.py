# SPDX-License-Identifier: Apache-2.0
"""The registers that describe nested virtualization, and a trait of them.

What a guest sees of VMX is in the VMX capability MSRs, what it sees of SVM in
CPUID 8000000A:EDX. KVM refuses to restore a guest with more of VMX than it
offers itself (Linux arch/x86/kvm/vmx/nested.c, ``vmx_set_vmx_msr``), so hosts
publish what they offer:

* ``CUSTOM_HVFILTER_NESTED_SET_VMX_80D8100011E57ED0_8520000165_...``: the last
  two digits of each MSR's number, then its value; registers that are 0 are
  left out;
* ``CUSTOM_HVFILTER_NESTED_SET_SVM_10000021``: CPUID 8000000A:EDX.

Which of the MSRs count: KVM derives the others (0x481 to 0x484, 0x487 and
0x489) from these and from CPUID, and takes any value of 0x48A.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping

VMX_MSRS = range(0x480, 0x494)
"""The VMX capability MSRs, SDM vol. 3 app. A."""

RESTORED_MSRS = (0x480, 0x485, 0x486, 0x488, *range(0x48B, 0x494))
"""Those that KVM checks when a guest arrives."""

SVM_FEATURES = 0x8000000A
"""The CPUID leaf whose EDX has SVM's features, APM vol. 3 app. E.4.9."""

PREFIX = 'CUSTOM_HVFILTER_NESTED_SET_'

PATTERN = (
    PREFIX + r'(?:VMX(?:_[89][0-9A-F][1-9A-F][0-9A-F]{0,15}){1,13}'
    r'|SVM_(?:0|[1-9A-F][0-9A-F]{0,7}))'
)
"""What the trait names look like."""

_MOST_CHARACTERS = 255
"""Of a trait name: placement ``schemas/trait.py``."""

_NAME = re.compile(PATTERN + r'\Z')
_TEXT = re.compile(r'0x([0-9a-f]{1,8})=0x([0-9a-f]{1,16})')


class Kind(enum.Enum):
    """Whose virtualization extensions."""

    VMX = 'VMX'
    SVM = 'SVM'


@dataclasses.dataclass(frozen=True)
class Registers:
    """What guests see.

    :ivar values: number and value, in the order of the numbers, zeros left
        out: MSRs for VMX, of which one at least; :data:`SVM_FEATURES` for SVM
    """

    kind: Kind
    values: tuple[tuple[int, int], ...]

    @classmethod
    def vmx(cls, msrs: Mapping[int, int]) -> Registers | None:
        """From KVM's feature MSRs, others ignored; None if there is none."""
        values = tuple(
            (index, msrs[index])
            for index in RESTORED_MSRS
            if msrs.get(index, 0)
        )
        return cls(Kind.VMX, values) if values else None

    @classmethod
    def svm(cls, edx: int) -> Registers:
        """From CPUID 8000000A:EDX of a host that offers SVM to guests."""
        return cls(Kind.SVM, ((SVM_FEATURES, edx),) if edx else ())

    def __getitem__(self, number: int) -> int:
        """The value of a register, 0 where it is not listed."""
        return dict(self.values).get(number, 0)

    def __str__(self) -> str:
        """As evidence: ``0x480=0xd8100011e57ed0, 0x485=0x20000165``."""
        values = self.values or ((SVM_FEATURES, 0),)
        return ', '.join(f'{number:#x}={value:#x}' for number, value in values)

    @property
    def trait(self) -> str:
        """The name of the trait; '' if it would be too long for Placement."""
        if self.kind is Kind.SVM:
            return f'{PREFIX}SVM_{self[SVM_FEATURES]:X}'
        fields = (f'_{i & 0xFF:02X}{value:X}' for i, value in self.values)
        name = f'{PREFIX}VMX{"".join(fields)}'
        return name if len(name) <= _MOST_CHARACTERS else ''


def is_trait(name: str) -> bool:
    """Whether a trait name is of this form."""
    return bool(_NAME.match(name)) and len(name) <= _MOST_CHARACTERS


def parse_trait(name: str) -> Registers | None:
    """The registers of a trait name, None if hvfilter writes no such name."""
    if not is_trait(name):
        return None
    kind, *fields = name.removeprefix(PREFIX).split('_')
    if kind == Kind.SVM.value:
        return Registers.svm(int(fields[0], 16))
    registers = Registers.vmx(
        {0x400 | int(each[:2], 16): int(each[2:], 16) for each in fields}
    )
    # Out of order, twice, or a register that does not count.
    return (
        registers
        if registers is not None and registers.trait == name
        else None
    )


def parse_text(kind: Kind, text: str) -> Registers | None:
    """The registers of evidence, None if the text is none."""
    values = {}
    for part in text.split(', '):
        match = _TEXT.fullmatch(part)
        if match is None:
            return None
        values[int(match[1], 16)] = int(match[2], 16)
    if kind is Kind.VMX:
        return Registers.vmx(values)
    if values.keys() != {SVM_FEATURES}:
        return None
    return Registers.svm(values[SVM_FEATURES])
