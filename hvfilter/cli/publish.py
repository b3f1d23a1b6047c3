# SPDX-License-Identifier: Apache-2.0
"""``hvfilter publish``: look at this host and tell others."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from oslo_config import cfg

from hvfilter.cli import agent as common
from hvfilter.conf import agent
from hvfilter.host.live import LiveHost
from hvfilter.model import document, form
from hvfilter.model.finding import HostReport, Overrule
from hvfilter.publish import base, run
from hvfilter.rules import overrule, traits


class Publish(common.AgentCommand):
    """Look at this host and publish what it can do.

    Exit status: 0 when everything is published; 75 when it failed for a
    reason that may pass (the next run tries again); 1 when somebody has to
    mend something first.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """See ``cliff.command.Command``."""
        parser = super().get_parser(prog_name)
        common.add_arguments_of_probing(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
        """See ``cliff.command.Command``."""
        conf = common.configuration(parsed_args)
        publishers = run.load(conf.hvfilter.publishers, conf)
        overrules = _overrules(conf)
        if parsed_args.report:
            report, probed_s = _read(parsed_args.report)
            identity = base.Identity()
        else:
            host = LiveHost(smoke=not parsed_args.no_smoke)
            report = _look(host, parsed_args.config_file)
            probed_s = time.time()
            identity = common.identity(host, conf)
        report = overrule.apply(report, overrules)
        for key in overrules:
            self.say(_told(report, key))
        occasion = base.Occasion(
            report,
            traits.wanted(report),
            identity,
            probed_s=probed_s,
            now_s=time.time(),
        )
        dry_run = parsed_args.dry_run
        result = run.publish(publishers, occasion, dry_run=dry_run)
        self.status = common.status(result)
        return self.list_result(result, dry_run=dry_run)


def _look(host: LiveHost, config_files: list[str] | None) -> HostReport:
    from hvfilter.report.examine import examine

    nova = tuple(config_files) if config_files else None
    return examine(host, nova)


def _read(path: str) -> tuple[HostReport, float]:
    """A report that was written before, and when it was."""
    try:
        if path == '-':
            return document.loads(sys.stdin.buffer.read()), time.time()
        file = Path(path)
        return document.loads(file.read_bytes()), file.stat().st_mtime
    except OSError as error:
        raise base.Failed(
            f'The report {path} cannot be read: {error.strerror}',
            'Write one with "hvfilter probe -f json".',
        ) from None
    except form.FormError as error:
        raise base.Failed(
            f'{path} is no report: {error}',
            'Write one with "hvfilter probe -f json".',
        ) from None


def _overrules(conf: cfg.ConfigOpts) -> dict[str, Overrule]:
    """What the operator says against the findings, and where."""
    words = conf.hvfilter.overrule
    if not words:
        return {}
    found = conf.get_location('overrule', agent.GROUP.name)
    where = f' in {found.detail}' if found and found.detail else ''
    try:
        return overrule.parse(words, f'[hvfilter]overrule{where}')
    except ValueError as error:
        raise base.Failed(str(error), 'Correct the option.') from None


def _told(report: HostReport, key: str) -> str:
    finding = report[key]
    return (
        f'{key} is published as {finding.state.value} because '
        f'{finding.overrule.origin if finding.overrule else ""} says so; '
        f'found was {finding.found.value}: {finding.reason}'
    )
