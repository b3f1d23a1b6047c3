# SPDX-License-Identifier: Apache-2.0
"""Run the demonstration. Exit status 0: every guest landed where it may."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import sys
import tempfile
import unittest
from collections.abc import Iterator, Sequence

# First: it decides how Nova runs, before anything else loads parts of it.
import tests.functional  # noqa: F401
from tests.demo import cloud, hosts, tables
from tests.demo.guests import GUESTS
from tests.demo.progress import Progress

LOG_FILE = pathlib.Path(__file__).parents[2] / 'demo.log'

NOVA_CONF = """\
[libvirt]
virt_type = kvm
"""
"""What the nova-compute on this machine is taken to be configured with."""


def main() -> int:
    """Tell what is done, show what came out, and judge it."""
    progress = Progress(sys.stdout)
    print(f'All that Nova says goes to {LOG_FILE.resolve()}.')
    with _log() as handler:
        candidates = _look(progress)
        demo = cloud.DemoCloud(candidates, GUESTS, handler, progress)
        result = unittest.TestResult()
        demo.run(result)
    if not result.wasSuccessful():
        for _, traceback in result.errors + result.failures:
            print(traceback.rstrip().splitlines()[-1], file=sys.stderr)
        print(
            f'The demonstration broke off; the log is in {LOG_FILE}.',
            file=sys.stderr,
        )
        return 2
    return _show(candidates, demo.outcome, progress)


def _look(progress: Progress) -> list[hosts.Candidate]:
    recorded = len(hosts.PLACES) - 1
    with (
        progress.step(f'Probing this machine, and {recorded} recorded ones'),
        tempfile.TemporaryDirectory() as folder,
    ):
        nova_conf = pathlib.Path(folder) / 'nova.conf'
        nova_conf.write_text(NOVA_CONF)
        return [hosts.candidate(place, nova_conf) for place in hosts.PLACES]


def _show(
    candidates: Sequence[hosts.Candidate],
    outcome: cloud.Outcome,
    progress: Progress,
) -> int:
    console = tables.console()
    console.print()
    console.print(tables.hosts(candidates))
    console.print(tables.guests(GUESTS, candidates, outcome))
    for guest in GUESTS:
        landing = outcome.with_it[guest.name]
        if landing.host is None and landing.told:
            console.print(
                f'What nova-scheduler logged about {guest.name!r}:\n'
                f'  {landing.told}\n',
                soft_wrap=True,
            )
    reports = {c.place.name: c.report for c in candidates}
    wrong = {
        name: [
            guest.name
            for guest in GUESTS
            if not tables.right(guest, landings[guest.name], reports)
        ]
        for name, landings in (
            ('without', outcome.without),
            ('with', outcome.with_it),
        )
    }
    for name in wrong:
        names = f' ({", ".join(wrong[name])})' if wrong[name] else ''
        console.print(
            f'{name.capitalize()} hvfilter {len(wrong[name])} of '
            f'{len(GUESTS)} guests landed wrong{names}.'
        )
    console.print(f'{progress.seconds:.0f} s in all.')
    return 1 if wrong['with'] else 0


@contextlib.contextmanager
def _log() -> Iterator[logging.Handler]:
    """Takes what Nova and its libraries write, wherever they write it."""
    with (
        LOG_FILE.open('w', encoding='utf-8') as file,
        contextlib.redirect_stderr(file),
    ):
        handler = logging.StreamHandler(file)
        handler.setLevel(logging.INFO)
        handler.setFormatter(
            logging.Formatter('%(asctime)s %(levelname)s %(name)s %(message)s')
        )
        yield handler


if __name__ == '__main__':
    sys.exit(main())
