# SPDX-License-Identifier: Apache-2.0
"""``hvfilter withdraw``: remove what was published."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from oslo_config import cfg

from hvfilter.cli import exit_codes, host_identity, placement_command, streams
from hvfilter.host.live import LiveHost
from hvfilter.model.problem import Problem
from hvfilter.model.week import Week
from hvfilter.placement import client, connect, fleet, reconcile, trait_users
from hvfilter.publish import left_over, publishers

WIDTH = 40
"""Columns of the progress bar."""

Listing = tuple[Sequence[str], Iterable[Sequence[str]]]


class Withdraw(placement_command.PublisherCommand):
    """Remove what was published, on this host or in the whole cloud.

    For this host, every publisher in [hvfilter] publishers withdraws. With
    --all, hvfilter traits are removed from every resource provider and their
    names are deleted from Placement. Remove HardwareVirtFilter from
    [filter_scheduler] enabled_filters first: it would reject every host.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--all',
            action='store_true',
            help='Remove from every resource provider of the cloud, not only '
            "from this host's; asks for confirmation",
        )
        parser.add_argument(
            '--yes',
            action='store_true',
            help='With --all: skip the confirmation',
        )
        parser.add_argument(
            '--force',
            action='store_true',
            help='With --all: proceed even if flavors, servers, images or '
            'aggregates still name hvfilter traits, or if that cannot be '
            'checked',
        )
        parser.add_argument(
            '--keep-names',
            action='store_true',
            help='With --all: keep the trait names in Placement, so that '
            'requests that forbid one remain valid; requests that require '
            'one find no host',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Listing:
        """See ``cliff.command.Command``."""
        conf = placement_command.config_from_args(parsed_args)
        if parsed_args.all:
            return self._everywhere(conf, parsed_args)
        identity = host_identity.identity(LiveHost(smoke=False), conf)
        chosen = publishers.load(conf.hvfilter.publishers, conf)
        dry_run = parsed_args.dry_run
        outcomes = publishers.withdraw(chosen, identity, dry_run=dry_run)
        self.status = placement_command.exit_status(outcomes)
        triggers = left_over.triggers()
        if triggers:
            self.say(_still_triggered(triggers))
            self.status = self.status or exit_codes.TRY_AGAIN
        return self.list_outcomes(outcomes, dry_run=dry_run)

    def _everywhere(
        self, conf: cfg.ConfigOpts, parsed_args: argparse.Namespace
    ) -> Listing:
        placement = client.PlacementClient(connect.transport_of(conf))
        usage = fleet.trait_usage(placement)
        self.say(
            f'{len(usage.providers)} resource providers have hvfilter '
            f'traits; Placement defines {len(usage.names)} hvfilter trait '
            'names.'
        )
        for line in _still_reporting(usage, Week.at(time.time())):
            self.say(line)
        if not parsed_args.force:
            _refuse_while_in_use(conf)
        columns = ('Trait', 'Change')
        keep_names = parsed_args.keep_names
        if parsed_args.dry_run:
            would = 'would be kept' if keep_names else 'would be deleted'
            return columns, sorted((name, would) for name in usage.names)
        if usage.names and not parsed_args.yes:
            self._confirm(usage, keep_names=keep_names)
        result = self._withdraw(conf, placement, usage, keep_names=keep_names)
        for name, error in result.failures:
            self.say(f'{name}: {error}')
        if result.failures:
            self.status = exit_codes.FAILED
        self.say(
            f'{result.cleaned} of {len(usage.providers)} resource providers '
            f'are clean; {len(result.deleted)} names were deleted.'
        )
        self._check_again(placement, result)
        return columns, [(name, 'deleted') for name in sorted(result.deleted)]

    def _withdraw(
        self,
        conf: cfg.ConfigOpts,
        placement: client.PlacementClient,
        usage: fleet.TraitUsage,
        *,
        keep_names: bool,
    ) -> fleet.CleanupResult:
        reconciler = reconcile.Reconciler(
            placement,
            reconcile.RetryPolicy(
                conf.hvfilter.publish_deadline_s,
                conf.hvfilter.publish_conflict_retries,
            ),
        )
        bar = Bar(self.app.stderr, len(usage.providers))
        result = fleet.withdraw(
            placement, reconciler, usage, bar.show, keep_names=keep_names
        )
        bar.end()
        return result

    def _check_again(
        self, placement: client.PlacementClient, result: fleet.CleanupResult
    ) -> None:
        """In a large cloud, the first providers may have traits again."""
        if result.failures or not result.cleaned:
            return
        back = fleet.trait_usage(placement).providers
        if back:
            self.say(
                f'{len(back)} resource providers have hvfilter traits again '
                f'({", ".join(sorted(back.values())[:10])}): an agent or a '
                'nova-compute with a provider.yaml publishes there. Stop '
                'hvfilter-publish.timer, remove the file and restart '
                'nova-compute on these hosts, then withdraw again.'
            )
            self.status = exit_codes.TRY_AGAIN
        else:
            self.say(
                'Run this again after 15 minutes: exit status 0 with 0 '
                'resource providers means that nothing publishes any more.'
            )

    def _confirm(self, usage: fleet.TraitUsage, *, keep_names: bool) -> None:
        if not sys.stdin.isatty():
            raise Problem(
                'Cannot ask for confirmation: standard input is not a '
                'terminal',
                'Pass --yes to skip the confirmation.',
            )
        names = '' if keep_names else f' and delete {len(usage.names)} names'
        print(
            f'Remove the hvfilter traits of {len(usage.providers)} resource '
            f'providers{names}? [y/N] ',
            end='',
            file=self.app.stderr,
            flush=True,
        )
        if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
            raise Problem('Not confirmed', 'Nothing was changed.')


def _still_reporting(
    usage: fleet.TraitUsage, now: Week | None
) -> Iterator[str]:
    """What may publish again, as far as Placement shows it."""
    reporting = usage.reported.get(now, 0) if now is not None else 0
    if reporting:
        yield (
            f'{reporting} of them reported this week ({now}): where '
            'hvfilter-publish.timer is still enabled, the host publishes '
            'again within ten minutes.'
        )
    dateless = len(usage.providers) - sum(usage.reported.values())
    if dateless > 0:
        yield (
            f'{dateless} of them have no week of a report: nova-compute '
            'published them from a provider.yaml, and adds them again until '
            'the file is removed and nova-compute is restarted; or a release '
            'of hvfilter without weeks published them.'
        )


def _still_triggered(triggers: Sequence[str]) -> str:
    return (
        f'{", ".join(triggers)} would start "hvfilter publish" on this host '
        'again. Run "systemctl disable --now" for units, and "systemctl mask '
        f'{left_over.SERVICE}" if a udev rule stays; then withdraw again.'
    )


_MOST_LISTED = 20
"""The most users to list; there may be thousands of servers."""


def _refuse_while_in_use(conf: cfg.ConfigOpts) -> None:
    def reach(service: str) -> client.Transport:
        return connect.transport_of(conf, service=service)

    usage = trait_users.find_users(reach)
    unchecked = '. '.join(
        dict.fromkeys(error.what for error in usage.unchecked)
    )
    if usage.users:
        listed = '; '.join(map(str, usage.users[:_MOST_LISTED]))
        more = len(usage.users) - _MOST_LISTED
        listed += f'; and {more} more' if more > 0 else ''
        also = f' Not everything could be checked: {unchecked}.'
        raise Problem(
            f'hvfilter traits are still in use: {listed}',
            'Without the traits no host would match them; servers fail when '
            'they are moved or unshelved. Remove the extra specs, properties '
            'and metadata '
            '("openstack flavor unset", "image unset", "aggregate unset"), '
            'resize the servers to flavors without them, rebuild those of '
            'the images from the changed images, or use --force to skip '
            f'this check.{also if unchecked else ""}',
        )
    if usage.unchecked:
        raise Problem(
            'Could not check whether hvfilter traits are still in use: '
            f'{unchecked}',
            f'{usage.unchecked[0].remedy} Use --force to skip this check.',
            transient=all(error.transient for error in usage.unchecked),
        )


class Bar:
    """A progress bar on a terminal."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._shown = stream.isatty() and total > 0

    def show(self, done: int) -> None:
        """Draw the bar for so many of the total."""
        if self._shown:
            full = WIDTH * done // self._total
            bar = '#' * full + '.' * (WIDTH - full)
            streams.rewrite_line(self._stream, f'[{bar}] {done}/{self._total}')

    def end(self) -> None:
        """End the line of the bar."""
        if self._shown:
            print(file=self._stream)
