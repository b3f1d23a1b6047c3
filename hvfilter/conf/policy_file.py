# SPDX-License-Identifier: Apache-2.0
"""The policy of nova-scheduler, read from its configuration files.

As HardwareVirtFilter reads it, where no nova is installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from hvfilter.conf import config_files, scheduler, scheduler_values
from hvfilter.model.policy import NestedSetOnMove, Policy

_FILTER = 'HardwareVirtFilter'
_FILTERS = 'enabled_filters'
_FILTERS_GROUP = 'filter_scheduler'


@dataclasses.dataclass(frozen=True)
class SchedulerPolicy:
    """What decides whether HardwareVirtFilter accepts a host.

    :ivar max_age_weeks: ``report_max_age_weeks``
    :ivar nested_set_on_move: what moving a server asks of its new host beside
    :ivar enabled: False where the files list filters and this one is missing
    """

    policy: Policy = dataclasses.field(default_factory=Policy)
    max_age_weeks: int = 2
    enabled: bool = True
    nested_set_on_move: NestedSetOnMove = NestedSetOnMove.PREFER


def load(files: Sequence[str]) -> SchedulerPolicy:
    """Read files as nova-scheduler does with ``--config-file``.

    :param files: later ones override earlier ones
    :raises hvfilter.model.problem.Problem: nova-scheduler would not start
        with them
    """
    conf = cfg.ConfigOpts()
    scheduler.register(conf)
    conf.register_opt(cfg.ListOpt(_FILTERS), group=_FILTERS_GROUP)
    config_files.read(conf, files)
    names = ', '.join(files)
    values: dict[str, Any] = {}
    for name in scheduler_values.NAMES:
        try:
            values[name] = conf.hvfilter[name]
        except (cfg.Error, ValueError) as error:
            raise config_files.unusable(
                scheduler_values.problem(name, error, names),
                'Correct it; nova-scheduler does not start with it.',
            ) from None
    for problem in scheduler_values.contradictions(values).values():
        raise config_files.unusable(
            f'{names}: {problem}',
            'Correct it; nova-scheduler does not start with it.',
        )
    listed = conf[_FILTERS_GROUP][_FILTERS]
    return SchedulerPolicy(
        scheduler_values.policy(values),
        values['report_max_age_weeks'],
        listed is None or _FILTER in listed,
        NestedSetOnMove(values['nested_set_on_move']),
    )
