# SPDX-License-Identifier: Apache-2.0
"""What changed on a host, when and why, as a document ``hvfilter/history/1``.

The JSON Schema is ``schemas/history-1.json`` beside this module.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from hvfilter.model import form
from hvfilter.model.problem import Problem

SCHEMA = 'hvfilter/history/1'
COLUMNS = ('Time', 'Cause', 'Effect')

NOT_KNOWN = 'not known'
NO_EFFECT = 'none'

LONGEST = 1000
"""Characters of a value that are kept."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that was one way and is another way now.

    :ivar reason: why it is so now, where that is known
    """

    subject: str
    before: str
    after: str
    reason: str = ''

    def __str__(self) -> str:
        return f'{self.subject} {self.before} -> {self.after}'


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one run found changed.

    :ivar time: of the run, ISO 8601 in UTC
    :ivar causes: what changed of kernel, firmware, parameters and options
    :ivar effects: what changed of capabilities
    :ivar snapshot: the file with the recording of the host after the change
    """

    time: str
    causes: tuple[Change, ...]
    effects: tuple[Change, ...]
    snapshot: str = ''

    @property
    def cells(self) -> tuple[str, str, str]:
        """In the order of COLUMNS."""
        causes = '; '.join(map(str, self.causes))
        if not causes:
            reason = next((each.reason for each in self.effects), '')
            causes = f'{NOT_KNOWN}: {reason}' if reason else NOT_KNOWN
        effects = '; '.join(_grouped(self.effects))
        return self.time, causes, effects or NO_EFFECT


def _grouped(effects: tuple[Change, ...]) -> Iterator[str]:
    """Subjects that changed alike share a clause."""
    alike: dict[str, list[str]] = {}
    for each in effects:
        clause = f'{each.before} -> {each.after}'
        alike.setdefault(clause, []).append(each.subject)
    for clause, subjects in alike.items():
        yield f'{", ".join(subjects)}: {clause}'


@dataclasses.dataclass(frozen=True)
class State:
    """What a host was like at one run.

    :ivar facts: subject to value: what may be the cause of a change
    :ivar capabilities: capability to its state
    :ivar reasons: capability to the reason of its state
    :ivar version: of hvfilter
    """

    facts: Mapping[str, str]
    capabilities: Mapping[str, str]
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: str = ''

    def same(self, other: State) -> bool:
        """Whether all that is compared is the same: a reason may name what
        was measured."""
        return self == dataclasses.replace(other, reasons=self.reasons)


@dataclasses.dataclass(frozen=True)
class Removed:
    """The oldest entries, which made room for later ones.

    :ivar number: of entries
    :ivar until: time of the latest of them, ISO 8601 in UTC
    """

    number: int
    until: str

    def __str__(self) -> str:
        number = f'{self.number} earlier change{"s"[: self.number > 1]}'
        return f'{number}, the last of {self.until}'


@dataclasses.dataclass(frozen=True)
class History:
    """All that is remembered of a host.

    :ivar state: as it was at the last change; None before the first run
    :ivar entries: the latest last
    :ivar removed: None until something had to be removed
    """

    state: State | None = None
    entries: tuple[Entry, ...] = ()
    removed: Removed | None = None


