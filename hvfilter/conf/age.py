# SPDX-License-Identifier: Apache-2.0
"""How long what a host reported is believed: the agent and the scheduler."""

from __future__ import annotations

from oslo_config import cfg

REPORT_MAX_AGE_WEEKS = cfg.IntOpt(
    'report_max_age_weeks',
    default=2,
    min=0,
    max=520,
    mutable=True,
    help="""
For how many weeks a report is valid. 0: it never expires.

nova-scheduler treats a host whose last report is older as one that never
reported, see ``unreported``, and so a host whose clock is that many weeks
ahead. Hosts with a report by an hvfilter that did not publish the week yet do
not expire.

"hvfilter publish" removes the trait of a capability that it could not
determine for longer than that.

Whole ISO weeks are counted: with 2, a report of any day of week 10 is valid
until the end of week 12. Set it to the same value on compute hosts and in
nova-scheduler.
""",
)
