# SPDX-License-Identifier: Apache-2.0
"""What "hvfilter publish" remembers of this host, for "hvfilter history".

Nothing here keeps a run from publishing: a history that cannot be read or
written is one line, and what is on the disk stays as it was, so that the next
run finds the change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import itertools
import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence

from hvfilter import version
from hvfilter.cli import diff, record
from hvfilter.host import record_extras, snapshot
from hvfilter.host.base import Host
from hvfilter.host.recording import RecordingHost
from hvfilter.host.redact import Redaction
from hvfilter.host.snapshot import Making, Provenance, Snapshot
from hvfilter.model import form
from hvfilter.model.finding import HostReport
from hvfilter.model.problem import Problem
from hvfilter.probes import cause_facts
from hvfilter.publish.state_directory import (
    TEXT_LIMIT,
    WAIT_S,
    NotHistory,
    StateDirectory,
)
from hvfilter.report import difference, history
from hvfilter.report.history import Change, Entry, History, State

NESTED = 'nested features'
"""The subject for the virtualization features that guests get."""

_TIME = '%Y-%m-%dT%H:%M:%SZ'
_STAMP = '%Y%m%dT%H%M%SZ'
_LISTS = frozenset({cause_facts.BOOT, cause_facts.CPUID})


def recording_of(host: Host) -> RecordingHost:
    """The host, so that what it answers can be kept, redacted."""
    return RecordingHost(host, Redaction(record.names_to_redact(host)))


@contextlib.contextmanager
def turn(
    directory: StateDirectory,
    say: Callable[[str], None],
    wait_s: float = WAIT_S,
) -> Iterator[bool]:
    """Whether this run may remember what it finds, until the block ends.

    To be entered before the host is probed: of two runs at once, the one that
    writes last could have looked first, and would remember a change back
    that never was.

    :param say: shows one line; called at most once
    :param wait_s: seconds to wait for another run
    """
    with contextlib.ExitStack() as stack:
        try:
            obstacle = _obstacle(directory, stack, wait_s)
        except OSError as error:
            obstacle = error.strerror or type(error).__name__
        if obstacle:
            _say_failed(directory, obstacle, say)
        yield obstacle is None


def _obstacle(
    directory: StateDirectory, stack: contextlib.ExitStack, wait_s: float
) -> str | None:
    """Why this run may not remember anything; '' where nobody wants it.

    :param stack: holds the lock, if there is no obstacle
    """
    owner = directory.owner()
    if owner is None:
        return ''
    if owner != os.geteuid():
        # Another user reads other things of the same host.
        return (
            f'only runs by its owner {_user(owner)} update it, and this run '
            f'is by {_user(os.geteuid())}'
        )
    if not stack.enter_context(directory.locked(wait_s)):
        return f'another run has been busy for {wait_s:g} s'
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f'user {uid}'


def _say_failed(
    directory: StateDirectory, reason: str, say: Callable[[str], None]
) -> None:
    say(
        f'The history of this host in {directory.path} was not updated: '
        f'{reason}. This does not affect publishing; the next run tries again.'
    )


def keep(
    recording: RecordingHost,
    report: HostReport,
    directory: StateDirectory,
    say: Callable[[str], None],
    now_s: float | None = None,
) -> None:
    """Remember what changed since the last run, if anything did.

    :param recording: the host that the report is about
    :param say: shows one line; called at most twice
    :param now_s: seconds since the epoch, None for now
    """
    try:
        _keep(recording, report, directory, say, now_s)
    except Problem as problem:
        _say_failed(directory, problem.what, say)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        _say_failed(directory, reason, say)


def _keep(
    recording: RecordingHost,
    report: HostReport,
    directory: StateDirectory,
    say: Callable[[str], None],
    now_s: float | None,
) -> None:
    earlier = _read(directory, say)
    record_extras.ask(recording)
    by = f'hvfilter {version.version_string()}'
    recorded = recording.snapshot(Provenance(Making.RECORDED, by=by))
    state = _state(recording, recorded, report)
    moment = time.gmtime(now_s)
    name = _unused_name(moment, directory.recordings())
    later = dataclasses.replace(earlier, state=state)
    if earlier.state is not None:
        causes, effects = history.compare(earlier.state, state, _LISTS)
        causes = tuple(_not_implied(causes))
        state = history.successor(earlier.state, state)
        later = dataclasses.replace(earlier, state=state)
        if not causes and not effects:
            if not state.same(earlier.state):
                # Another release, or subjects that were not asked before.
                directory.write_text(_text(later, earlier, say))
            return
        when = time.strftime(_TIME, moment)
        entry = Entry(when, causes, effects, name)
        later = dataclasses.replace(later, entries=(*later.entries, entry))
    directory.write(
        _text(later, earlier, say),
        [*(entry.snapshot for entry in earlier.entries), name],
        gzip.compress(snapshot.dumps(recorded).encode(), mtime=0),
    )


def _not_implied(causes: Sequence[Change]) -> Iterator[Change]:
    """Without the device that comes and goes with its module, with the
    kernel's command line or with the processor's features."""
    # Subjects that are files, such as nova.conf, make no device.
    others = any(not each.subject.startswith('/') for each in causes)
    for each in causes:
        gone = cause_facts.MISSING in (each.before, each.after)
        if not (others and gone and each.subject == cause_facts.DEVICE):
            yield each


def _unused_name(moment: time.struct_time, used: frozenset[str]) -> str:
    stamp = time.strftime(_STAMP, moment)
    ends = itertools.chain(('',), map('-{}'.format, itertools.count(2)))
    names = (f'{stamp}{end}.json.gz' for end in ends)
    return next(name for name in names if name not in used)


def _text(
    later: History, earlier: History, say: Callable[[str], None]
) -> bytes:
    """The history as it is written; what is removed for that is said."""
    fitted, text = history.fitted(later, TEXT_LIMIT)
    if fitted.removed is not None and fitted.removed != earlier.removed:
        say(
            f'The history of this host is limited to {TEXT_LIMIT >> 10} KiB: '
            f'removed {fitted.removed}.'
        )
    return text.encode()


def _state(
    recording: RecordingHost, recorded: Snapshot, report: HostReport
) -> State:
    features, instead = diff.nested_features(recording)
    nested = difference.Facts(report, features, instead).nested_text
    return State(
        {
            subject: history.bounded(value)
            for subject, value in cause_facts.facts(recorded).items()
        },
        {
            **{
                each.capability: difference.state_text(each)
                for each in report.findings
            },
            NESTED: nested,
        },
        {
            each.capability: history.bounded(each.reason)
            for each in report.findings
        },
        version.version_string(),
    )


def _read(directory: StateDirectory, say: Callable[[str], None]) -> History:
    """What was remembered; what is of no use is set aside."""
    try:
        text = directory.read()
        return History() if text is None else history.loads(text)
    except (form.DocumentError, NotHistory) as error:
        place = directory.set_aside()
        say(
            f'{directory.file} is not a history of a host: {error}. It is '
            f'now {place}, and a new history begins.'
        )
        return History()
