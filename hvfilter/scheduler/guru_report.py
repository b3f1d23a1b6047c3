# SPDX-License-Identifier: Apache-2.0
"""Our section of nova-scheduler's Guru Meditation Report.

Nova writes the report when a worker gets SIGUSR2, or when its trigger file
is touched; see "Guru Meditation Reports" in Nova's documentation.
"""

from __future__ import annotations

import time
from typing import Any

from oslo_reports import guru_meditation_report as gmr
from oslo_reports.models import with_default_views

from hvfilter import version
from hvfilter.model.policy import Policy
from hvfilter.scheduler import policies, worker_state

TITLE = 'hvfilter'


def register() -> None:
    """Have the section in each report from now on; harmless if it is."""
    report = gmr.TextGuruMeditation
    sections = getattr(report, 'persistent_sections', ())
    if not any(generator is section for _, generator in sections):
        report.register_section(TITLE, section)


def section() -> Any:
    """What this worker knows and did; an oslo.reports model.

    Reads only what is in memory. Nova runs it within a signal handler, so
    whatever lock it takes has to be one that its own thread may hold already.
    An exception would cost the whole report.
    """
    try:
        text = _section()
    except Exception as error:
        text = {'not available': repr(error)}
    return with_default_views.ModelWithDefaultViews(text)


def _section() -> dict[str, Any]:
    current = worker_state.current()
    return {
        'version': version.version_string(),
        'policy': _policy_section(policies.configured()),
        'known of Placement': _cache_section(current),
        'counters': current.counts(),
    }


def _cache_section(current: worker_state.WorkerState) -> dict[str, Any]:
    snapshot = current.trait_cache.peek()
    if snapshot.uuids_by_trait is None:
        return {'age in seconds': 'nothing is known'}
    every_s = current.trait_cache.every_s(policies.times())
    return {
        'age in seconds': round(time.monotonic() - snapshot.fetched_s, 1),
        'refreshed at an age of seconds': round(every_s, 1),
        'last refresh': 'failed' if snapshot.stale else 'succeeded',
        'hosts by trait': {
            trait: len(uuids)
            for trait, uuids in sorted(snapshot.uuids_by_trait.items())
        },
    }


def _policy_section(policy: Policy) -> dict[str, str]:
    return {
        'mode': policy.mode.value,
        'required': ', '.join(policy.required) or 'nothing',
        'reserved': ', '.join(sorted(policy.reserved)) or 'nothing',
        'unreported': policy.unreported.value,
        'placement_unreachable': policy.unreachable.value,
    }
