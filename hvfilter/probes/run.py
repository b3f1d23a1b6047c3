# SPDX-License-Identifier: Apache-2.0
"""Run every registered probe on one host."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from hvfilter import plugins
from hvfilter.model.finding import Observation
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext

LOG = logging.getLogger(__name__)
NAMESPACE = 'hvfilter.probes'


def _only_logged(name: str) -> None:
    """Where nobody counts the probes that failed."""


def registered(
    failed: Callable[[str], None] = _only_logged,
) -> tuple[Probe, ...]:
    """An instance of every probe in the namespace, in order of name.

    A probe that cannot be loaded is left out and logged; the others still
    report their observations.

    :param failed: called with the name of each that was left out
    """
    loaded = plugins.load(NAMESPACE, make=lambda probe: probe())
    for name, problem in loaded.problems.items():
        LOG.error('%s', problem)
        if name not in loaded.loaded:
            failed(name)
    return tuple(loaded.loaded.values())


def observe(
    host: ProbeContext,
    probes: Iterable[Probe],
    failed: Callable[[str], None] = _only_logged,
) -> list[Observation]:
    """All observations of the probes that fit the host's architecture.

    What a probe observed before it failed is kept.

    :param failed: called with the name of the class of each that failed
    """
    observations: list[Observation] = []
    for probe in probes:
        if host.arch not in probe.archs:
            continue
        try:
            for observation in probe.observe(host):
                observations.append(observation)
        except Exception:
            LOG.exception(
                'Probe %s failed; what it did not observe is unknown. This '
                'is a bug: report it with the output of "hvfilter record"',
                type(probe).__name__,
            )
            failed(type(probe).__name__)
    return observations
