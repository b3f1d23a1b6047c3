# SPDX-License-Identifier: Apache-2.0
"""Run all suites under stestr, then lint; close with one line of results.

``run_tests.py SUITE...`` runs directories below ``tests``, and no lint. The
counts come from the results that stestr streams, not from what it prints.
The last line of standard output is ``N passed, N failed, N skipped``; the exit
code is 0 only if something ran, nothing failed, and lint is clean.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
from typing import Any

import subunit
import testtools

import lint

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUITES = ('unit', 'hosts', 'functional', 'page')
PROGRESS_S = 10.0
# Enough to see what is wrong; "stestr last" has all of it.
DETAIL_LINES = 60
DETAILED_FAILURES = 20

PASSED = frozenset({'success', 'xfail'})
SKIPPED = frozenset({'skip'})


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return (
            f'{self.passed} passed, {self.failed} failed, '
            f'{self.skipped} skipped'
        )


class Reporter:
    """Counts finished tests and prints the failures and some progress."""

    def __init__(self, suite: str, counts: Counts) -> None:
        self.suite = suite
        self.counts = counts
        self.own = Counts()
        self.reasons: collections.Counter[str] = collections.Counter()
        self._told = time.monotonic()

    def finished(self, test: dict[str, Any]) -> None:
        """Take one test in the form of testtools.StreamToDict."""
        status = test['status']
        if status == 'exists':
            return
        if status in PASSED:
            kind = 'passed'
        elif status in SKIPPED:
            kind = 'skipped'
            reason = test['details'].get('reason')
            self.reasons[reason.as_text() if reason else 'no reason'] += 1
        else:
            # Includes "inprogress": the worker died in this test.
            kind = 'failed'
            self._show(test)
        for counts in (self.own, self.counts):
            setattr(counts, kind, getattr(counts, kind) + 1)
        if time.monotonic() - self._told >= PROGRESS_S:
            self._told = time.monotonic()
            print(f'{self.suite}: {self.own} so far', flush=True)

    def _show(self, test: dict[str, Any]) -> None:
        print(f'{self.suite}: FAILED {test["id"]}')
        if self.own.failed >= DETAILED_FAILURES:
            return
        for name, content in sorted(test['details'].items()):
            if content.content_type.type != 'text':
                continue
            lines = content.as_text().rstrip().splitlines()
            if not lines:
                continue
            print(f'  {name}:')
            if len(lines) > DETAIL_LINES:
                print(f'    ({len(lines) - DETAIL_LINES} lines left out)')
            for line in lines[-DETAIL_LINES:]:
                print(f'    {line}')
        sys.stdout.flush()


def has_tests(suite: str) -> bool:
    return any((ROOT / 'tests' / suite).rglob('test_*.py'))


def run_suite(suite: str, counts: Counts, workers: int) -> bool:
    """Run one suite; whether stestr itself was content with it.

    :param workers: how many processes; 0 for as many as there are processors
    """
    reporter = Reporter(suite, counts)
    started = time.monotonic()
    command = [sys.executable, '-m', 'stestr']
    command += ['--test-path', f'./tests/{suite}', 'run', '--subunit']
    command += ['--concurrency', str(workers)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as stestr:
        stream = testtools.StreamToDict(reporter.finished)
        stream.startTestRun()
        subunit.ByteStreamToStreamResult(
            stestr.stdout, non_subunit_name='stestr'
        ).run(stream)
        stream.stopTestRun()
    for reason, number in sorted(reporter.reasons.items()):
        print(f'{suite}: SKIPPED {number}: {reason}')
    print(
        f'{suite}: {reporter.own} in {time.monotonic() - started:.0f} s',
        flush=True,
    )
    # 1 stands for failed tests; a negative number for a signal.
    if stestr.returncode not in (0, 1) or (
        stestr.returncode and not reporter.own.failed
    ):
        print(f'{suite}: stestr exited with {stestr.returncode}', flush=True)
    return stestr.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('suites', nargs='*', metavar='SUITE')
    parser.add_argument(
        '--workers', type=int, default=0, help='how many processes'
    )
    parser.add_argument(
        '--results', type=pathlib.Path, help='write the counts there, as JSON'
    )
    options = parser.parse_args()
    counts = Counts()
    suites = [suite for suite in options.suites or SUITES if has_tests(suite)]
    complaints = [
        f'suite {suite} failed'
        for suite in suites
        if not run_suite(suite, counts, options.workers)
    ]
    if not counts.passed + counts.failed:
        complaints.append('no test ran')
    if not options.suites:
        unclean = lint.lint(list(lint.CHECKS))
        if unclean:
            complaints.append(f'lint failed: {", ".join(unclean)}')
    if options.results:
        options.results.write_text(json.dumps(dataclasses.asdict(counts)))
    for complaint in complaints:
        print(f'NOT OK: {complaint}')
    print(counts)
    return 1 if complaints or counts.failed else 0


if __name__ == '__main__':
    sys.exit(main())
