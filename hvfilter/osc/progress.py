# SPDX-License-Identifier: Apache-2.0
"""A progress bar for a person who waits: on a terminal only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

_Item = TypeVar('_Item')
_EVERY = 200
"""Items between two updates."""

Track = Callable[[Iterable[_Item]], Iterator[_Item]]


@contextlib.contextmanager
def bar(stream: TextIO, words: str) -> Iterator[Track[Any]]:
    """Count items while they pass; how many there will be is not known.

    Nothing is shown where the stream is no terminal, or rich is missing.

    :param stream: standard error: the output of a command is another's
    :param words: what is counted, as in ``servers``
    """
    progress = _rich(stream) if stream.isatty() else None
    if progress is None:
        yield iter
        return
    with progress:
        task = progress.add_task(words, total=None)

        def track(items: Iterable[Any]) -> Iterator[Any]:
            for number, item in enumerate(items, 1):
                if number % _EVERY == 0:
                    progress.update(task, completed=number)
                yield item

        yield track


def _rich(stream: TextIO) -> Any:
    try:
        from rich import console, progress
    except ImportError:
        return None
    return progress.Progress(
        progress.TextColumn('{task.completed} {task.description}'),
        progress.BarColumn(),
        progress.TimeElapsedColumn(),
        console=console.Console(file=stream),
        transient=True,
    )
