# SPDX-License-Identifier: Apache-2.0
"""Boot a machine again and again, and hold its history against the changes.

Its state directory comes out of one boot and goes into the next, as a disk
would.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import pathlib
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hvfilter.cli import exit_codes
from hvfilter.host import snapshot
from hvfilter.host.question import Kind
from tests.lab import image, run
from tests.lab.changes import SECRETS, Boot, Series, Step

HISTORY = '/var/lib/hvfilter/history.json'
SNAPSHOTS = '/var/lib/hvfilter/snapshots/'
NESTED = 'nested features'

_STEP_S = 60.0
_MEASURED = frozenset({Kind.SMOKE, Kind.NESTED_SMOKE})


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a series.

    :ivar lines: of its history, as "hvfilter history" shows them
    :ivar problems: why it does not count as passed
    """

    series: Series
    seconds: float
    lines: tuple[str, ...]
    problems: tuple[str, ...]


def examine(
    images: image.Images, series: Series, keep: pathlib.Path
) -> Outcome:
    """All boots of a series."""
    start = time.monotonic()
    state: dict[str, bytes] = {}
    changes: Sequence[Mapping[str, Any]] = ()
    lines: list[str] = []
    problems: list[str] = []
    for number, boot in enumerate(series.boots, 1):
        name = f'boot {number}'
        results = _booted(images, boot, state, keep / series.name / name)
        if not results:
            problems.append(f'{name}: nothing came out')
            break
        for step, seen in zip(boot.steps, results['steps'], strict=True):
            text = step.script or 'no change'
            problems += [
                f'{name}, {text}: {problem}'
                for problem in wrong(step, seen, len(changes))
            ]
            if len(seen['changes']) > len(changes):
                lines.append('  '.join(seen['rows'][-1].values()))
            changes = seen['changes']
        state = {
            path: base64.b64decode(data)
            for path, data in results['state'].items()
        }
        problems += [f'{name}: {each}' for each in shown(state)]
        problems += [f'{name}: {each}' for each in unlike(results, state)]
    seconds = time.monotonic() - start
    return Outcome(series, seconds, tuple(lines), tuple(problems))


def _booted(
    images: image.Images,
    boot: Boot,
    state: Mapping[str, bytes],
    own: pathlib.Path,
) -> dict[str, Any]:
    changes = {
        'commands': {'record': ['record', '-']},
        'steps': [step.script for step in boot.steps],
        'nested_sets': {},
    }
    with tempfile.TemporaryDirectory(prefix='hvfilter-lab-') as folder:
        place = pathlib.Path(folder)
        line = run.boot(
            images,
            boot.host,
            place,
            changes=changes,
            state=state,
            longer_s=_STEP_S * len(boot.steps),
        )
        results = run.decoded(line)
        run.keep_logs(place, own, results)
    return results


def wrong(step: Step, seen: Mapping[str, Any], before: int) -> Iterator[str]:
    """Where the history does not show a change as it was.

    :param seen: what came of the step
    :param before: lines of the history before it
    """
    if seen['script']['status']:
        yield f'the script failed: {seen["script"]["out"]}'
    # Traits that nova-compute may still have are a reason to try again.
    published = seen['publish']
    if published['status'] not in (0, exit_codes.TRY_AGAIN) or (
        'history' in published['err']
    ):
        yield f'publish: {published}'
    new = seen['changes'][before:]
    if len(new) != bool(step.cause):
        causes = [row['Cause'] for row in seen['rows'][before:]]
        yield f'{len(new)} lines of history: {causes}'
    if len(new) != 1:
        return
    cause = seen['rows'][-1]['Cause']
    if not re.fullmatch(_pattern(step.cause), cause):
        yield f'the cause is "{cause}", not "{step.cause}"'
    effects = {
        each['subject']: each['after'].partition(' ')[0]
        for each in new[0]['effects']
        if each['subject'] != NESTED
    }
    if effects != step.effects:
        yield f'the effects are {effects}, not {dict(step.effects)}'


def _pattern(cause: str) -> str:
    return '.*'.join(map(re.escape, cause.split('*')))


def shown(state: Mapping[str, bytes]) -> Iterator[str]:
    """What is in the state directory and must not be."""
    for path, content in state.items():
        text = _text(path, content)
        for secret in SECRETS:
            if secret in text:
                yield f'{path} shows {secret}'


def _text(path: str, content: bytes) -> str:
    data = gzip.decompress(content) if path.endswith('.gz') else content
    return data.decode()


def unlike(
    results: Mapping[str, Any], state: Mapping[str, bytes]
) -> Iterator[str]:
    """How the recording of the first step differs from what "hvfilter
    record" wrote just before it."""
    named = {each['snapshot'] for each in results['steps'][-1]['changes']}
    first = results['steps'][0]['changes']
    if first:
        name = first[-1]['snapshot']
    else:
        paths = (path.removeprefix(SNAPSHOTS) for path in state)
        (name,) = set(paths) - named - {HISTORY}
    path = f'{SNAPSHOTS}{name}'
    kept = snapshot.loads(_text(path, state[path])).answers
    recorded = snapshot.loads(results['record']['out']).answers
    for question in kept.keys() | recorded.keys():
        if question.kind not in _MEASURED and kept.get(
            question
        ) != recorded.get(question):
            yield (
                f'{question}: {kept.get(question)!r} in the history, '
                f'{recorded.get(question)!r} in a recording'
            )
