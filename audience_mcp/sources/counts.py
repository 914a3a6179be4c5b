"""Sizes that cost a request each: asked for once, for the rows that a question needs, at the vendor's pace.

Counting goes on behind the answer, as readings do, and what was counted serves later calls. A count that
the vendor refuses leaves one size unknown and nothing else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import anyio
from anyio.abc import TaskGroup

from audience_mcp.config import Account
from audience_mcp.core.audience import Row
from audience_mcp.core.clock import Clock
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import UnexpectedShape, VendorError
from audience_mcp.core.values import as_count
from audience_mcp.sources.pager import Fetch
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.store.values import StoredCount
from audience_mcp.vendors.base import Counted, Vendor

log = logging.getLogger(__name__)

KEPT_S = 3600
"""A count serves later readings for so long; its note then says when it was made."""
REFUSED = frozenset({400, 404, 409, 410, 422})
"""Statuses by which a vendor refuses the count of one audience."""

MESSAGES = {
    "refused": "the vendor refused to count this audience",
    "odd_id": "not counted: its id is not like those that the vendor documents",
    "missing": "the vendor's count has no figure for this audience",
    "unreadable": "the vendor's count could not be read",
    "counted_at": "counted at {when}",
    "pending": "{source}: {done:,} of {wanted:,} sizes counted; counting goes on. Ask again in {seconds} s "
    "to continue.",
    "unclear": "{source}: the vendor's response to a count is not in the documented format.",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A count and when it was made."""

    counted: Counted
    at: datetime
    at_s: float


def has_counts(vendor: Vendor) -> bool:
    """Whether a vendor has sizes that cost a request each."""
    return type(vendor).count_request is not Vendor.count_request


