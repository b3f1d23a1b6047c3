# SPDX-License-Identifier: Apache-2.0
"""``hvfilter withdraw``: leave nothing of ours behind."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from oslo_config import cfg

from hvfilter.cli import agent as common
from hvfilter.cli import command, streams
from hvfilter.host.live import LiveHost
from hvfilter.placement import client, errors, fleet, reconcile
from hvfilter.publish import base, flavors, left_over, placement, run

WIDTH = 40
"""Columns of the progress bar."""

Listing = tuple[Sequence[str], Iterable[Sequence[str]]]


class Withdraw(common.AgentCommand):
    """Take back what was published, on this host or in the whole cloud.

    For this host every publisher in [hvfilter]publishers is asked. With
    --all our traits are taken off every resource provider and their names
    are deleted from Placement. Take HardwareVirtFilter out of nova-scheduler
    first: it would find no host any more.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--all',
            action='store_true',
            help='From every resource provider of the cloud, not only from '
            "this host's; asks first",
        )
        parser.add_argument(
            '--yes', action='store_true', help='With --all: do not ask'
        )
        parser.add_argument(
            '--force',
            action='store_true',
            help='With --all: even while flavors ask for our traits, or '
            'nobody can tell whether any do',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Listing:
        """See ``cliff.command.Command``."""
        conf = common.configuration(parsed_args)
        if parsed_args.all:
            try:
                return self._everywhere(conf, parsed_args)
            except errors.PlacementError as error:
                raise base.Failed(
                    error.what, error.remedy, transient=error.transient
                ) from error
        identity = common.identity(LiveHost(smoke=False), conf)
        publishers = run.load(conf.hvfilter.publishers, conf)
        dry_run = parsed_args.dry_run
        result = run.withdraw(publishers, identity, dry_run=dry_run)
        self.status = common.status(result)
        triggers = left_over.triggers()
        if triggers:
            self.say(_would_publish_again(triggers))
            self.status = self.status or common.TRY_AGAIN
        return self.list_result(result, dry_run=dry_run)

    def _everywhere(
        self, conf: cfg.ConfigOpts, parsed_args: argparse.Namespace
    ) -> Listing:
        asked = client.PlacementClient(placement.transport_of(conf))
        there = fleet.presence(asked)
        self.say(
            f'{len(there.providers)} resource providers carry traits of '
            f'ours; Placement knows {len(there.names)} names of ours.'
        )
        if not parsed_args.force:
            _refuse_while_asked_for(conf)
        columns = ('Trait', 'Change')
        if parsed_args.dry_run:
            would = [(name, 'would be deleted') for name in there.names]
            return columns, sorted(would)
        if there.names and not parsed_args.yes:
            self._confirm(len(there.providers), len(there.names))
        bar = Bar(self.app.stderr, len(there.providers))
        done = fleet.withdraw(
            asked,
            reconcile.Reconciler(
                asked,
                reconcile.Patience(
                    conf.hvfilter.publish_deadline_s,
                    conf.hvfilter.publish_conflict_retries,
                ),
            ),
            there,
            bar.show,
        )
        bar.end()
        for name, error in done.failures:
            self.say(f'{name}: {error}')
        if done.failures:
            self.status = common.FAILED
        self.say(
            f'{done.cleaned} of {len(there.providers)} resource providers '
            f'are clean; {len(done.deleted)} names were deleted.'
        )
        return columns, [(name, 'deleted') for name in sorted(done.deleted)]

    def _confirm(self, providers: int, names: int) -> None:
        if not sys.stdin.isatty():
            raise command.Trouble(
                'Nobody is there to be asked; say --yes to go on without'
            )
        print(
            f'Take our traits off {providers} resource providers and delete '
            f'{names} names? [y/N] ',
            end='',
            file=self.app.stderr,
            flush=True,
        )
        if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
            raise command.Trouble('Nothing was changed')


def _would_publish_again(triggers: Sequence[str]) -> str:
    return (
        f'{", ".join(triggers)}: starts hvfilter on this host, which would '
        'publish again. Run "systemctl disable --now" for units, "systemctl '
        f'mask {left_over.SERVICE}" where a udev rule stays; then withdraw '
        'again.'
    )


def _refuse_while_asked_for(conf: cfg.ConfigOpts) -> None:
    try:
        found = flavors.asking(placement.transport_of(conf, service='compute'))
    except errors.PlacementError as error:
        raise base.Failed(
            f'It cannot be told whether flavors ask for our traits: '
            f'{error.what}',
            f'{error.remedy} With --force nobody asks.',
        ) from error
    if found:
        listed = '; '.join(
            f'{each.flavor}: {", ".join(each.specs)}' for each in found
        )
        raise base.Failed(
            f'Flavors ask for what would be gone ({listed})',
            'Their guests would find no host. Take the extra specs off with '
            '"openstack flavor unset", or say --force.',
        )


class Bar:
    """A progress bar, where a person looks on."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._shown = stream.isatty() and total > 0

    def show(self, done: int) -> None:
        """So many are done."""
        if self._shown:
            full = WIDTH * done // self._total
            bar = '#' * full + '.' * (WIDTH - full)
            streams.rewrite_line(self._stream, f'[{bar}] {done}/{self._total}')

    def end(self) -> None:
        """Nothing more comes."""
        if self._shown:
            print(file=self._stream)
