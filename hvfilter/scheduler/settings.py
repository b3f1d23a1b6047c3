# SPDX-License-Identifier: Apache-2.0
"""The options of [hvfilter], with their last valid values.

An invalid value stops nova-scheduler when it starts. Taken over later, at
SIGHUP, it must not: the last valid policy stays in force. oslo.config checks a
value when it is read, so each read can fail.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

import nova.conf
from oslo_config import cfg
from oslo_log import log as logging

from hvfilter.conf import scheduler_values
from hvfilter.model.policy import NestedSetOnMove, Policy
from hvfilter.placement.trait_cache import CacheTimes

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What nova.conf says, checked.

    :ivar scarce: keys of the capabilities to keep free where possible
    :ivar preferred_multiplier: of HardwareVirtWeigher; finite
    :ivar scarce_multiplier: likewise
    :ivar report_max_age_weeks: for how long a report is valid; 0: for ever
    :ivar nested_set_on_move: what counts when a server is moved
    """

    policy: Policy
    times: CacheTimes
    scarce: frozenset[str]
    preferred_multiplier: float
    scarce_multiplier: float
    report_max_age_weeks: int
    nested_set_on_move: NestedSetOnMove


class ConflictingOptions(ValueError):
    """Options that are valid alone and not together."""


class LastValid:
    """Reads the options; safe to use by many threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._values: dict[str, Any] = {}
        self._settings: Settings | None = None
        self._named: dict[str, str] = {}

    def start(self) -> Settings:
        """Read all, as a service that starts does.

        :raises oslo_config.cfg.Error: a value is not allowed
        :raises ValueError: likewise
        :raises ConflictingOptions: options contradict one another
        """
        values = {
            name: getattr(CONF.hvfilter, name)
            for name in scheduler_values.NAMES
        }
        for problem in scheduler_values.contradictions(values).values():
            raise ConflictingOptions(problem)
        with self._lock:
            self._named.clear()
            return self._keep(values)

    def current(self) -> Settings:
        """Read all; an invalid option keeps its last valid value.

        Each such option is logged once, until it is valid again.
        """
        if self._settings is None:
            return self.start()
        group, before = CONF.hvfilter, self._values
        values: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for name in scheduler_values.NAMES:
            try:
                values[name] = getattr(group, name)
            except (cfg.Error, ValueError) as error:
                wrong[name] = scheduler_values.problem(name, error)
                values[name] = before[name]
        if values != before:
            for name, problem in scheduler_values.contradictions(
                values
            ).items():
                values[name] = before[name]
                wrong.setdefault(name, problem)
        if wrong or self._named:
            self._report(wrong)
        settings = self._settings
        if values == before and settings is not None:
            return settings
        with self._lock:
            return self._keep(values)

    def _keep(self, values: dict[str, Any]) -> Settings:
        settings = _settings(values)
        self._values, self._settings = values, settings
        return settings

    def _report(self, wrong: Mapping[str, str]) -> None:
        with self._lock:
            news: dict[str, list[str]] = {}
            for name, problem in wrong.items():
                if self._named.get(name) != problem:
                    news.setdefault(problem, []).append(name)
            self._named = dict(wrong)
            values = self._values
        for problem, names in news.items():
            kept = (
                f'{name} = {scheduler_values.words(values[name])}'
                for name in names
            )
            LOG.error(
                '%s. The last valid value stays in force (%s). Correct '
                'nova.conf and send SIGHUP again.',
                problem,
                ', '.join(kept),
            )


def _settings(values: Mapping[str, Any]) -> Settings:
    return Settings(
        scheduler_values.policy(values),
        CacheTimes(
            values['refresh_s'],
            values['trust_s'],
            values['retry_s'],
            values['wait_s'],
        ),
        frozenset(values['scarce']),
        values['preferred_weight_multiplier'],
        values['scarce_weight_multiplier'],
        values['report_max_age_weeks'],
        NestedSetOnMove(values['nested_set_on_move']),
    )


_last_valid = LastValid()


def start() -> Settings:
    """See :meth:`LastValid.start`; from now on SIGHUP is noticed at once."""
    CONF.register_mutate_hook(_mutated)
    return _last_valid.start()


def current() -> Settings:
    """See :meth:`LastValid.current`."""
    return _last_valid.current()


def _mutated(conf: cfg.ConfigOpts, fresh: object) -> None:
    """Read the options where nova-scheduler takes them over.

    On native threads that is the parent of the workers, which are started
    anew from it: they inherit what made sense, and what was logged already.
    """
    try:
        _last_valid.current()
    except Exception:
        LOG.exception('Could not read the options of [hvfilter].')
