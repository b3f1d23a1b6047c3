# SPDX-License-Identifier: Apache-2.0
"""ISO weeks: the date of a report, as fine as a trait name should be.

A trait name is shared by all hosts and stays in Placement, so a name for each
day would be too many; a week costs each host one write in seven days.

Source: ISO 8601; :meth:`datetime.date.isocalendar`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re

PATTERN = r'2[0-9]{3}W(?:0[1-9]|[1-4][0-9]|5[0-3])'
"""What the text of a week looks like, such as ``2026W48``."""

_TEXT = re.compile(PATTERN + r'\Z')


@dataclasses.dataclass(frozen=True, order=True)
class Week:
    """One ISO week, from Monday to Sunday, UTC.

    :ivar monday: its first day
    """

    monday: datetime.date

    @classmethod
    def at(cls, seconds: float) -> Week | None:
        """The week of a time, None outside of the years 2000 to 2999.

        :param seconds: since the epoch; a clock that was never set has 1970.
        """
        try:
            moment = datetime.datetime.fromtimestamp(
                seconds, datetime.timezone.utc
            )
        except (ValueError, OverflowError, OSError):
            return None
        year, number, _ = moment.isocalendar()
        return cls.parse(f'{year}W{number:02}')

    @classmethod
    def parse(cls, text: str) -> Week | None:
        """The week of a text such as ``2026W48``, None if it is none.

        Most years have no week 53: then that text is no week either.
        """
        if not _TEXT.match(text):
            return None
        try:
            return cls(
                datetime.date.fromisocalendar(int(text[:4]), int(text[5:]), 1)
            )
        except ValueError:
            return None

    def __str__(self) -> str:
        year, number, _ = self.monday.isocalendar()
        return f'{year}W{number:02}'

    def until(self, later: Week) -> int:
        """How many weeks later the other one is; negative if earlier."""
        return (later.monday - self.monday).days // 7


def is_stale(week: Week, now: Week, max_age_weeks: int) -> bool:
    """Whether what was known in one week is no longer to be believed.

    A week too far ahead is believed as little as one too long ago: it comes
    from a clock that is wrong, and would hold for years.

    :param max_age_weeks: the largest distance to believe; 0: any.
    """
    return bool(max_age_weeks) and abs(week.until(now)) > max_age_weeks
