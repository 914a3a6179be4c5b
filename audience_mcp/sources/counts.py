"""Sizes that cost a request each: requested once, for the rows that a question needs, at the vendor's pace.

Counting continues after the answer was sent, as readings do, and its results serve later calls. A count that
the vendor refuses leaves one size unknown and nothing else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

import anyio

from audience_mcp.config import Account
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.core.errors import UnexpectedShape, VendorError
from audience_mcp.core.text import clean
from audience_mcp.core.values import as_count
from audience_mcp.sources.responses import TOO_BIG, TOOK_TOO_LONG, is_passing, kind_of
from audience_mcp.sources.rows import NOT_YET
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.talk import Fetch, converse
from audience_mcp.store.stored import StoredCount
from audience_mcp.vendors.base import Vendor
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.talk import Counted, Sizes, Talk

log = logging.getLogger(__name__)

KEPT_S = 3600
"""Seconds for which a count, or a lasting refusal to count, serves; a count's note then says when it was
made."""
REFUSED_ROW = frozenset({400, 404, 409, 410, 422})
"""Statuses by which a vendor refuses the count of one audience."""
REFUSED_IN_A_ROW = 2
"""Audiences whose counts are refused one after the other, after which those of their listing are taken to
be."""
FAILED_IN_A_ROW = 3
"""Counts that fail one after the other, after which the others of their listing are not tried for now."""
LASTING = ("unauthorized", "forbidden", "invalid_request", "not_found", "not_configured")
"""Kinds of errors by which a vendor refuses; all others are failures, after which the next call asks again.
"""

NOTES = {
    "unauthorized": "not counted: the vendor refuses the key",
    "forbidden": "not counted: this key may not",
}
MESSAGES = {
    "refused": "the vendor refused to count this audience",
    "odd_id": "not counted: its id is not like those that the vendor documents",
    "missing": "the vendor's count has no figure for this audience",
    "unreadable": "the vendor's count could not be read",
    "counted_at": "counted at {when}",
    "pending": "{source}: {done:,} of {wanted:,} sizes counted; counting continues. Ask again in {seconds} s "
    "for the rest.",
    "unclear": "{source}: the vendor's response to a count is not in the documented format.",
    "failed": "{source}: {title} sent an error in its place. {hint}",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A count and when it was made. error: why the vendor refused it. processing: whether the audience was
    still being processed."""

    counted: Counted
    at: datetime
    at_s: float
    error: VendorError | None = None
    processing: bool = False


