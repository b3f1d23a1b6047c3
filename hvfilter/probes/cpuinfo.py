# SPDX-License-Identifier: Apache-2.0
"""``/proc/cpuinfo``, as the kernel of any architecture prints it."""

from __future__ import annotations

import io
import itertools

from hvfilter.host import base

LINES_LIMIT = 400_000
"""Lines that are looked at: twice what 8,192 processors show."""

_KEYS_LIMIT = 1000
"""Different keys that are believed; no kernel prints a tenth of that."""

_CACHE_LIMIT = 10_000


class CpuInfo:
    """One parsed cpuinfo.

    Lines are ``key<blanks>: value``. Some keys come once a processor, some
    once a machine; nothing here depends on which, and a cut-off file only
    has fewer lines: one that was cut itself does not count, or its flags
    would seem to lack what stood beyond the cut. Memory is bounded whatever
    the content: it may come from a copy that a stranger sent.
    """

    def __init__(self, content: bytes) -> None:
        values: dict[str, list[str]] = {}
        known: dict[bytes, tuple[str, str] | None] = {}
        cut = len(content) >= base.READ_LIMIT
        for line in itertools.islice(io.BytesIO(content), LINES_LIMIT):
            if cut and not line.endswith(b'\n'):
                break
            # A machine of a thousand processors repeats a few lines.
            if line not in known:
                if len(known) >= _CACHE_LIMIT:
                    known.clear()
                known[line] = _key_and_value(line)
            pair = known[line]
            if pair is None:
                continue
            if pair[0] in values or len(values) < _KEYS_LIMIT:
                values.setdefault(pair[0], []).append(pair[1])
        self._values = {key: tuple(lines) for key, lines in values.items()}

    def values(self, key: str) -> tuple[str, ...]:
        """Every value of a key, in the order of the file; () when none."""
        return self._values.get(key, ())

    def first(self, key: str) -> str:
        """The first value of a key; '' when there is none."""
        return next(iter(self.values(key)), '')

    def words(self, key: str) -> tuple[frozenset[str], ...]:
        """The values of a key as sets of words, one for each line."""
        sets = {value: frozenset(value.split()) for value in self.values(key)}
        return tuple(sets[value] for value in self.values(key))

    def words_everywhere(self, key: str) -> frozenset[str]:
        """The words that every line of a key has."""
        distinct = set(self.words(key))
        return frozenset.intersection(*distinct) if distinct else frozenset()

    def words_anywhere(self, key: str) -> frozenset[str]:
        """The words that some line of a key has."""
        return frozenset().union(*set(self.words(key)))


def _key_and_value(line: bytes) -> tuple[str, str] | None:
    key, colon, value = line.decode('utf-8', 'replace').partition(':')
    if not colon:
        return None
    return key.strip(), value.strip()
