# SPDX-License-Identifier: Apache-2.0
"""``hvfilter publish``: probe this host and publish the result."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from oslo_config import cfg

from hvfilter.cli import (
    exit_codes,
    history_keeping,
    host_command,
    host_identity,
    inputs,
    overrides,
    placement_command,
)
from hvfilter.host.live import LiveHost
from hvfilter.model import catalogue, document, form
from hvfilter.model.finding import Finding, HostReport, State
from hvfilter.model.problem import Problem
from hvfilter.model.week import Week
from hvfilter.publish import base, publishers, state_directory
from hvfilter.rules import traits

NO_WEEK = (
    "The week of the report is not published: this host's clock, or the time "
    'of the report file, is not in the years 2000 to 2999. Set the clock.'
)


class Publish(host_command.HostCommand, placement_command.PublisherCommand):
    """Probe this host and publish its capabilities.

    Exit status: 0 if everything is published; 75 if it failed for a temporary
    reason (the next run tries again), if a published capability could not be
    determined now, or if something else adds removed traits again; 1 if
    somebody has to fix something first.
    """

    error_status = exit_codes.FAILED

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--report',
            metavar='<file>',
            help='Publish this report that "hvfilter probe -f json" wrote '
            '("-" for standard input) and probe no host. A report or a '
            'recording may describe another host, so --provider-uuid or '
            '--provider-name must name its resource provider',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
        """See ``cliff.command.Command``."""
        conf = placement_command.config_from_args(parsed_args)
        chosen = publishers.load(conf.hvfilter.publishers, conf)
        report, identity = self._report_and_identity(conf, parsed_args)
        report = overrides.as_published(
            LiveHost(smoke=False), report, parsed_args
        )
        for finding in report.findings:
            if finding.override is not None:
                self.say(_override_line(finding, finding.override.origin))
        if report['kvm'].state is State.UNKNOWN:
            self.say(_kvm_unknown_line(report['kvm']))
        probed_s = _probed_s(parsed_args.report)
        week = Week.at(probed_s)
        if week is None:
            self.say(NO_WEEK)
        max_age_weeks = conf.hvfilter.report_max_age_weeks
        context = base.PublishContext(
            report,
            traits.desired(report, week, max_age_weeks),
            identity,
            probed_s=probed_s,
            now_s=time.time(),
        )
        dry_run = parsed_args.dry_run
        outcomes = publishers.publish(chosen, context, dry_run=dry_run)
        self.status = placement_command.exit_status(outcomes)
        if report['kvm'].state is State.UNKNOWN:
            self.status = self.status or exit_codes.TRY_AGAIN
        for line in _unverified(report, outcomes, max_age_weeks):
            self.say(line)
        return self.list_outcomes(outcomes, dry_run=dry_run)

    def _report_and_identity(
        self, conf: cfg.ConfigOpts, parsed_args: argparse.Namespace
    ) -> tuple[HostReport, base.Identity]:
        """The report and which host it describes.

        Only a live report certainly describes this host, and is remembered.
        """
        if parsed_args.report is None:
            host = host_command.host_from_args(parsed_args)
            if isinstance(host, LiveHost):
                identity = host_identity.identity(host, conf)
                return self._live_report(host, parsed_args), identity
        if not conf.hvfilter.provider_uuid and not conf.hvfilter.provider_name:
            raise Problem(
                'The report may describe another host',
                'Name its resource provider with --provider-uuid or '
                '--provider-name.',
            )
        if parsed_args.report is None:
            return host_command.report_on(host, parsed_args), base.Identity()
        return _read(parsed_args.report), base.Identity()

    def _live_report(
        self, host: LiveHost, parsed_args: argparse.Namespace
    ) -> HostReport:
        if parsed_args.dry_run:
            return host_command.report_on(host, parsed_args)
        directory = state_directory.StateDirectory(state_directory.default())
        with history_keeping.turn(directory, self.say) as ours:
            if not ours:
                return host_command.report_on(host, parsed_args)
            recording = history_keeping.recording_of(host)
            report = host_command.report_on(recording, parsed_args)
            history_keeping.keep(recording, report, directory, self.say)
            return report


def _read(path: str) -> HostReport:
    try:
        return document.loads(inputs.read_input(path))
    except form.DocumentError as error:
        raise Problem(
            f'{path} is not a report: {error}',
            'Write one with "hvfilter probe -f json".',
        ) from None


def _probed_s(report: str | None) -> float:
    """When the host was probed, as far as it is known."""
    if report is None or report == '-':
        return time.time()
    return Path(report).stat().st_mtime


def _kvm_unknown_line(kvm: Finding) -> str:
    return (
        'Could not determine whether this host runs KVM guests; '
        f'{catalogue.REPORTED_TRAIT} is left unchanged: {kvm.reason}.'
        f'{_to_find_out(kvm)}'
    )


def _unverified(
    report: HostReport, outcomes: Sequence[base.Outcome], max_age_weeks: int
) -> Iterator[str]:
    """Why traits stay whose state is unknown now."""
    names = frozenset[str]().union(
        *(outcome.unverified for outcome in outcomes)
    )
    stays = (
        'It is removed once its state has been unknown for more than '
        f'{max_age_weeks} weeks ([hvfilter] report_max_age_weeks).'
        if max_age_weeks
        else 'It stays until the state is known, because [hvfilter] '
        'report_max_age_weeks = 0.'
    )
    for name in sorted(names & catalogue.BY_TRAIT.keys()):
        finding = report[catalogue.BY_TRAIT[name].key]
        yield (
            f'{name} was published earlier and is left unchanged, although '
            f'its state is unknown now: {finding.reason}.'
            f'{_to_find_out(finding)} {stays}'
        )


def _to_find_out(finding: Finding) -> str:
    return f' To find out: {finding.remedy}.' if finding.remedy else ''


def _override_line(finding: Finding, origin: str) -> str:
    return (
        f'Publishing {finding.capability} as {finding.state.value} '
        f'(overridden by {origin}; detected: {finding.found.value}, '
        f'{finding.reason})'
    )
