# SPDX-License-Identifier: Apache-2.0
"""One question to one source, from which observations follow."""

from __future__ import annotations

import dataclasses

from hvfilter.host.door import NOT_RECORDED, Denied
from hvfilter.model.catalogue import Stage
from hvfilter.model.finding import Observation, State, Strength

SHOWN = 80
"""Characters of a raw value that are kept as evidence."""


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked of a source, and what for.

    :ivar source: the file, ioctl, register or option
    :ivar asked: what is looked for in it
    """

    stage: Stage
    strength: Strength
    source: str
    asked: str

    def said(
        self,
        key: str,
        state: State,
        value: str,
        reason: str,
        remedy: str = '',
    ) -> Observation:
        """The observation that an answer makes."""
        return Observation(
            key,
            self.stage,
            state,
            self.strength,
            self.source,
            self.asked,
            shortened(value),
            reason,
            remedy,
        )

    def present(self, key: str, value: str, reason: str) -> Observation:
        """It is there."""
        return self.said(key, State.PRESENT, value, reason)

    def absent(
        self, key: str, value: str, reason: str, remedy: str = ''
    ) -> Observation:
        """It is not there."""
        return self.said(key, State.ABSENT, value, reason, remedy)

    def unknown(
        self, key: str, value: str, reason: str, remedy: str = ''
    ) -> Observation:
        """The source could be asked, and does not tell."""
        return self.said(key, State.UNKNOWN, value, reason, remedy)

    def denied(
        self, key: str, denied: Denied, reason: str, remedy: str = ''
    ) -> Observation:
        """The source could not be asked; how it could, unless told."""
        return self.said(
            key, State.UNKNOWN, str(denied), reason, remedy or access(denied)
        )


def access(denied: Denied) -> str:
    """What a person can do to have the fact after all, '' when nothing."""
    if denied.error == NOT_RECORDED:
        return 'record the host again: this recording does not hold it'
    if denied.refused and '/dev/kvm' in denied.what:
        return 'let the user who looks open /dev/kvm, as a member of its group'
    if 'MSR' in denied.what and (denied.refused or denied.missing):
        return 'load the module msr (modprobe msr) and look as root'
    if denied.refused:
        return f'look as root, who may {denied.what}'
    if not denied.missing:
        return ''
    if '/sys/' in denied.what:
        return 'look on the host itself, not in a container that hides /sys'
    return ''


def shortened(value: str) -> str:
    """A raw value, fit for one line of a report."""
    text = ' '.join(value.split())
    return text if len(text) <= SHOWN else f'{text[:SHOWN]}...'
