# SPDX-License-Identifier: Apache-2.0
"""What "hvfilter publish" remembers of this host, for "hvfilter history".

Nothing here keeps a run from publishing: a history that cannot be read or
written is one line, and what is on the disk stays as it was, so that the next
run finds the change.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable

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
from hvfilter.publish.state_directory import TEXT_LIMIT, StateDirectory
from hvfilter.report import difference, history
from hvfilter.report.history import Entry, History, State

NESTED = 'nested features'
"""The subject for the virtualization features that guests get."""

_TIME = '%Y-%m-%dT%H:%M:%SZ'
_NAME = '%Y%m%dT%H%M%SZ.json.gz'
_LISTS = frozenset({cause_facts.BOOT})


def recording_of(host: Host) -> RecordingHost:
    """The host, so that what it answers can be kept, redacted."""
    return RecordingHost(host, Redaction(record.names_to_redact(host)))


def keep(
    recording: RecordingHost,
    report: HostReport,
    directory: StateDirectory,
    say: Callable[[str], None],
    now_s: float | None = None,
) -> None:
    """Remember what changed since the last run, if anything did.

    Nothing happens where there is no state directory.

    :param recording: the host that the report is about
    :param say: shows one line; called at most twice
    :param now_s: seconds since the epoch, None for now
    """
    try:
        if not directory.exists():
            return
        with directory.locked() as ours:
            if ours:
                _keep(recording, report, directory, say, now_s)
    except (OSError, Problem) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        say(
            f'The history of this host in {directory.path} was not updated: '
            f'{reason or type(error).__name__}. This does not affect '
            'publishing; the next run tries again.'
        )


def _keep(
    recording: RecordingHost,
    report: HostReport,
    directory: StateDirectory,
    say: Callable[[str], None],
    now_s: float | None,
) -> None:
    earlier = _read(directory, say)
    record_extras.ask(recording)
    features, instead = diff.nested_features(recording)
    by = f'hvfilter {version.version_string()}'
    recorded = recording.snapshot(Provenance(Making.RECORDED, by=by))
    state = _state(recorded, report)
    nested = difference.Facts(report, features, instead).nested_text
    state = history.with_capability(state, NESTED, nested)
    moment = time.gmtime(now_s)
    name = time.strftime(_NAME, moment)
    changes = earlier.entries
    if earlier.state is not None:
        causes, effects = history.compare(earlier.state, state, _LISTS)
        state = history.successor(earlier.state, state)
        if not causes and not effects:
            if state != earlier.state:
                # Another release, or subjects that were not asked before.
                text = history.dumps(History(state, changes), TEXT_LIMIT)
                directory.write_text(text.encode())
            return
        when = time.strftime(_TIME, moment)
        changes = (*changes, Entry(when, causes, effects, name))
    directory.write(
        history.dumps(History(state, changes), TEXT_LIMIT).encode(),
        name,
        gzip.compress(snapshot.dumps(recorded).encode(), mtime=0),
    )


def _state(recorded: Snapshot, report: HostReport) -> State:
    return State(
        cause_facts.facts(recorded),
        {
            each.capability: difference.state_text(each)
            for each in report.findings
        },
        {each.capability: each.reason for each in report.findings},
        version.version_string(),
    )


def _read(directory: StateDirectory, say: Callable[[str], None]) -> History:
    """What was remembered; what is of no use is set aside."""
    text = directory.read()
    if text is None:
        return History()
    try:
        return history.loads(text)
    except form.DocumentError as error:
        place = directory.set_aside()
        say(
            f'{directory.file} is not a history of a host: {error}. It is '
            f'now {place}, and a new history begins.'
        )
        return History()
