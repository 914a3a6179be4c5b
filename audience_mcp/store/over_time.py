"""A series' sizes over time, of each audience a day or added up: what `history` shows beside single changes.

Places are those of a series' readings, the oldest first; a stretch is the places from one to another, both
included.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from audience_mcp.core.secrets import HIDDEN
from audience_mcp.store.retention import DAY_MS
from audience_mcp.store.series import NOT_COUNTED, OPEN_ENDED, Figure, Interval, State, upper_end
from audience_mcp.store.stored import Moment, SeriesTotals, Total, from_ms
from audience_mcp.store.tables import Count, Series

Wanted = Callable[[str, str], bool]
"""Whether an audience is, by its id and its name."""
Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is stored of a series: its readings' moments, its audiences and their sizes, by number.

    limit: the last moment that is not later than now.
    """

    series: Series
    points: Sequence[int]
    state: State
    ended: Mapping[int, Sequence[Interval]]
    counts: Mapping[int, Sequence[Count]]
    limit: int

    def intervals(self, number: int) -> list[Interval]:
        """An audience's intervals, the oldest first; what still holds does so until the last reading."""
        last = self.points[-1]
        held = [each._replace(last=last) for each in self.state.held(number)]
        return [each for each in [*self.ended.get(number, ()), *held] if each.first <= last]

    def stretch(self, interval: Interval) -> Stretch | None:
        """The readings that an interval covers."""
        first = bisect_left(self.points, interval.first)
        last = bisect_right(self.points, interval.last) - 1
        return (first, last) if first <= last else None

    def ends(self) -> list[int]:
        """Until when a count belongs to each reading: to the next one, and within its day."""
        following = [*(each - 1 for each in self.points[1:]), self.limit]
        return [min(after, _day_end(each)) for each, after in zip(self.points, following, strict=True)]


