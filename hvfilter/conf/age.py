# SPDX-License-Identifier: Apache-2.0
"""How long what a host reported is believed: the agent and the scheduler."""

from __future__ import annotations

from oslo_config import cfg, types

_MOST = 520


# oslo.config has no types to check against.
class Weeks(types.Integer):  # type: ignore[misc]
    """A number of weeks; the error of oslo.config's own names no value."""

    def __init__(self) -> None:
        super().__init__(min=0, max=_MOST)

    def __call__(self, value: object) -> int:
        """Check it; ValueError names the value and what is allowed."""
        try:
            weeks = super().__call__(value)
        except (ValueError, TypeError):
            weeks = None
        if weeks is None:
            raise ValueError(
                f'{str(value)!r} is not allowed; allowed: a whole number from '
                f'0 to {_MOST}'
            )
        return int(weeks)


REPORT_MAX_AGE_WEEKS = cfg.Opt(
    'report_max_age_weeks',
    type=Weeks(),
    default=2,
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
