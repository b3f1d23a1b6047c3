# SPDX-License-Identifier: Apache-2.0
"""Warnings at start about options that have no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nova.conf
from oslo_log import log as logging

from hvfilter.scheduler import policies

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_FILTER = 'HardwareVirtFilter'
_WEIGHERS = ('hvfilter.scheduler.all_weighers', 'HardwareVirtWeigher')

_warned: set[str] = set()


def check(conf: Any = CONF) -> None:
    """Log each finding once a process."""
    policies.register()
    for text in findings(conf):
        if text not in _warned:
            _warned.add(text)
            LOG.warning(text)


def findings(conf: Any) -> Iterator[str]:
    """What has no effect and how to correct it, a sentence or two each."""
    enabled = conf.filter_scheduler.enabled_filters
    if _FILTER not in enabled:
        if conf.hvfilter.prefilter:
            yield (
                '[hvfilter] prefilter = true has no effect: '
                f'[filter_scheduler] enabled_filters does not name {_FILTER}. '
                'Add it there, or set prefilter to false.'
            )
        return
    weighers = conf.filter_scheduler.weight_classes
    if not any(name.endswith(_WEIGHERS) for name in weighers):
        yield (
            'hvfilter:<capability>=preferred in flavors and the scarcity of '
            'capabilities have no effect: [filter_scheduler] weight_classes '
            'does not name hvfilter.scheduler.all_weighers. Add it there if '
            'flavors use "preferred".'
        )