def last_of_days(moments: Sequence[int]) -> list[int]:
    """The places of the last moment of each day, in UTC."""
    days = [each // DAY_MS for each in moments]
    return [place for place, day in enumerate(days) if days[place + 1 : place + 2] != [day]]


def sizes_by_day(recorded: Recorded, number: int, since: int) -> list[Moment]:
    """An audience's last known size of each day that has one, from the day of `since` on."""
    points, begins = recorded.points, since - since % DAY_MS
    lasts = [points[place] for place in last_of_days(points)]
    found: dict[int, tuple[int, Figure]] = {}
    for each in recorded.intervals(number):
        stretch = recorded.stretch(each)
        if each.size is not None and each.known and stretch is not None:
            within = lasts[bisect_left(lasts, points[stretch[0]]) : bisect_right(lasts, each.last)]
            for moment in [*within, points[stretch[1]]]:
                found[moment // DAY_MS] = moment, each.figure
    for count in recorded.counts.get(number, ()):
        day = count.moment // DAY_MS
        if count.size is not None and (day not in found or found[day][0] <= count.moment):
            found[day] = count.moment, Figure(count.size, None, count.size_max)
    return [
        moment_of(moment, figure.size, figure)
        for _, (moment, figure) in sorted(found.items())
        if moment >= begins and figure.size is not None
    ]


def sizes_as_they_changed(recorded: Recorded, number: int, start: int | None, since: int) -> list[Moment]:
    """When each size of an audience was first seen, and when the last one was last seen.

    start: the reading with which the line begins, the last one at or before `since`; None if there is none.
    """
    seen: list[tuple[int, int, Figure]] = []
    for each in recorded.intervals(number):
        if each.size is not None and each.known:
            # Of what began before `start`, only that it was so at `start` is shown.
            first = max(each.first, start) if start is not None else each.first
            seen += [(first, each.size, each.figure), (max(first, each.last), each.size, each.figure)]
    seen += [
        (each.moment, each.size, Figure(each.size, None, each.size_max))
        for each in _since(recorded.counts.get(number, ()), since)
        if each.size is not None
    ]
    seen.sort(key=lambda each: each[0])
    shown: list[tuple[int, int, Figure]] = []
    for place, (moment, _, figure) in enumerate(seen):
        is_last = place == len(seen) - 1 and (not shown or moment > shown[-1][0])
        if not shown or figure != shown[-1][2] or is_last:
            shown.append(seen[place])
    return [moment_of(*each) for each in shown]


def _since(counts: Sequence[Count], since: int) -> list[Count]:
    """The known counts from the last one at or before `since` on."""
    known = [each for each in counts if each.size is not None]
    place = bisect_right([each.moment for each in known], since)
    return known[max(0, place - 1) :]


def same_count(counts: Sequence[Count]) -> list[Count]:
    """The last known counts in a row that say the same size, the oldest first; none of a range."""
    same: list[Count] = []
    for each in reversed(counts):
        if each.size is None:
            continue
        if each.size_max is not None or (same and each.size != same[-1].size):
            break
        same.append(each)
    return same[::-1]


def moment_of(moment: int, size: int, figure: Figure) -> Moment:
    """A size as it is shown. size: that of the figure, which is known."""
    return Moment(
        from_ms(moment),
        size,
        upper_end(figure.size_max),
        unit=figure.unit,
        open_ended=figure.size_max == OPEN_ENDED,
    )


@dataclass(slots=True)
class _Sums:
    """Sums at each reading, as what is added at its place and taken away after the last one."""

    places: int
    steps: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.steps = [[0] * (self.places + 1) for _ in Total._fields]

    def add(self, stretch: Stretch, what: Total) -> None:
        for steps, amount in zip(self.steps, what, strict=True):
            if amount:
                steps[stretch[0]] += amount
                steps[stretch[1] + 1] -= amount

    def totals(self) -> list[Total]:
        return [Total(*each) for each in zip(*(accumulate(steps[:-1]) for steps in self.steps), strict=True)]


def totals_over_time(
    recorded: Recorded, since: int, wanted: Wanted | None = None, *, by_kind: bool
) -> SeriesTotals:
    """The totals at each reading from the last one at or before `since` on, over all audiences or each kind.

    An audience that lies within another one of the same group is in no sum while that one is there. A size
    that is counted by itself is the last known one of the reading's day, or of the 24 hours before it.
    """
    state, points = recorded.state, recorded.points
    groups = {
        number: (state.kinds[number] or recorded.series.kind or "") if by_kind else ""
        for number, id in enumerate(state.ids)
        if HIDDEN not in id and (wanted is None or wanted(id, state.names[number]))
    }
    numbers = {state.ids[number]: number for number in groups}
    sums: dict[str, _Sums] = {}
    ends = recorded.ends()
    for number, group in groups.items():
        parent = numbers.get(state.parents[number] or "")
        within = (
            [stretch for each in recorded.intervals(parent) if (stretch := recorded.stretch(each))]
            if parent is not None and groups[parent] == group
            else []
        )
        for each in recorded.intervals(number):
            stretch = recorded.stretch(each)
            if stretch is None:
                continue
            into = sums.setdefault(group, _Sums(len(points)))
            into.add(stretch, Total(matched=1))
            counts = recorded.counts.get(number, ())
            for part, size, size_max in _sizes(each, stretch, counts, points, ends):
                if size is None:
                    into.add(part, Total(unknown=1))
                    continue
                total = _total_of(size, size_max)
                unit = each.unit if each.size != NOT_COUNTED else None
                total = total._replace(whose=hash((number, unit, total.ranges, total.open_ended)))
                for outside in _without(part, within):
                    into.add(outside, total)
    start = max(0, bisect_right(points, since) - 1)
    moments = [from_ms(each) for each in points[start:]]
    return SeriesTotals(moments, {group: each.totals()[start:] for group, each in sums.items()})


def _total_of(size: int, size_max: int | None) -> Total:
    if size_max == OPEN_ENDED:
        return Total(size=size, open_ended=1)
    return Total(size=size, ranges=size_max is not None, above=(size_max or size) - size)


def _sizes(
    interval: Interval,
    stretch: Stretch,
    counts: Sequence[Count],
    points: Sequence[int],
    ends: Sequence[int],
) -> Iterable[tuple[Stretch, int | None, int | None]]:
    """What an interval says of each of its readings: a stretch of them, the size and the upper end."""
    if interval.size != NOT_COUNTED:
        yield stretch, interval.size, interval.size_max
        return
    moments = [each.moment for each in counts]
    for place in range(stretch[0], stretch[1] + 1):
        at = points[place]
        until = bisect_right(moments, ends[place])
        begins = bisect_left(moments, min(at - at % DAY_MS, at - DAY_MS))
        there = counts[begins:until]
        refused = bool(there) and there[-1].size is None and there[-1].moment >= at
        known = [] if refused else [each for each in there if each.size is not None]
        last = known[-1] if known else None
        yield (place, place), last and last.size, last and last.size_max


def _without(stretch: Stretch, others: Iterable[Stretch]) -> list[Stretch]:
    """What is left of a stretch outside the others."""
    left = [stretch]
    for first, last in others:
        left = [
            part
            for begin, end in left
            for part in ((begin, min(end, first - 1)), (max(begin, last + 1), end))
            if part[0] <= part[1]
        ]
    return left


def _day_end(moment: int) -> int:
    return moment - moment % DAY_MS + DAY_MS - 1
