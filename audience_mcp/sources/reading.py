"""A reading of a source: how far it got, what there is of it, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from audience_mcp.config import Source
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.talk import Fetch
from audience_mcp.store.stored import StoredReading

UNUSED_FOR_S = 600
"""Seconds for which a reading that finished after its call was answered serves the next call."""
RESUME_AFTER_PAGE_S = 600
"""Seconds after its last page until which an interrupted reading can be resumed."""
RESUME_AFTER_FIRST_S = 3600
"""Seconds after its first page until which it can: what it starts with must not be older."""
JOINED_BY_REFRESH_S = 10
"""Seconds before a `refresh` within which a reading may have started and still serve it."""
LAST_COMPLETE_S = 86_400
"""Seconds for which the last complete reading is used when newer ones fail."""

MESSAGES = {
    "under_way": "{source}: {progress}; the reading goes on. Ask again in {seconds} s to continue.",
    "progress": "{read:,} audiences read",
    "progress_of": "{read:,} of {total:,} audiences read",
    "invalid": "{source}: skipped {count:,} {rows} without a usable id",
    "duplicates": "{source}: {count:,} duplicate {rows}, counted once",
    "more_than_reported": "{source}: listed {read:,} audiences, more than the {total:,} it reports",
}


@dataclass(slots=True, eq=False)
class Reading:
    """A reading under way or ended. `error` says why it ended before its end.

    as_of: when its first page came: nothing in it is older. stored: what it was taken from, where another
    process, or one before this, has made it. snapshot: what it answered a call with, once it was over.
    """

    pager: Pager
    started_at: float
    refreshing: bool = False
    resumed: bool = False
    error: VendorError | None = None
    ended: bool = False
    ended_at: float | None = None
    used_at: float | None = None
    first_page_at: float | None = None
    last_page_at: float | None = None
    as_of: datetime | None = None
    read_before: int = 0
    restarted: bool = False
    stored: StoredReading | None = None
    waiting: int = 0
    left_at: float = 0.0
    snapshot: Snapshot | None = None

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.pager.done

    def serves(self, now: float, cache_s: float, *, refresh: bool) -> bool:
        """Whether a call that comes now may wait for this reading, or be answered from it.

        A reading made for a `refresh` that outlasted its call is continued by the next one.
        """
        continues = refresh and self.refreshing and (not self.ended or self.used_at is None)
        if refresh and not continues:
            return now - self.started_at < JOINED_BY_REFRESH_S and not self._may_be_retried
        if not self.ended:
            return True
        if self._may_be_retried or self.ended_at is None:
            return False
        if self.used_at is None:
            return now - self.ended_at < UNUSED_FOR_S
        return now - self.used_at < cache_s

    def can_resume(self, now: float, *, refresh: bool) -> bool:
        """Whether an interrupted reading continues at the page that failed."""
        if self.error is None or not (self.error.passing or self.pager.can_resume):
            return False
        if self.first_page_at is None or self.last_page_at is None:
            return False
        if refresh and not self.refreshing and now - self.started_at >= JOINED_BY_REFRESH_S:
            return False
        return (
            now - self.last_page_at < RESUME_AFTER_PAGE_S and now - self.first_page_at < RESUME_AFTER_FIRST_S
        )

    @property
    def _may_be_retried(self) -> bool:
        """Whether it ended with an error after which the next call asks again."""
        return self.ended and self.error is not None and not self.error.final

    def progress(self) -> str:
        """How far it got: `2,300 of 4,012 audiences read`."""
        total = self.pager.vendor_total
        message = MESSAGES["progress" if total is None else "progress_of"]
        return message.format(read=len(self.pager.rows), total=total)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is of a source when a call must answer.

    complete: whether every page was read, and now. error: why not; of a complete one, why the vendor refuses
    to count sizes. older: whether this is an earlier, complete reading, since there is no newer one; `error`
    then is the newer one's.
    """

    pager: Pager
    complete: bool
    as_of: datetime | None
    error: VendorError | None = None
    notes: list[str] = field(default_factory=list)
    older: bool = False

    def without_sizes(self, error: VendorError) -> Snapshot:
        """The same where sizes are missing that cost a request each; it is complete if none of them will
        come."""
        return replace(self, complete=self.complete and error.final, error=self.error or error)


def resume_reading(before: Reading, now: float) -> Reading:
    """A reading that continues an interrupted one, and is as old as that one."""
    return Reading(
        before.pager,
        now,
        refreshing=before.refreshing,
        resumed=True,
        first_page_at=before.first_page_at,
        last_page_at=before.last_page_at,
        as_of=before.as_of,
        read_before=len(before.pager.rows),
    )


def restore_reading(reading: Reading, stored: StoredReading, pager: Pager, now: float) -> Reading:
    """Make a reading of a stored one."""
    reading.pager, reading.stored, reading.as_of = pager, stored, stored.as_of
    reading.started_at = now - stored.started_ago_s
    reading.first_page_at = now - stored.first_page_ago_s
    reading.last_page_at = reading.ended_at = now - stored.ended_ago_s
    pager.restore(
        stored.rows,
        pages=stored.pages,
        total=stored.total,
        invalid=stored.invalid,
        duplicates=stored.duplicates,
        notes=stored.notes,
    )
    return reading


def to_stored(reading: Reading, now: float) -> StoredReading | None:
    """A complete reading as it is stored; None where no page of it has come."""
    pager = reading.pager
    if reading.as_of is None or reading.first_page_at is None:
        return None
    return StoredReading(
        list(pager.rows.values()),
        reading.as_of,
        now - reading.started_at,
        now - reading.first_page_at,
        0.0,
        pager.pages,
        pager.vendor_total,
        pager.invalid,
        pager.duplicates,
        list(pager.notes),
    )


def explain_under_way(source: str, reading: Reading, now: float) -> VendorError:
    """How far a reading under way has got, and when to ask again."""
    pager = reading.pager
    seconds = max(1.0, now - reading.started_at)
    read = len(pager.rows) - reading.read_before
    left = pager.vendor_total - len(pager.rows) if pager.vendor_total is not None else None
    wait = min(300, max(1, round(left * seconds / read))) if left is not None and read > 0 else 10
    text = MESSAGES["under_way"].format(source=source, progress=reading.progress(), seconds=wait)
    return VendorError("timeout", text, retry_after_s=wait)


def write_notes(source: str, pager: Pager) -> list[str]:
    """What the reader of an answer must know of how the source was read."""
    notes = [f"{source}: {note}" for note in pager.notes] + pager.failures
    for message, count in (("invalid", pager.invalid), ("duplicates", pager.duplicates)):
        if count:
            rows = "row" if count == 1 else "rows"
            notes.append(MESSAGES[message].format(source=source, count=count, rows=rows))
    total, read = pager.vendor_total, len(pager.rows) + pager.invalid
    if pager.done and total is not None and total < read:
        notes.append(MESSAGES["more_than_reported"].format(source=source, read=read, total=total))
    return notes


def new_pager(source: Source, fetch: Fetch, redactor: Redactor | None = None) -> Pager:
    """A pager over all listings of a source."""
    values = source.account.values if source.account else {}
    return Pager(source.name, source.vendor, values, fetch, redactor)
