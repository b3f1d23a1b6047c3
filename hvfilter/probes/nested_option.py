# SPDX-License-Identifier: Apache-2.0
"""``[hvfilter] nested_guest``: may a guest in a guest be run?"""

from __future__ import annotations

import dataclasses

from hvfilter.host import ini
from hvfilter.host.base import Denied
from hvfilter.probes import nova_options, nova_remedies, own_option
from hvfilter.probes.context import ProbeContext
from hvfilter.probes.evidence import access
from hvfilter.probes.remedies import NONE, Advice

OPTION = 'nested_guest'

_NO = frozenset({'0', 'false', 'no', 'off'})
_YES = frozenset({'1', 'true', 'yes', 'on'})


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why the operator's files keep the guest from running.

    :ivar value: what they hold
    :ivar doubtful: they could not be read, so it may have been wanted
    """

    value: str
    reason: str
    doubtful: bool = False
    remedy: Advice = NONE


def refusal(host: ProbeContext) -> Refusal | None:
    """None where it may be run. What is not understood or cannot be read may
    be a no."""
    options = nova_options.read(host)
    found = own_option.find(host, options, OPTION)
    name = f'[{own_option.SECTION}] {OPTION}'
    unread = found.denied if found is not None else None
    unread = unread or next(iter(options.refused), None)
    if unread is not None:
        reason = f'{name} could not be read: {unread}'
        return Refusal(str(unread), reason, True, _remedy(unread))
    if found is None or found.value.strip().lower() in _YES:
        return None
    reason = f'{name} = {found.value} in {found.path}'
    if found.value.strip().lower() not in _NO:
        reason += ', which is no boolean'
    return Refusal(found.value, reason)


def _remedy(unread: Denied) -> Advice:
    if unread.error == ini.MALFORMED:
        return nova_remedies.CORRECT_LINE()
    return access(unread)
