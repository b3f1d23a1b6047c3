# SPDX-License-Identifier: Apache-2.0
"""The options for oslo-config-generator: entry points of oslo.config.opts."""

from __future__ import annotations

from typing import Any

from hvfilter.conf import agent, scheduler


def list_agent_opts() -> list[tuple[Any, list[Any]]]:
    """Options of the agent on a compute host."""
    return [
        (agent.GROUP, list(agent.OPTS)),
        (agent.PLACEMENT_GROUP, agent.placement_opts()),
    ]


def list_scheduler_opts() -> list[tuple[Any, list[Any]]]:
    """Options of the filter, the weigher and the prefilter, for nova.conf."""
    return [(scheduler.GROUP, list(scheduler.OPTS))]
