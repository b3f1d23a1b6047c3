# SPDX-License-Identifier: Apache-2.0
"""A host that answers from a snapshot, denials included."""

from __future__ import annotations

from typing import TypeVar

from hvfilter.host import answers
from hvfilter.host.base import Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Question
from hvfilter.host.snapshot import Snapshot

FactT = TypeVar('FactT')


class RecordedHost(Host):
    """Answers exactly as the recorded machine did.

    What was never asked of it raises :class:`Denied` with NOT_RECORDED: the
    recording does not show it, which is not the same as "is not there".

    :param origin: what to call the recording, such as its file; the
        snapshot's own words unless given
    """

    def __init__(self, snapshot: Snapshot, origin: str = '') -> None:
        self.snapshot = snapshot
        self.origin = origin or str(snapshot.origin)

    def machine(self) -> Machine:
        return self.snapshot.machine

    def ask(self, question: Question[FactT]) -> FactT:
        return answers.look_up(self.snapshot.answers, question)
