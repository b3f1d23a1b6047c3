# SPDX-License-Identifier: Apache-2.0
"""The guests that the demonstration boots."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hvfilter.model.finding import HostReport, State

PLAIN = frozenset({'kvm'})

MEMORY_MB = 50 * 1024
"""Of each guest: more than the hosts differ in, so that they are used in
turn."""


@dataclasses.dataclass(frozen=True)
class Guest:
    """One guest, and by what its landing is checked.

    ``needs`` and ``shuns`` say the same as the flavor and the image do, but
    in a form that hvfilter never sees: the check must not lean on what it
    checks.

    :ivar specs: the flavor's extra specs
    :ivar image: the image's properties
    :ivar needs: capabilities that its host must have
    :ivar shuns: capabilities that its host must not have
    :ivar content: capabilities any of which will do instead of the needs
    :ivar refused: that no recorded host is one for it
    """

    name: str
    specs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    image: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs: frozenset[str] = PLAIN
    shuns: frozenset[str] = frozenset()
    content: frozenset[str] = frozenset()
    refused: bool = False

    @property
    def asks(self) -> str:
        """Its flavor and image, as they stand."""
        said = [f'{name}={value}' for name, value in self.specs.items()]
        said += [
            f'image: {name}={value}' for name, value in self.image.items()
        ]
        return '\n'.join(said) or 'nothing'

    def may_land(self, report: HostReport) -> bool:
        """Whether a host is one for it, by what was found on that host."""
        has = {
            key
            for key in self.needs | self.shuns | self.content
            if report[key].state is State.PRESENT
        }
        if has & self.shuns:
            return False
        return self.needs <= has or bool(has & self.content)


GUESTS = (
    Guest('plain'),
    Guest(
        'nested',
        {'hvfilter:nested': 'required'},
        needs=PLAIN | {'nested'},
    ),
    Guest(
        'paging',
        {'hvfilter:slat': 'required'},
        needs=PLAIN | {'slat'},
    ),
    Guest(
        'tenant',
        {'hvfilter:nested': 'forbidden'},
        shuns=frozenset({'nested'}),
    ),
    Guest(
        'amd',
        {'trait:CUSTOM_HVFILTER_AMDV': 'required'},
        needs=PLAIN | {'amdv'},
    ),
    Guest(
        'image',
        image={'trait:CUSTOM_HVFILTER_NESTED_SLAT': 'required'},
        needs=PLAIN | {'nested_slat'},
    ),
    Guest(
        'emulated',
        image={'img_hv_type': 'qemu'},
        content=frozenset({'tcg'}),
    ),
    Guest(
        'nowhere',
        {'hvfilter:ept': 'required', 'hvfilter:npt': 'required'},
        needs=PLAIN | {'ept', 'npt'},
        refused=True,
    ),
)
