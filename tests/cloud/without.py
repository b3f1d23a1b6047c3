# SPDX-License-Identifier: Apache-2.0
"""The cloud without hvfilter: the fault that it is for."""

from __future__ import annotations

import time

from tests.cloud import guests
from tests.cloud.cloud import Cloud

_QEMU = {'img_hv_type': 'qemu'}
_FACTOR = 3
_LEAST_S = 10.0


def before(cloud: Cloud) -> str:
    """Guests are ACTIVE on the host whose KVM emulates, and silent."""
    return schedules(cloud)


def schedules(cloud: Cloud) -> str:
    """What Nova does by itself: it prefers the host that runs no guest.

    A guest that was sent to the host without KVM speaks, so the image is
    good; so long as it took, and longer, those on the other host say nothing.
    """
    flavor = guests.flavor(cloud)
    plain, emulated = guests.image(cloud), guests.image(cloud, _QEMU)
    (control,) = guests.boot_of(cloud, flavor, plain, where={'host': 'qemu'})
    began = time.monotonic()
    guests.landed(control, frozenset({'qemu'}), 'the guest on virt_type=qemu')
    cloud.tell(f'qemu: {guests.speaks(cloud, control)}')
    took = time.monotonic() - began
    # Not beside the first: they take a processor each, and it would be slow.
    asked = {
        what: guests.request(cloud, flavor, image)
        for what, image in (('plain', plain), ('img_hv_type=qemu', emulated))
    }
    silent = []
    for what, server_id in asked.items():
        server = guests.settled(cloud, server_id)
        guests.landed(server, frozenset({'emulating'}), f'a {what} guest')
        cloud.tell(f'emulating: {server["id"]} ({what}) is ACTIVE')
        silent.append(server)
    # From the moment at which the last of them was there.
    wait = max(_LEAST_S, _FACTOR * took)
    time.sleep(wait)
    for server in silent:
        if guests.spoken(cloud, server):
            raise guests.Wrong(
                f'{server["id"]} on emulating runs: KVM of this machine does '
                'not emulate'
            )
        printed = guests.console(cloud, server).strip()
        cloud.tell(
            f'emulating: {server["id"]} printed '
            f'{printed[-60:]!r} in {wait:.0f} s'
        )
    return (
        f'of {len(silent)} guests that Nova put on emulating none runs after '
        f'{wait:.0f} s; the same on qemu ran {took:.0f} s after it was ACTIVE'
    )