@dataclass(slots=True)
class Failure:
    """Sizes of a listing that could not be counted for now, by id, and why the first of them could not."""

    error: VendorError
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no size of a listing is counted for now. until_s: monotonic time at which it is tried again."""

    error: VendorError
    until_s: float


class SizeCounter:
    """Asks for the sizes of one source's audiences. The asking outlives the call that wants them.

    A failure holds for one audience, for one listing or for the account. A lasting one is remembered for an
    hour, with its reason; after a passing one the sizes stay pending, and the next call requests them again.

    counted: is given every size that comes, by the audience's id, with what came of the past.
    """

    def __init__(
        self,
        account: Account,
        fetch: Fetch,
        runtime: Runtime,
        counted: Callable[[Mapping[str, Kept]], None] = lambda kept: None,
    ) -> None:
        self._source = account.source
        self._account = account
        self._fetch = fetch
        self._tasks = runtime.tasks
        self._signal = runtime.signal
        self._clock = runtime.clock
        self._counted = counted
        self._wanted: dict[str, Row] = {}
        self._asked: set[str] = set()
        self._kept: dict[str, Kept] = {}
        self._refused: set[str] = set()
        """Audiences whose counts were refused for their own sake, as `_kept` says."""
        self._running = False
        self._refusals: dict[Listing, Refusal] = {}
        self._refused_in_a_row: dict[Listing, set[str]] = {}
        self._refused_once: set[str] = set()
        self._failed_in_a_row: dict[Listing, int] = {}
        self._failures: dict[Listing, Failure] = {}
        self._failed_before: set[str] = set()
        self._stopped: set[Listing] = set()
        self._took_too_long: set[Listing] = set()
        self._batches: dict[Listing, int] = {}

    @property
    def _vendor(self) -> Vendor:
        return self._account.vendor

    def restore(self, counts: Mapping[str, Kept]) -> None:
        """Take over sizes that were counted elsewhere, where none was counted later here."""
        for id, kept in counts.items():
            own = self._kept.get(id)
            if own is None or own.at_s < kept.at_s:
                self._kept[id] = kept
                self._refused.discard(id)

    def begin(self, rows: Sequence[Row], read_at_s: float | None) -> None:
        """Give rows the sizes that are known, and begin to ask for the others.

        read_at_s: when the reading of which they are began; None where they were asked for alone.
        """
        self._apply_kept(rows, read_at_s if read_at_s is not None else self._clock.now())
        self._want(rows)

    def has_counted(self, rows: Sequence[Row]) -> bool:
        """Whether nothing more of these rows' sizes is to be waited for.

        What came for the same audiences of another reading serves these too.
        """
        self._apply_kept(rows, -math.inf)
        return not self._running or not any(row.size_pending for row in rows)

    def _apply_kept(self, rows: Sequence[Row], since_s: float) -> None:
        """Give pending rows the sizes counted not longer ago than KEPT_S; those before `since_s` say when.

        Of older ones a row only knows what they were.
        """
        now = self._clock.now()
        for row in rows:
            kept = self._kept.get(row.id) if row.size_pending else None
            if kept is None or (kept.processing and row.status != "processing"):
                continue
            if now - kept.at_s < KEPT_S:
                self._set(row, kept.counted, kept.at, told=kept.at_s < since_s)
            elif (size := as_count(kept.counted.size)) is not None:
                row.last_size = size, kept.at

    def _want(self, rows: Sequence[Row]) -> None:
        """Ask for the sizes of these rows before all others, unless they are being asked for."""
        self._apply_refusals(rows)
        wanted = (row for row in rows if row.size_pending and row.id not in self._asked)
        # What failed before comes last: else a few that always fail would keep the others from being counted.
        pending = {row.id: row for row in sorted(wanted, key=lambda row: row.id in self._failed_before)}
        if not pending:
            return
        self._wanted = {**pending, **self._wanted, **pending}
        if not self._running:
            self._running = True
            self._forget_failures()
            self._tasks.start_soon(self._run, name=f"counting at {self._source}")

    async def count_one(self, row: Row) -> VendorError | None:
        """Ask for the size of one row and wait for it; why it could not be counted, or None."""
        listing = self._vendor.listing_of(row.id)
        self._apply_refusals([row])
        if row.id in self._refused:
            self._apply_kept([row], -math.inf)
        if not self._running:
            self._forget_failures()
        if row.size_pending:
            await self._count([row])
        if row.size_pending and row.id in self._refused_once:
            await self._count([row])
        self._wanted.pop(row.id, None)
        return self._explain_failure(listing) if row.size_pending else self._explain_refusal(row)

    def _forget_failures(self) -> None:
        """Try again what failed before; what was refused for good is remembered elsewhere."""
        for each in (self._failures, self._failed_in_a_row, self._refused_in_a_row):
            each.clear()
        for every in (self._stopped, self._took_too_long):
            every.clear()
        self._refused_once.clear()

    def _explain_failure(self, listing: Listing) -> VendorError | None:
        """Why sizes of a listing could not be counted for now, and which; None where none failed."""
        failure = self._failures.get(listing)
        if failure is None:
            return None
        rows = [row for row in failure.rows.values() if row.size_pending]
        return failure.error.of_part(self._source, self._name(listing, rows))

    def _name(self, listing: Listing, rows: Sequence[Row] = ()) -> str:
        """What was not counted, as the beginning of a sentence. rows: which, where it is not all."""
        if len(rows) == 1:
            return f"the size of '{clean(rows[0].name)}' could not be counted"
        of = f" of {listing.kind}s" if listing.kind is not None else ""
        return f"{f'{len(rows):,} ' if rows else ''}sizes{of} could not be counted"

    def _explain_refusal(self, row: Row) -> VendorError | None:
        """Why the vendor refuses to count a row, or None where it does not."""
        if row.size is not None:
            return None
        refusal = self._refusal_of(self._vendor.listing_of(row.id))
        return refusal.error if refusal is not None else self.explain_refused([row])

    def explain_refused(self, rows: Iterable[Row]) -> VendorError | None:
        """Why the vendor refuses to count some of these rows, each for its own sake; None where it does not.

        The reason is that of the first one.
        """
        refused = (
            [row for row in rows if row.id in self._refused and row.size is None] if self._refused else []
        )
        error = self._kept[refused[0].id].error if refused else None
        if error is None:
            return None
        listing = self._vendor.listing_of(refused[0].id)
        alike = [row for row in refused if self._vendor.listing_of(row.id) is listing]
        return error.of_part(self._source, self._name(listing, alike), final=True)

    def _refusal_of(self, listing: Listing) -> Refusal | None:
        refusal = self._refusals.get(listing)
        return refusal if refusal is not None and self._clock.now() < refusal.until_s else None

    @property
    def pending(self) -> int:
        """How many sizes are wanted and have not come."""
        return len(self._wanted)

    @property
    def refusal(self) -> VendorError | None:
        """Why sizes of some listing are not counted for now, or None where all are."""
        found = (self._refusal_of(listing) for listing in self._refusals)
        return next((refusal.error for refusal in found if refusal is not None), None)

    def _apply_refusals(self, rows: Iterable[Row]) -> None:
        """Say of pending rows whose sizes are not counted for now why that is so."""
        for row in rows if self._refusals else ():
            if row.size_pending and (refusal := self._refusal_of(self._vendor.listing_of(row.id))):
                note = NOTES.get(refusal.error.kind, MESSAGES["refused"])
                self._set(row, Counted(None, note), self._clock.utc())

    def seconds_for(self, rows: Sequence[Row]) -> float:
        """At least how long the pending ones of these rows take, by the vendor's pace."""
        pending: dict[Listing, list[Row]] = {}
        for row in rows:
            if row.size_pending:
                pending.setdefault(self._vendor.listing_of(row.id), []).append(row)
        paces: dict[str, int] = {}
        for listing, alike in pending.items():
            size = self._batch_of(listing)
            talk = self._talk(listing, alike[:size])
            pace = next(talk).pace
            talk.close()
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

    def explain_missing(self, rows: Sequence[Row]) -> VendorError | None:
        """Why some of these rows have no size, or None where nothing kept them from being counted.

        The error is `final` where the vendor refuses these sizes, so that none of them will come.
        """
        self._apply_refusals(rows)
        missing = [row for row in rows if row.size is None]
        pending = [row for row in missing if row.size_pending]
        if not pending:
            listings = dict.fromkeys(self._vendor.listing_of(row.id) for row in missing)
            refusal = next(filter(None, map(self._refusal_of, listings)), None)
            return refusal.error if refusal is not None else self.explain_refused(missing)
        errors = (self._explain_failure(self._vendor.listing_of(row.id)) for row in pending)
        if not self._running and (error := next(filter(None, errors), None)):
            return error
        seconds = max(1, min(300, round(self.seconds_for(rows))))
        text = MESSAGES["pending"].format(
            source=self._source, done=len(rows) - len(pending), wanted=len(rows), seconds=seconds
        )
        return VendorError("timeout", text, retry_after_s=seconds)

    def _batch_of(self, listing: Listing) -> int:
        """How many sizes one talk asks for: fewer than declared where so many were too many."""
        return self._batches.get(listing, listing.count.batch if listing.count is not None else 1)

    def _talk(self, listing: Listing, rows: Sequence[Row]) -> Talk[Sizes]:
        """The talk that counts these rows of a listing."""
        if listing.count is None:
            raise TypeError(f"{self._source}: a size is pending that nothing can count")
        return listing.count.talk({listing.split_id(row.id)[0]: row for row in rows}, self._account.values)

    async def _run(self) -> None:
        """Ask until nothing is wanted. Nothing may be raised from here: it would end every reading."""
        try:
            while first := self._next_batch():
                async with anyio.create_task_group() as wave:
                    wave.start_soon(self._count, first)
                    for _ in range(1, self._vendor.at_once):
                        if batch := self._next_batch():
                            wave.start_soon(self._count, batch)
        finally:
            self._running = False
            self._asked.clear()
            self._signal.notify()

    def _next_batch(self) -> list[Row]:
        """The next rows to count, all of one listing; none where nothing can be counted now."""
        listing_of = self._vendor.listing_of
        first = next((row for row in self._wanted.values() if listing_of(row.id) not in self._stopped), None)
        if first is None:
            return []
        listing = listing_of(first.id)
        alike = (row for row in self._wanted.values() if listing_of(row.id) is listing)
        batch = list(islice(alike, self._batch_of(listing)))
        for row in batch:
            del self._wanted[row.id]
            self._asked.add(row.id)
        return batch

    async def _count(self, batch: Sequence[Row]) -> None:
        """Count rows of one listing. What the vendor's answer means for others is remembered."""
        listing = self._vendor.listing_of(batch[0].id)
        try:
            await self._ask(listing, batch)
        except VendorError as e:
            await self._heed(listing, batch, e)
        except Exception:
            log.exception("%s: the vendor's code could not count", self._source)
            text = MESSAGES["unclear"].format(source=self._source)
            self._fail(listing, batch, VendorError("bad_response", text))
        else:
            self._succeed(listing)
        finally:
            self._asked.difference_update(row.id for row in batch)
            self._signal.notify()

    async def _heed(self, listing: Listing, batch: Sequence[Row], error: VendorError) -> None:
        """Count each half by itself where that may help; else leave the sizes, for now or for an hour."""
        if self._is_of_batch(listing, batch, error):
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                await self._count(half)
        elif self._splits(listing) and error.status in REFUSED_ROW | TOO_BIG:
            self._succeed(listing)
            self._refuse_row(batch[0], error, MESSAGES["refused"])
        elif error.kind in LASTING and not error.foreign:
            self._doubt(listing, batch, error)
        else:
            self._fail(listing, batch, error)

    def _succeed(self, listing: Listing) -> None:
        self._failed_in_a_row.pop(listing, None)
        self._refused_in_a_row.pop(listing, None)

    def _fail(self, listing: Listing, batch: Sequence[Row], error: VendorError) -> None:
        """Leave the sizes pending, and after some failures those of the whole listing."""
        self._remember_failure(listing, batch, error)
        self._failed_in_a_row[listing] = self._failed_in_a_row.get(listing, 0) + 1
        if error.kind == "rate_limited" or self._failed_in_a_row[listing] >= FAILED_IN_A_ROW:
            self._stopped.add(listing)

    def _remember_failure(self, listing: Listing, rows: Sequence[Row], error: VendorError) -> None:
        pending = {row.id: row for row in rows if row.size_pending}
        self._failures.setdefault(listing, Failure(error)).rows.update(pending)
        self._failed_before.update(pending)

    def _doubt(self, listing: Listing, batch: Sequence[Row], error: VendorError) -> None:
        """Ask once more, after the others, where a vendor refuses; it is believed the second time."""
        refused = self._refused_in_a_row.setdefault(listing, set())
        refused.update(row.id for row in batch[:1])
        known = self._were_refused(batch)
        if error.kind not in NOTES:
            self._refuse(listing, batch, error)  # it is no matter of the key, and not of these rows
        elif len(refused) >= REFUSED_IN_A_ROW or (known and len(batch) > 1):
            self._refuse(listing, batch, error)
        elif known:
            self._refuse_row(batch[0], error, NOTES[error.kind])
        else:
            self._refused_once.update(row.id for row in batch)
            self._wanted |= {row.id: row for row in batch if row.size_pending}

    def _were_refused(self, batch: Sequence[Row]) -> bool:
        return all(row.id in self._refused_once for row in batch)

    def _refuse(self, listing: Listing, batch: Sequence[Row], error: VendorError) -> None:
        """Count nothing more of a listing for an hour, or of an account whose settings do not do."""
        lasting = error.of_part(self._source, self._name(listing), final=True)
        refusal = Refusal(lasting, self._clock.now() + KEPT_S)
        # A key that may list may be refused for one kind of count and not for another.
        whole_account = error.kind == "not_configured"
        for each in self._vendor.listings if whole_account else (listing,):
            if each.count is not None:
                self._refusals[each] = refusal
        self._apply_refusals([*batch, *self._wanted.values()])
        self._wanted = {id: row for id, row in self._wanted.items() if row.size_pending}

    def _refuse_row(self, row: Row, error: VendorError, note: str) -> None:
        """Do not count one row for an hour."""
        self._keep([row], {row.id: Counted(None, note)}, error)

    async def _ask(self, listing: Listing, batch: Sequence[Row]) -> None:
        """One talk. Raises VendorError."""
        odd = [row for row in batch if not self._vendor.id_shape.fullmatch(row.id)]
        self._keep(odd, {row.id: Counted(None, MESSAGES["odd_id"]) for row in odd})
        batch = [row for row in batch if row.size_pending]
        if not batch or self._refusal_of(listing) is not None:
            self._apply_refusals(batch)
            return
        try:
            sizes = await converse(self._talk(listing, batch), self._fetch)
            counts = {row.id: _as_counted(sizes, listing.split_id(row.id)[0]) for row in batch}
        except UnexpectedShape:
            for row in batch:  # it is not kept, so that the next reading asks again
                self._set(row, Counted(None, MESSAGES["unreadable"]), self._clock.utc())
            return
        answered = []
        for row in batch:
            counted = counts[row.id]
            if counted is None or counted.failed is None:
                answered.append(row)
                continue
            kind, passing = kind_of(counted.failed), is_passing(counted.failed, self._vendor)
            hint = self._vendor.error_hints.get(kind, "").format_map(self._account.variables)
            said = MESSAGES["failed"].format(
                source=self._source, title=self._vendor.title, hint="Ask again." if passing else hint
            )
            error = VendorError(kind, said.rstrip(), status=counted.failed)
            if passing:
                self._remember_failure(listing, [row], error)
            else:
                self._refuse_row(row, error, MESSAGES["refused"])
        self._keep(answered, counts)

    def _splits(self, listing: Listing) -> bool:
        """Whether a batch may be refused for one row in it."""
        return listing.count is not None and listing.count.splits

    def _is_of_batch(self, listing: Listing, batch: Sequence[Row], error: VendorError) -> bool:
        """Whether a smaller batch may be counted where this one was not."""
        if len(batch) < 2:
            return False
        first = error.status in TOOK_TOO_LONG and listing not in self._took_too_long
        if first:
            self._took_too_long.add(listing)
        if first or error.status in TOO_BIG:
            self._batches[listing] = len(batch) // 2
            return True
        if not self._splits(listing):
            return False
        # A refusal that may be the key's is one of these rows where others of the listing were counted.
        of_rows = error.kind in NOTES and self._were_refused(batch) and self._has_counts(listing)
        return error.status in REFUSED_ROW or of_rows

    def _has_counts(self, listing: Listing) -> bool:
        """Whether any size of a listing was counted."""
        return any(
            kept.counted.size is not None and self._vendor.listing_of(id) is listing
            for id, kept in self._kept.items()
        )

    def _keep(
        self,
        batch: Sequence[Row],
        counts: Mapping[str, Counted | None],
        error: VendorError | None = None,
    ) -> None:
        """Give rows their sizes, and keep them for later calls.

        What cannot be read, or is 0 or nothing while the audience is still being processed, is not kept: the
        next reading asks again.
        """
        at, at_s = self._clock.utc(), self._clock.now()
        came: dict[str, Kept] = {}
        for row in batch:
            counted = counts.get(row.id) or Counted(None, MESSAGES["missing"])
            size = as_count(counted.size)
            if size is None and counted.size is not None:
                self._set(row, Counted(None, MESSAGES["unreadable"]), at)
            elif not size and row.status == "processing" and error is None:
                self._set(row, counted, at)
            else:
                self._failed_before.discard(row.id)
                self._refused.discard(row.id)
                if error is not None:
                    self._refused.add(row.id)
                came[row.id] = kept = Kept(counted, at, at_s, error, row.status == "processing")
                self._kept[row.id] = replace(kept, counted=replace(counted, past=()))
                self._set(row, counted, at)
        if came:
            self._counted(came)

    def _set(self, row: Row, counted: Counted, at: datetime, *, told: bool = False) -> None:
        """Give a row its size. told: whether its note says when it was counted."""
        row.counted_at, row.sized_on = at, counted.sized_on
        row.size, row.size_max, row.size_pending = as_count(counted.size), as_count(counted.size_max), False
        count = self._vendor.listing_of(row.id).count
        if count is not None and count.shows_ready:
            row.status = "ready" if row.size is not None else "unknown"
        if row.size == 0 and row.status == "processing":
            row.size, row.size_note = None, "; ".join(note for note in (NOT_YET, row.size_note) if note)
            return
        when = None
        if told and row.size is not None:
            when = MESSAGES["counted_at"].format(when=to_rfc3339(at.replace(microsecond=0)))
        own = row.size_note if row.size is not None else None
        notes = [note for note in dict.fromkeys((own, counted.note, when)) if note]
        if notes or row.size is not None:
            row.size_note = "; ".join(notes) or None


def _as_counted(sizes: Sizes, own: str) -> Counted | None:
    """The size that a count gave for an id, or None where it gave none."""
    if own not in sizes:
        return None
    size = sizes[own]
    return size if isinstance(size, Counted) else Counted(size)


def stored_count(kept: Kept) -> StoredCount:
    """A count that was just made, as it is stored."""
    return StoredCount(
        as_count(kept.counted.size),
        as_count(kept.counted.size_max),
        kept.counted.note,
        kept.at,
        sized_on=kept.counted.sized_on,
    )


def kept_count(stored: StoredCount, now: float) -> Kept:
    """A stored count as it is kept; `now` is of the clock that goes on."""
    counted = Counted(stored.size, stored.note, stored.size_max, stored.sized_on)
    return Kept(counted, stored.at, now - stored.ago_s)
