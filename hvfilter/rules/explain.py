# SPDX-License-Identifier: Apache-2.0
"""Verdicts in words: one bounded line for many hosts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hvfilter.model.policy import Policy
from hvfilter.model.requirement import Origin, Requirements
from hvfilter.model.verdict import Cause, Verdict

_MOST_GROUPS = 6
_MOST_HOSTS = 3
_LONGEST_NAME = 64
_LONGEST_GROUP = 160


@dataclasses.dataclass(frozen=True)
class Group:
    """Hosts that were rejected for the same causes.

    :ivar summary: the causes, in the words for one host: 'lacks nested'
    :ivar count: how many hosts
    :ivar hosts: the first few of them, one at least
    """

    summary: str
    count: int
    hosts: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.count} {self._words}{self._names}'

    @property
    def _words(self) -> str:
        if self.count == 1:
            return self.summary
        return _for_many(self.summary)

    @property
    def _names(self) -> str:
        word = 'host' if self.count == 1 else 'hosts'
        more = ', ...' if self.count > len(self.hosts) else ''
        return f' ({word} {", ".join(self.hosts)}{more})'


def groups(rejected: Mapping[Verdict, Sequence[str]]) -> list[Group]:
    """Group host names by what their verdicts come down to, largest first.

    :param rejected: names of hosts by the verdict that rejected them; no
        verdict without a host
    """
    by_summary: dict[str, list[Sequence[str]]] = {}
    for verdict, names in rejected.items():
        by_summary.setdefault(summary(verdict), []).append(names)
    grouped = []
    for words, lists in by_summary.items():
        first = [name for names in lists for name in names[:_MOST_HOSTS]]
        grouped.append(
            Group(
                words,
                sum(map(len, lists)),
                tuple(map(_name, first[:_MOST_HOSTS])),
            )
        )
    return sorted(grouped, key=lambda group: (-group.count, group.summary))


def summary(verdict: Verdict) -> str:
    """The causes of one verdict, shortened: 'lacks nested and slat'."""
    lacking = dict.fromkeys(
        reason.subject
        for reason in verdict.reasons
        if reason.cause is Cause.LACKS
    )
    words = [f'lacks {" and ".join(lacking)}'] if lacking else []
    words += dict.fromkeys(
        reason.summary
        for reason in verdict.reasons
        if reason.cause is not Cause.LACKS
    )
    joined = ' and '.join(words) or 'accepted'
    if len(joined) > _LONGEST_GROUP:
        joined = joined[: _LONGEST_GROUP - 3] + '...'
    return joined


def line(
    rejected: Mapping[Verdict, Sequence[str]],
    total: int,
    *,
    permissive: int = 0,
) -> str:
    """The one line that says why hosts were rejected; of bounded length.

    :param rejected: names of hosts by the verdict that rejected them
    :param total: how many hosts were judged
    :param permissive: how many of them passed anyway, since the mode for
        them is permissive
    """
    grouped = groups(rejected)
    count = sum(group.count for group in grouped)
    shown = [str(group) for group in grouped[:_MOST_GROUPS]]
    rest = grouped[_MOST_GROUPS:]
    if rest:
        hosts = sum(group.count for group in rest)
        shown.append(f'{hosts} for {len(rest)} other reasons')
    noun = 'host' if total == 1 else 'hosts'
    text = f'{count} of {total} {noun} rejected: {", ".join(shown)}'
    if permissive:
        text += f'; {permissive} of them passed anyway (mode = permissive)'
    return text


def by_aggregates(
    rejected: Iterable[Verdict], requirements: Requirements, policy: Policy
) -> str:
    """What a policy decided that is not the configured one: that of
    aggregate metadata.

    :param requirements: those under the configured policy
    :returns: the words, of bounded number; '' if there are none
    """
    configured = {item.words for item in requirements.items}
    configured.add(policy.reserved_words)
    words = dict.fromkeys(
        reason.asked_by
        for verdict in rejected
        for reason in verdict.reasons
        if reason.origin is Origin.POLICY
    )
    others = [each for each in words if each not in configured]
    more = ', ...' if len(others) > _MOST_GROUPS else ''
    return ', '.join(others[:_MOST_GROUPS]) + more


def _name(host: str) -> str:
    printable = ''.join(c if c.isprintable() else '?' for c in host)
    return printable[:_LONGEST_NAME]


def _for_many(words: str) -> str:
    for one, many in (
        ('lacks ', 'lack '),
        ('has ', 'have '),
        ('does not ', 'do not '),
    ):
        words = words.replace(f' and {one}', f' and {many}')
        if words.startswith(one):
            words = many + words[len(one) :]
    return words
