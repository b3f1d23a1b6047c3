# SPDX-License-Identifier: Apache-2.0
"""Run every registered probe on one host."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from hvfilter.model.finding import Observation
from hvfilter.probes.base import Probe
from hvfilter.probes.context import Look

LOG = logging.getLogger(__name__)
NAMESPACE = 'hvfilter.probes'


def registered() -> tuple[Probe, ...]:
    """An instance of every probe in the namespace, in order of name.

    A probe that cannot be loaded is left out and logged: the others still
    tell what they know.
    """
    import stevedore

    manager: Iterable[Any] = stevedore.ExtensionManager(
        NAMESPACE,
        invoke_on_load=True,
        on_load_failure_callback=lambda _manager, entry_point, error: (
            LOG.error('Probe %s cannot be loaded: %s', entry_point, error)
        ),
    )
    by_name: dict[str, Probe] = {}
    for extension in manager:
        if extension.name in by_name:
            LOG.error(
                'Two probes are registered as %s in %s; the first is used: '
                'uninstall one of the packages',
                extension.name,
                NAMESPACE,
            )
            continue
        by_name[extension.name] = extension.obj
    return tuple(by_name[name] for name in sorted(by_name))


def observe(look: Look, probes: Iterable[Probe]) -> list[Observation]:
    """All observations of the probes that fit the host's architecture.

    What a failing probe had said before it failed is kept.
    """
    found: list[Observation] = []
    for probe in probes:
        if look.arch not in probe.archs:
            continue
        try:
            for observation in probe.observe(look):
                found.append(observation)
        except Exception:
            LOG.exception(
                'Probe %s failed; what it did not say is unknown. This is a '
                'bug: report it with the output of "hvfilter record"',
                type(probe).__name__,
            )
    return found
