"""What sizes were by the vendor's own record: requested once, for the rows that a question needs.

Requesting continues after the answer was sent, as counting does, and what came serves later calls and, over
the store, other processes. Nothing of it ever touches a size of now.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import anyio

from audience_mcp.config import Account
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import earlier, parse_datetime
from audience_mcp.core.errors import PASSING, UnexpectedShape, VendorError
from audience_mcp.core.points import (
    TICK,
    Span,
    VendorPoint,
    end_before,
    last_possible,
    merge_spans,
    sound_points,
)
from audience_mcp.sources.counts import FAILED_IN_A_ROW, REFUSED_ROW
from audience_mcp.sources.pacing import RecentRequests
from audience_mcp.sources.responses import TOO_BIG
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.talk import Fetch, converse
from audience_mcp.store.stored import VendorRecord
from audience_mcp.vendors.history import History, Past
from audience_mcp.vendors.listing import Listing

log = logging.getLogger(__name__)

NEVER_ANSWERED = 3
"""Audiences whose records are refused, and none answered, after which the others are not asked for."""

MESSAGES = {
    "unclear": "{source}: the vendor's own record of sizes is not in the documented format.",
}


@dataclass(frozen=True, slots=True)
class Need:
    """What a question needs of one audience's past.

    whole: whether every point of the stretch is needed, or only the last one in it.
    """

    span: Span
    whole: bool = False


@dataclass(slots=True)
class _Known:
    """What is known of one audience: its points by moment, and the stretches of time that were asked for."""

    points: dict[datetime, VendorPoint] = field(default_factory=dict)
    asked: list[Span] = field(default_factory=list)

    def add(self, points: Sequence[VendorPoint], asked: Sequence[Span]) -> None:
        """Add what came; a point that is there stays, though the vendor may restate its past."""
        self.points = {**{each.moment: each for each in points}, **self.points}
        self.asked = merge_spans([*self.asked, *asked])

    @property
    def since(self) -> datetime | None:
        """The moment of the first point above 0."""
        return min((moment for moment, each in self.points.items() if each.size), default=None)

    def missing(self, need: Need) -> Span | None:
        """The last part of what is needed that was not asked for; None where asking could tell nothing."""
        since, until = need.span.since, need.span.until
        if not need.whole:
            before = (moment for moment in self.points if moment <= until)
            since = max(since, max(before, default=since))
        for each in self.asked:
            if each.since <= since <= each.until:
                since = each.until
            if each.since <= until <= each.until:
                until = each.since
        return Span(since, until) if since < until else None


Save = Callable[[Mapping[str, VendorRecord]], None]
Find = Callable[[Sequence[str]], Awaitable[Mapping[str, VendorRecord]]]


class PastSizes:
    """Asks for the past sizes of one source's audiences. The asking outlives the call that wants them.

    recent: the requests that the source has sent. find: gives what is stored of audiences, by their ids.
    save: keeps what came.
    error: why the asking stopped; the next call asks again. refusal: why the vendor gives no record to this
    key, which is not asked for again by this process.
    """

    def __init__(
        self,
        account: Account,
        fetch: Fetch,
        runtime: Runtime,
        recent: RecentRequests,
        find: Find,
        save: Save,
    ) -> None:
        self.source = account.source
        self._account = account
        self._vendor = account.vendor
        self._fetch = fetch
        self._tasks = runtime.tasks
        self._signal = runtime.signal
        self._clock = runtime.clock
        self._recent = recent
        self._find = find
        self._save = save
        self._known: dict[str, _Known] = {}
        self._wanted: dict[str, tuple[Row, Need]] = {}
        self._under_way: set[str] = set()
        self._refused: set[str] = set()
        self._batches: dict[Listing, int] = {}
        self._answered = False
        self._failed_in_a_row = 0
        self._running = self._stopped = False
        self.error: VendorError | None = None
        self.refusal: VendorError | None = None

    def history_of(self, row: Row) -> History | None:
        """The record that the vendor keeps of audiences like this one."""
        return self._vendor.listing_of(row.id).history

    def need(self, row: Row, since: datetime, until: datetime, *, whole: bool = False) -> Need | None:
        """What is needed of a row's past for a stretch of time; None where there can be nothing in it."""
        history = self.history_of(row)
        day = _day_of(row.sized_on)
        if history is None or (history.dated and day is None):
            return None
        end = last_possible(history.every, until, self._clock.utc())
        if day is not None:
            end = min(end, end_before(day))
        since = history.begins_at if history.whole else max(since, history.begins_at)
        begins = max(since, parse_datetime(row.created) or since)
        return Need(Span(begins, end), whole) if begins <= end else None

    def is_measured_by(self, row: Row, at: datetime) -> bool:
        """Whether a row's size of now is itself of the day of this moment or of before it."""
        day = _day_of(row.sized_on)
        return day is not None and end_before(day) < at

    def points(self, row: Row) -> list[VendorPoint]:
        """What is known of a row's past, the oldest first."""
        known, history = self._known.get(row.id), self.history_of(row)
        created, day = parse_datetime(row.created), _day_of(row.sized_on)
        if history is None or (history.dated and day is None):
            return []
        return [
            point
            for moment, point in sorted(known.points.items() if known is not None else ())
            if not (created is not None and moment < created)
            and not (day is not None and moment.date() >= day)
        ]

    def take(self, told: Mapping[str, tuple[Past, str | None]]) -> None:
        """Take points that came along with sizes: by id, with the day that the size itself is of."""
        now, records = self._clock.utc(), {}
        for id, (past, day) in told.items():
            history, sized_on = self._vendor.listing_of(id).history, _day_of(day)
            if history is None or history.days is None or sized_on is None:
                continue
            last = end_before(sized_on)
            # Of one day more than it may be asked for, the end is here: the day that may be cut.
            since = earlier(last, timedelta(days=history.days)) + TICK
            until = min(last_possible(history.every, now, now), last)
            known_since = self._record(id).since
            asked = Span(since, until)
            points = sound_points(past, history.every, now, None, sized_on, known_since, asked)
            records[id] = VendorRecord(points, [asked] if since <= until else [])
        self._keep(records)

    async def restore(self, needs: Mapping[str, Need]) -> None:
        """Take over what any process has stored of audiences of which something is missing here."""
        ids = [id for id, need in needs.items() if self._record(id).missing(need) is not None]
        if ids:
            for id, record in (await self._find(ids)).items():
                self._record(id).add(record.points, record.asked)

    def begin(self, rows: Sequence[Row], needs: Mapping[str, Need]) -> None:
        """Begin to ask for what is not known yet, before what other calls want."""
        new = {row.id: (row, needs[row.id]) for row in rows if self._is_missing(row, needs)}
        self._wanted = {**new, **self._wanted, **new}
        if new and not self._running:
            self._running, self._stopped, self._failed_in_a_row, self.error = True, False, 0, None
            self._tasks.start_soon(self._run, name=f"past sizes at {self.source}")

    def pending(self, rows: Sequence[Row], needs: Mapping[str, Need]) -> list[Row]:
        """The rows of whose past something is still to be asked for."""
        return [row for row in rows if self._is_missing(row, needs)]

    def is_done(self, rows: Sequence[Row], needs: Mapping[str, Need]) -> bool:
        """Whether nothing more of these rows' past is to be waited for."""
        return not self._running or not any(row.id in self._wanted for row in self.pending(rows, needs))

    def seconds_for(self, rows: Sequence[Row], needs: Mapping[str, Need]) -> float:
        """At least how long the pending ones of these rows take, by the vendor's pace."""
        now = self._clock.utc()
        pace_of: dict[Listing, str] = {}
        requests: dict[str, float] = {}
        for row in self.pending(rows, needs):
            listing, missing = self._vendor.listing_of(row.id), self._record(row.id).missing(needs[row.id])
            if listing.history is None or missing is None:
                continue
            span = listing.history.widen(missing, now)
            if listing not in pace_of:
                talk = listing.history.talk({listing.split_id(row.id)[0]: row}, span, self._account.values)
                pace_of[listing] = next(talk).pace
                talk.close()
            parts = math.ceil(missing.length / span.length) if missing.length > span.length else 1
            pace = pace_of[listing]
            requests[pace] = requests.get(pace, 0.0) + parts / self._batch_of(listing)
        rates = self._account.rates
        return max(
            (
                self._recent.seconds_for(number, pace, rates.get(pace, rates.get("", ())))
                for pace, number in requests.items()
            ),
            default=0.0,
        )

    def _record(self, id: str) -> _Known:
        return self._known.setdefault(id, _Known())

    def _is_missing(self, row: Row, needs: Mapping[str, Need]) -> bool:
        need = needs.get(row.id)
        if need is None or self.refusal is not None or row.id in self._refused:
            return False
        return self._record(row.id).missing(need) is not None

    def _batch_of(self, listing: Listing) -> int:
        """How many rows one talk asks for: fewer than declared where so many were too many."""
        return self._batches.get(listing, listing.history.batch if listing.history is not None else 1)

    async def _run(self) -> None:
        """Ask until nothing is wanted. Nothing may be raised from here: it would end every reading."""
        try:
            while first := self._next_batch():
                async with anyio.create_task_group() as wave:
                    wave.start_soon(self._ask_kept, *first)
                    for _ in range(1, self._vendor.at_once if self._answered else 1):
                        if batch := self._next_batch():
                            wave.start_soon(self._ask_kept, *batch)
        finally:
            self._running = False
            self._wanted.clear()
            self._under_way.clear()
            self._signal.notify()

    def _next_batch(self) -> tuple[list[Row], Span] | None:
        """The next rows of one listing to ask for, with what to ask; None where nothing can be asked now."""
        if self._stopped or self.refusal is not None:
            return None
        now = self._clock.utc()
        batch: list[Row] = []
        first: tuple[Listing, Span] | None = None
        for id, (row, need) in [*self._wanted.items()]:
            if id in self._under_way:
                continue
            listing, missing = self._vendor.listing_of(id), self._record(id).missing(need)
            if missing is None or listing.history is None or id in self._refused:
                del self._wanted[id]
                continue
            this = listing, listing.history.widen(missing, now)
            first = first or this
            if this == first:
                batch.append(row)
            if len(batch) == self._batch_of(first[0]):
                break
        if first is None:
            return None
        self._under_way.update(row.id for row in batch)
        return batch, first[1]

    async def _ask_kept(self, batch: Sequence[Row], span: Span) -> None:
        """Ask for the past of rows of one listing; what a failure means for others is remembered."""
        before = {row.id: self._left_of(row.id) for row in batch}
        try:
            await self._ask(self._vendor.listing_of(batch[0].id), batch, span)
        except VendorError as e:
            if e.kind in PASSING or e.kind == "bad_response" or e.foreign:
                self._fail(batch, e)
            else:
                self.refusal = e
        except UnexpectedShape:
            self._fail(batch, self._unclear())
        except Exception:
            log.exception("%s: the vendor's code could not read its record", self.source)
            self._fail(batch, self._unclear())
        else:
            self._failed_in_a_row = 0
            # What an answer says nothing new of would be asked for without end.
            self._refused.update(id for id, left in before.items() if left and left == self._left_of(id))
        finally:
            self._under_way.difference_update(row.id for row in batch)
            self._signal.notify()

    def _left_of(self, id: str) -> Span | None:
        """What is still to be asked for of an audience."""
        wanted = self._wanted.get(id)
        return self._record(id).missing(wanted[1]) if wanted is not None else None

    def _fail(self, batch: Sequence[Row], error: VendorError) -> None:
        """Leave these rows to the next call, and after some failures all."""
        self.error = self.error or error
        self._failed_in_a_row += 1
        self._stopped = error.kind == "rate_limited" or self._failed_in_a_row >= FAILED_IN_A_ROW
        for row in batch:
            self._wanted.pop(row.id, None)

    def _unclear(self) -> VendorError:
        return VendorError("bad_response", MESSAGES["unclear"].format(source=self.source))

    async def _ask(self, listing: Listing, batch: Sequence[Row], span: Span) -> None:
        """One talk; where a batch is refused, each half by itself. Raises VendorError, UnexpectedShape."""
        history = listing.history
        batch = [row for row in batch if self._vendor.id_shape.fullmatch(row.id)]
        if history is None or not batch or self.refusal is not None:
            return
        own = {row.id: listing.split_id(row.id)[0] for row in batch}
        try:
            talk = history.talk({own[row.id]: row for row in batch}, span, self._account.values)
            told = await converse(talk, self._fetch)
        except VendorError as e:
            if e.status not in REFUSED_ROW | TOO_BIG:
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                if e.status in TOO_BIG:
                    self._batches[listing] = middle
                await self._ask(listing, batch[:middle], span)
                await self._ask(listing, batch[middle:], span)
                return
            self._refused.add(batch[0].id)
            if not self._answered and len(self._refused) >= NEVER_ANSWERED:
                raise
            return
        self._answered = True
        now, records = self._clock.utc(), {}
        for row in batch:
            past = told.get(own[row.id], ())
            asked = history.known(span, past)
            if (day := _day_of(row.sized_on)) is not None:
                asked = Span(asked.since, min(asked.until, end_before(day)))
            points = sound_points(
                past,
                history.every,
                now,
                parse_datetime(row.created),
                day,
                self._record(row.id).since,
                asked,
            )
            records[row.id] = VendorRecord(points, [asked] if asked.since <= asked.until else [])
        self._keep(records)

    def _keep(self, records: Mapping[str, VendorRecord]) -> None:
        for id, record in records.items():
            self._record(id).add(record.points, record.asked)
        if records:
            self._save(records)


def _day_of(sized_on: str | None) -> date | None:
    """The day that a size itself is of, where the vendor says so."""
    moment = parse_datetime(sized_on)
    return moment.date() if moment is not None else None