class SizeCounter:
    """Asks for the sizes of one source's audiences. `tasks` is where the asking runs.

    counted: is told of every size that comes, by the audience's id. error: why the asking stopped before its
    end, until it is taken up again.
    """

    def __init__(
        self,
        source: str,
        account: Account,
        fetch: Fetch,
        tasks: TaskGroup,
        signal: ChangeSignal,
        clock: Clock,
        counted: Callable[[Mapping[str, Kept]], None] = lambda kept: None,
    ) -> None:
        self._source = source
        self._account = account
        self._fetch = fetch
        self._tasks = tasks
        self._signal = signal
        self._clock = clock
        self._counted = counted
        self._wanted: dict[str, Row] = {}
        self._asked: set[str] = set()
        self._kept: dict[str, Kept] = {}
        self._running = False
        self.error: VendorError | None = None

    @property
    def _vendor(self) -> Vendor:
        return self._account.vendor

    def restore(self, counts: Mapping[str, Kept]) -> None:
        """Take over sizes that were counted elsewhere, where none was counted later here."""
        for id, kept in counts.items():
            own = self._kept.get(id)
            if own is None or own.at_s < kept.at_s:
                self._kept[id] = kept

    def begin(self, rows: Sequence[Row], read_at_s: float | None) -> None:
        """Give rows the sizes that are known, and begin to ask for the others.

        read_at_s: when the reading of which they are began; None where they were asked for alone.
        """
        self._apply_kept(rows, read_at_s if read_at_s is not None else self._clock.now())
        self._want(rows)

    def has_counted(self, rows: Sequence[Row]) -> bool:
        """Whether nothing more of these rows' sizes is to be waited for."""
        return not self._running or not any(row.size_pending for row in rows)

    def _apply_kept(self, rows: Sequence[Row], since_s: float) -> None:
        """Give pending rows the sizes counted not longer ago than KEPT_S; those before `since_s` say when.

        Of older ones a row only knows what they were.
        """
        now = self._clock.now()
        for row in rows:
            kept = self._kept.get(row.id) if row.size_pending else None
            if kept is None:
                continue
            if now - kept.at_s < KEPT_S:
                self._set(row, kept.counted, None if kept.at_s >= since_s else kept.at)
            elif (size := as_count(kept.counted.size)) is not None:
                row.last_size = size, kept.at

    def _want(self, rows: Sequence[Row]) -> None:
        """Ask for the sizes of these rows before all others, unless they are being asked for."""
        pending = {row.id: row for row in rows if row.size_pending and row.id not in self._asked}
        if not pending:
            return
        self._wanted = {**pending, **self._wanted, **pending}
        if not self._running:
            self._running, self.error = True, None
            self._tasks.start_soon(self._run, name=f"counting at {self._source}")

    async def count_one(self, row: Row) -> None:
        """Ask for the size of one row and wait for it. Raises VendorError."""
        if row.size_pending:
            await self._ask([row])

    def seconds_for(self, rows: Sequence[Row]) -> float:
        """At least how long the pending ones of these rows take, by the vendor's pace."""
        batches: dict[str, list[Row]] = {}
        for row in rows:
            if row.size_pending:
                batches.setdefault(row.kind or "", []).append(row)
        paces: dict[str, int] = {}
        for kind, alike in batches.items():
            size = self._batch_of(kind)
            pace = self._vendor.count_request(alike[:size], self._account.values).pace
            paces[pace] = paces.get(pace, 0) + math.ceil(len(alike) / size)
        rates = self._account.rates
        return max(
            (
                (math.ceil(number / max(1, rate.requests)) - 1) * rate.seconds
                for pace, number in paces.items()
                for rate in rates.get(pace, rates.get("", ()))
            ),
            default=0.0,
        )

    def explain_pending(self, rows: Sequence[Row]) -> VendorError | None:
        """Why some of these rows have no size yet, or None where none is pending."""
        left = sum(row.size_pending for row in rows)
        if not left:
            return None
        if self.error is not None and not self._running:
            return self.error
        seconds = max(1, min(300, round(self.seconds_for(rows))))
        text = MESSAGES["pending"].format(
            source=self._source, done=len(rows) - left, wanted=len(rows), seconds=seconds
        )
        return VendorError("timeout", text, retry_after_s=seconds)

    def _batch_of(self, kind: str) -> int:
        return max(1, self._vendor.counts_per_request.get(kind, 1))

    async def _run(self) -> None:
        """Ask until nothing is wanted. Nothing may be raised from here: it would end every reading."""
        try:
            while self._wanted and self.error is None:
                async with anyio.create_task_group() as wave:
                    for _ in range(self._vendor.at_once):
                        if batch := self._next_batch():
                            wave.start_soon(self._count, batch)
        finally:
            self._running = False
            self._asked.clear()
            self._signal.notify()

    def _next_batch(self) -> list[Row]:
        first = next(iter(self._wanted.values()), None)
        if first is None:
            return []
        alike = (row for row in self._wanted.values() if row.kind == first.kind)
        batch = list(islice(alike, self._batch_of(first.kind or "")))
        for row in batch:
            del self._wanted[row.id]
            self._asked.add(row.id)
        return batch

    async def _count(self, batch: Sequence[Row]) -> None:
        try:
            await self._ask(batch)
        except VendorError as e:
            self.error = self.error or e
            self._wanted = {**{row.id: row for row in batch if row.size_pending}, **self._wanted}
        except Exception:
            log.exception("%s: the vendor's code could not count", self._source)
            self.error = VendorError("bad_response", MESSAGES["unclear"].format(source=self._source))
        finally:
            self._asked.difference_update(row.id for row in batch)
            self._signal.notify()

    async def _ask(self, batch: Sequence[Row]) -> None:
        """One request; where a batch is refused, each half by itself. Raises VendorError."""
        odd = [row for row in batch if not self._vendor.id_shape.fullmatch(row.id)]
        self._keep(odd, {row.id: Counted(None, MESSAGES["odd_id"]) for row in odd})
        batch = [row for row in batch if row.size_pending]
        if not batch:
            return
        try:
            body = await self._fetch(self._vendor.count_request(batch, self._account.values))
            counts = self._vendor.parse_counts(body, batch)
        except UnexpectedShape:
            for row in batch:  # it is not kept, so that the next reading asks again
                self._set(row, Counted(None, MESSAGES["unreadable"]), None)
            return
        except VendorError as e:
            if e.status not in REFUSED or e.passing:
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._ask(batch[:middle])
                await self._ask(batch[middle:])
                return
            counts = {batch[0].id: Counted(None, MESSAGES["refused"])}
        self._keep(batch, counts)

    def _keep(self, batch: Sequence[Row], counts: Mapping[str, Counted]) -> None:
        at, at_s = self._clock.utc(), self._clock.now()
        for row in batch:
            counted = counts.get(row.id) or Counted(None, MESSAGES["missing"])
            if not isinstance(counted, Counted):
                counted = Counted(counted)
            self._kept[row.id] = Kept(counted, at, at_s)
            self._set(row, counted, None)
        if batch:
            self._counted({row.id: self._kept[row.id] for row in batch})

    def _set(self, row: Row, counted: Counted, at: datetime | None) -> None:
        row.size, row.size_max, row.size_pending = as_count(counted.size), as_count(counted.size_max), False
        when = MESSAGES["counted_at"].format(when=to_rfc3339(at.replace(microsecond=0))) if at else None
        notes = [note for note in (counted.note, when) if note]
        if notes or row.size is not None:
            row.size_note = "; ".join(notes) or None


def stored_count(kept: Kept) -> StoredCount:
    """A count that was just made, as it is stored."""
    return StoredCount(
        as_count(kept.counted.size), as_count(kept.counted.size_max), kept.counted.note, kept.at
    )


def kept_count(stored: StoredCount, now: float) -> Kept:
    """A stored count as it is kept; `now` is of the clock that goes on."""
    return Kept(Counted(stored.size, stored.note, stored.size_max), stored.at, now - stored.ago_s)
