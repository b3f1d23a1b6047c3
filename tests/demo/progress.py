# SPDX-License-Identifier: Apache-2.0
"""Tells which step is under way and how long it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TextIO


class Progress:
    """One line a step, begun when the step begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        """Does a step; yields a function that tells what came of it."""
        began = time.monotonic()
        self._write(f'[{self.seconds:5.1f} s] {what}:')
        try:
            yield self._note
        except BaseException:
            self._write(' failed.\n')
            raise
        self._write(f' done in {time.monotonic() - began:.1f} s.\n')

    def _note(self, text: str) -> None:
        self._write(f' {text},')

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
