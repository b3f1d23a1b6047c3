# SPDX-License-Identifier: Apache-2.0
"""Text of unknown origin, made fit for a terminal and a log."""

from __future__ import annotations


def plain(text: str) -> str:
    """One line of printable text: all else is escaped, as in Python.

    A recording may come from a stranger, and terminals obey escape
    sequences; a newline would forge another line of a log; bidirectional
    and invisible characters make a reader see another text than is there.
    """
    if text.isprintable():
        return text
    return ''.join(
        char if char.isprintable() else char.encode('unicode_escape').decode()
        for char in text
    )


def plain_lines(text: str) -> str:
    """Like :func:`plain`, with the newlines of the text kept."""
    if text.isprintable():
        return text
    return '\n'.join(map(plain, text.split('\n')))
