"""Which readings stay in the history: all of the last week, then one a day, then one a week."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

ALL_FOR = timedelta(days=7)
DAILY_FOR = timedelta(days=90)
WEEKLY_FOR = timedelta(days=400)
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS
"""1970 began on a Thursday; weeks begin on Mondays."""


def points_to_drop(moments: Sequence[int], now: int) -> list[int]:
    """Those of `moments` (ascending, in milliseconds) that need not be kept any longer.

    Every one of the last 7 days stays, the last of each day for 90 and of each week for 400 days; days and
    weeks are of UTC. The newest always stays.
    """
    all_from, daily_from, weekly_from = (
        now - keep // timedelta(milliseconds=1) for keep in (ALL_FOR, DAILY_FOR, WEEKLY_FOR)
    )
    dropped = []
    for moment, following in pairwise(moments):
        if moment >= all_from:
            break
        if moment < weekly_from:
            dropped.append(moment)
        elif moment < daily_from:
            if _week(moment) == _week(following):
                dropped.append(moment)
        elif moment // DAY_MS == following // DAY_MS:
            dropped.append(moment)
    return dropped


def _week(moment: int) -> int:
    return (moment - _MONDAY_MS) // WEEK_MS


def thin(moments: Sequence[int], most: int) -> list[int]:
    """At most `most` places in `moments`, evenly spread, the first and the last among them."""
    count = len(moments)
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]
