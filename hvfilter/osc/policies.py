# SPDX-License-Identifier: Apache-2.0
"""``--policy``: by which policy a command judges, that of aggregates too."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from hvfilter.conf import policy_file
from hvfilter.model.policy import Mode, Policy
from hvfilter.osc.compute import Aggregate
from hvfilter.rules import aggregate_policy

DEFAULTS = (
    'No --policy: judged by the defaults of the [hvfilter] options. If '
    'nova-scheduler has other values, name its nova.conf with --policy.'
)


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--policy FILE``, which can be repeated."""
    parser.add_argument(
        '--policy',
        metavar='<file>',
        action='append',
        default=[],
        help="nova-scheduler's nova.conf: judge by its [hvfilter] options; "
        'repeat for several files, later ones override earlier ones '
        '(default: the defaults of these options)',
    )


class Policies:
    """The policy for each host.

    :ivar base: that of nova.conf
    :ivar max_age_weeks: how old a valid report may be; 0: any age
    :ivar nested_set_on_move: what moving a server asks of its new host beside
    """

    def __init__(
        self,
        scheduler: policy_file.SchedulerPolicy,
        warn: Callable[[str], None],
    ) -> None:
        self.base = scheduler.policy
        self.max_age_weeks = scheduler.max_age_weeks
        self.nested_set_on_move = scheduler.nested_set_on_move
        self._warn = warn
        self._known: dict[tuple[str, ...], Policy] = {(): self.base}

    def under(self, aggregates: Sequence[Aggregate]) -> Policy:
        """The policy for a host in these aggregates: as the filter has it.

        Invalid metadata is reported and does not count.
        """
        key = tuple([each.uuid for each in aggregates])
        if key not in self._known:
            self._known[key] = aggregate_policy.combine(
                self.base,
                [
                    aggregate_policy.values(
                        each.name, each.metadata, {}, self._warn
                    )
                    for each in aggregates
                ],
            )
        return self._known[key]


def load(
    files: Sequence[str],
    max_age_weeks: int | None,
    warn: Callable[[str], None],
) -> Policies:
    """The policy of these files; the defaults, and a warning, without any.

    :param max_age_weeks: instead of ``report_max_age_weeks``; None: not given
    :param warn: gets a sentence about what the user should know
    :raises hvfilter.model.problem.Problem: a file or a value is not valid
    """
    if files:
        scheduler = policy_file.load(files)
        for sentence in _odd(scheduler, ', '.join(files)):
            warn(sentence)
    else:
        scheduler = policy_file.SchedulerPolicy()
        warn(DEFAULTS)
    policies = Policies(scheduler, warn)
    if max_age_weeks is not None:
        policies.max_age_weeks = max_age_weeks
    return policies


def _odd(scheduler: policy_file.SchedulerPolicy, files: str) -> list[str]:
    """What of a policy makes verdicts differ from what Nova does."""
    found = []
    if not scheduler.enabled:
        found.append(
            f'{files}: [filter_scheduler] enabled_filters does not name '
            'HardwareVirtFilter, so nova-scheduler does not enforce these '
            'verdicts.'
        )
    if scheduler.policy.mode is Mode.PERMISSIVE:
        found.append(
            f'{files}: [hvfilter] mode = permissive, so nova-scheduler logs '
            'these verdicts and all hosts pass.'
        )
    return found