def compare(
    before: State, after: State, lists: frozenset[str] = frozenset()
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Causes and effects. What only one of them knows is not compared.

    :param lists: subjects whose value is a list of words: only the words that
        differ are shown
    """
    causes = tuple(
        _words(subject, was, after.facts[subject])
        if subject in lists
        else Change(subject, was, after.facts[subject])
        for subject, was in before.facts.items()
        if after.facts.get(subject, was) != was
    )
    effects = tuple(
        Change(key, was, now, after.reasons.get(key, ''))
        for key, now in after.capabilities.items()
        if (was := before.capabilities.get(key, now)) != now
    )
    if effects and not causes and before.version != after.version:
        causes = (Change('hvfilter', before.version, after.version),)
    return causes, effects


def _words(subject: str, before: str, after: str) -> Change:
    was, now = before.split(), after.split()
    gone = ' '.join(word for word in was if word not in now)
    new = ' '.join(word for word in now if word not in was)
    if not gone and not new:
        return Change(subject, before, after)
    return Change(subject, gone or 'not set', new or 'not set')


def successor(before: State, after: State) -> State:
    """What to compare the next run with.

    What this run did not ask for stays as it was.
    """
    return dataclasses.replace(
        after,
        facts={**before.facts, **after.facts},
        capabilities={**before.capabilities, **after.capabilities},
    )


def bounded(value: str) -> str:
    """The value, or its beginning and a digest of a long one."""
    if len(value) <= LONGEST:
        return value
    data = value.encode('utf-8', 'surrogatepass')
    digest = hashlib.sha256(data).hexdigest()
    return f'{value[:LONGEST]}... sha256:{digest}'


def fitted(history: History, limit: int) -> tuple[History, str]:
    """The history with as many of the latest changes as fit, and as text.

    :param limit: bytes; the text is ASCII
    :raises Problem: the state of the host alone does not fit
    """
    text = form.dumps(to_document(history))
    while len(text) > limit:
        if not history.entries:
            raise Problem(
                f'What is known of this host takes {len(text) >> 10} KiB, '
                f'more than the {limit >> 10} KiB of a history',
                'Report this as a bug in hvfilter.',
            )
        # A tenth at once: it is not done again at the next change.
        history = _without_oldest(history, len(history.entries) // 10 + 1)
        text = form.dumps(to_document(history))
    return history, text


def _without_oldest(history: History, number: int) -> History:
    gone = history.entries[:number]
    before = history.removed.number if history.removed else 0
    return dataclasses.replace(
        history,
        entries=history.entries[number:],
        removed=Removed(before + len(gone), gone[-1].time),
    )


def to_document(history: History) -> dict[str, Any]:
    """The document: only dicts, lists, strings and None."""
    return {
        'schema': SCHEMA,
        'state': dataclasses.asdict(history.state) if history.state else None,
        'removed': (
            dataclasses.asdict(history.removed) if history.removed else None
        ),
        'changes': [dataclasses.asdict(each) for each in history.entries],
    }


def loads(text: bytes) -> History:
    """The history of a text.

    :raises DocumentError: naming the place that is wrong
    """
    whole = form.parse(text)
    whole.schema(SCHEMA)
    found = whole.members(('schema', 'state', 'removed', 'changes'))
    state, removed = found['state'], found['removed']
    return History(
        None if state.value is None else _state(state),
        tuple(map(_entry, found['changes'].items())),
        None if removed.value is None else _removed(removed),
    )


def _removed(node: form.JsonNode) -> Removed:
    found = node.members(('number', 'until'))
    return Removed(found['number'].integer(1), found['until'].text())


def _state(node: form.JsonNode) -> State:
    found = node.members(('facts', 'capabilities', 'reasons', 'version'))
    return State(
        _texts(found['facts']),
        _texts(found['capabilities']),
        _texts(found['reasons']),
        found['version'].text(),
    )


def _texts(node: form.JsonNode) -> dict[str, str]:
    return {name: value.text() for name, value in node.entries().items()}


def _entry(node: form.JsonNode) -> Entry:
    found = node.members(('time', 'causes', 'effects', 'snapshot'))
    return Entry(
        found['time'].text(),
        tuple(map(_change, found['causes'].items())),
        tuple(map(_change, found['effects'].items())),
        found['snapshot'].text(),
    )


def _change(node: form.JsonNode) -> Change:
    found = node.members(('subject', 'before', 'after', 'reason'))
    return Change(
        *(
            found[name].text()
            for name in ('subject', 'before', 'after', 'reason')
        )
    )
