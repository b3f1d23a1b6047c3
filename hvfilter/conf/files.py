# SPDX-License-Identifier: Apache-2.0
"""Where the agent's configuration lies. Imports nothing, to be fast."""

from __future__ import annotations

USUAL_FILES = (
    '/etc/nova/nova.conf',
    '/etc/nova/nova-compute.conf',
    '/etc/hvfilter/hvfilter.conf',
)
"""Read in this order, as far as they exist: the last word wins."""
