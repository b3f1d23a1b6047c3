# SPDX-License-Identifier: Apache-2.0
"""Checks of where new guests land."""

from __future__ import annotations

import re

from tests.cloud import guests
from tests.cloud.cloud import Cloud
from tests.cloud.hosts import ALL, KVM, NESTED

_TRAIT = 'trait:CUSTOM_HVFILTER_NESTED'
_ASKED = (
    ('plain', {}, {}, KVM),
    ('hvfilter:nested=required', {'hvfilter:nested': 'required'}, {}, NESTED),
    (f'{_TRAIT}=required', {_TRAIT: 'required'}, {}, NESTED),
    (
        'hvfilter:nested=forbidden',
        {'hvfilter:nested': 'forbidden'},
        {},
        KVM - NESTED,
    ),
    ('image img_hv_type=qemu', {}, {'img_hv_type': 'qemu'}, ALL),
    (
        'hvfilter:amdv=required',
        {'hvfilter:amdv': 'required'},
        {},
        frozenset({'amd'}),
    ),
)


def landing(cloud: Cloud) -> str:
    """Each lands on the host that Nova likes best of those that will do."""
    told = []
    for what, specs, properties, among in _ASKED:
        (server,) = guests.boot(cloud, specs, properties)
        best = frozenset({guests.best(among)})
        told.append(f'{what} on {guests.landed(server, best, what)}')
        guests.delete_all(cloud)
    return '; '.join(told)


def nobody(cloud: Cloud) -> str:
    """No valid host, and one line in the log that tells why."""
    begun = cloud.scheduler_log_size()
    what = 'hvfilter:sev=required'
    (server,) = guests.boot(cloud, {'hvfilter:sev': 'required'})
    guests.refused(server, what)
    lines = re.findall(
        rf' INFO hvfilter\.\S+ .*(Server {server["id"]}: .*)',
        cloud.scheduler_log(begun),
    )
    if len(lines) != 1:
        raise guests.Wrong(f'{len(lines)} lines tell why, not one: {lines}')
    return f'{what} is refused; {lines[0]}'
