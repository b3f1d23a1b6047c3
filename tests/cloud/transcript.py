# SPDX-License-Identifier: Apache-2.0
"""What is shown while the cloud is checked, and kept."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable, Iterable

Tell = Callable[[str], None]


class Transcript:
    """Shows lines with the time since it began, and keeps them."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: list[str] = []
        self._file: pathlib.Path | None = None
        self._lock = threading.Lock()

    def keep_in(self, path: pathlib.Path) -> None:
        """From now on, and what there was."""
        self._file = path
        path.write_text(''.join(self._lines))

    def __call__(self, text: str) -> None:
        self.show([(time.monotonic(), text)])

    def show(self, told: Iterable[tuple[float, str]]) -> None:
        """Show texts, each with the moment at which it was told."""
        with self._lock:
            for moment, text in told:
                for line in text.splitlines() or ['']:
                    self._show(f'{moment - self._began:5.0f} s | {line}\n')

    def _show(self, line: str) -> None:
        print(line, end='', flush=True)
        self._lines.append(line)
        if self._file:
            with self._file.open('a') as file:
                file.write(line)


class Part:
    """What one of several checks at a time tells: shown when it is over."""

    def __init__(self, whole: Transcript) -> None:
        self._whole = whole
        self._told: list[tuple[float, str]] = []

    def __call__(self, text: str) -> None:
        self._told.append((time.monotonic(), text))

    def show(self) -> None:
        """Show it, in one piece."""
        self._whole.show(self._told)
        self._told = []
