# SPDX-License-Identifier: Apache-2.0
"""Features of libvirt's CPU map that are bits of a virtualization register.

``python -m tests.unit.model.libvirt_features x86_features.xml`` prints them as
``libvirt_features.txt`` holds them: name, register, bits. In the MSRs of
controls libvirt calls the high half, what may be 1, ``eax``.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator
from xml.etree import ElementTree

RECORDED = pathlib.Path(__file__).with_suffix('.txt')
"""Of libvirt-common 11.3.0-3 of Debian 13, src/cpu_map/x86_features.xml."""

INSTALLED = pathlib.Path('/usr/share/libvirt/cpu_map/x86_features.xml')

CONTROLS = (*range(0x481, 0x485), 0x48B, *range(0x48D, 0x491))
SVM = 0x8000000A

Feature = tuple[str, int, int]
"""Name, register, bits."""


def parse(xml: str) -> Iterator[Feature]:
    """All features of VMX capability MSRs and of SVM's CPUID leaf."""
    for feature in ElementTree.fromstring(xml).iter('feature'):
        name = feature.get('name', '')
        for where in feature:
            low, high = (
                int(where.get(half, '0'), 16) for half in ('eax', 'edx')
            )
            if where.tag == 'msr':
                index = int(where.get('index', ''), 16)
                bits = low << 32 if index in CONTROLS else high << 32 | low
                if 0x480 <= index <= 0x491:
                    yield name, index, bits
            elif int(where.get('eax_in', '0'), 16) == SVM:
                yield name, SVM, high


def recorded() -> set[Feature]:
    """The features of RECORDED."""
    lines = RECORDED.read_text().splitlines()
    return {
        (name, int(register, 16), int(bits, 16))
        for name, register, bits in map(str.split, lines)
    }


if __name__ == '__main__':
    for name, register, bits in parse(pathlib.Path(sys.argv[1]).read_text()):
        print(name, f'{register:#x}', f'{bits:#x}')
