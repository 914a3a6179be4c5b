"""What a vendor itself remembers of sizes: how it is asked, and what one of its points stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.points import Every, Span, last_possible
from audience_mcp.vendors.parsing import array_at, value_at
from audience_mcp.vendors.request import Request
from audience_mcp.vendors.talk import Rows, Talk, Values, fill

Past = Sequence[tuple[object, object]]
"""When and how many, as the vendor writes it."""
AskHistory = Callable[[Rows, Span, Values], Talk[Mapping[str, Past]]]
"""A talk about what sizes were in a stretch of time, by the vendor's own ids; a missing one has no figure."""

EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class History:
    """A record that the vendor keeps of a listing's sizes. Declare it only where it counts what size counts.

    talk: asks for it. every: what one point stands for: a day, the end of a month, or the moment that it
    names. batch: the most rows that one talk is given.

    days: the most days that one talk may be asked for, where there is a limit. whole: whether an answer has
    all that there is, whatever was asked for. most: how many points an answer has at most: the last ones.
    begins: the first day of which anything is remembered, where that is documented.

    dated: whether a size of now is itself of an earlier day, which the row then names (`Row.sized_on`).
    note: what a reader must know of these sizes, as a clause.
    """

    talk: AskHistory
    every: Every
    batch: int = 1
    days: int | None = None
    whole: bool = False
    most: int | None = None
    begins: date | None = None
    dated: bool = False
    note: str = ""

    @property
    def begins_at(self) -> datetime:
        """The first moment of which anything may be remembered."""
        if self.begins is None:
            return EARLIEST
        return datetime(self.begins.year, self.begins.month, self.begins.day, tzinfo=timezone.utc)

    def widen(self, needed: Span, now: datetime) -> Span:
        """What is asked for where so much is needed: its last part, and what one request brings along."""
        latest = last_possible(self.every, now, now)
        if self.whole:
            return Span(EARLIEST, max(latest, needed.until))
        if self.most is not None:
            return needed
        if self.days is None:
            return Span(needed.since, max(latest, needed.until))
        most = timedelta(days=self.days)
        if latest - needed.since <= most:
            return Span(max(latest - most, self.begins_at), max(latest, needed.until))
        return Span(max(needed.since, needed.until - most), needed.until)

    def known(self, asked: Span, told: Past) -> Span:
        """The stretch of time of which all is known after an answer."""
        if self.most is None:
            return asked
        if len(told) < self.most:
            return Span(EARLIEST, asked.until)
        moments = [moment for when, _ in told if (moment := parse_datetime(when)) is not None]
        first = min(moments, default=asked.until)
        return Span(first.replace(microsecond=0), asked.until)  # a point has the second that it is of


def history_each(
    path: str, at: str, when: str, size: str, params: Mapping[str, str] | None = None, pace: str = ""
) -> AskHistory:
    """A request for each row, whose answer has an array of points at the path `at`.

    In `path` and `params` `{id}` stands for the vendor's own id, `{role}` for a setting's value, `{since}`
    and `{until}` for the stretch of time (RFC 3339), and `{after_s}` for the first Unix second after it.
    when, size: the paths of a point's day or moment, and of its size.
    """

    def ask(rows: Rows, span: Span, values: Values) -> Talk[Mapping[str, Past]]:
        (id,) = rows
        given = {
            "id": id,
            "since": write_moment(span.since),
            "until": write_moment(span.until),
            "after_s": str(int(span.until.timestamp()) + 1),
        }
        request = Request(path, params or {}, purpose="history", pace=pace)
        body = yield fill(request, {**values, **given})
        return {id: [(value_at(each, when), value_at(each, size)) for each in array_at(body, at)]}

    return ask


def write_moment(moment: datetime) -> str:
    """A moment as requests have it: RFC 3339 in UTC, to the second."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
