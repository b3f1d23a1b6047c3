# SPDX-License-Identifier: Apache-2.0
"""Run every registered probe on one host."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from hvfilter import plugins
from hvfilter.model.finding import Observation
from hvfilter.probes.base import Probe
from hvfilter.probes.context import ProbeContext

LOG = logging.getLogger(__name__)
NAMESPACE = 'hvfilter.probes'


def registered() -> tuple[Probe, ...]:
    """An instance of every probe in the namespace, in order of name.

    A probe that cannot be loaded is left out and logged: the others still
    tell what they know.
    """
    found = plugins.load(NAMESPACE, make=lambda probe: probe())
    for problem in found.problems.values():
        LOG.error('%s', problem)
    return tuple(found.loaded.values())


def observe(host: ProbeContext, probes: Iterable[Probe]) -> list[Observation]:
    """All observations of the probes that fit the host's architecture.

    What a probe observed before it failed is kept.
    """
    found: list[Observation] = []
    for probe in probes:
        if host.arch not in probe.archs:
            continue
        try:
            for observation in probe.observe(host):
                found.append(observation)
        except Exception:
            LOG.exception(
                'Probe %s failed; what it did not observe is unknown. This '
                'is a bug: report it with the output of "hvfilter record"',
                type(probe).__name__,
            )
    return found
