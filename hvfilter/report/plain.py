# SPDX-License-Identifier: Apache-2.0
"""Text of unknown origin, made fit for a terminal."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text with what is not printable escaped.

    A recording may come from a stranger, and terminals obey escape
    sequences.
    """
    if text.isprintable():
        return text
    return ''.join(
        char if char.isprintable() else char.encode('unicode_escape').decode()
        for char in text
    )
