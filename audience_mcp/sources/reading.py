"""A reading of a source: how far it got, what there is of it, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from audience_mcp.config import Source
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.freshness import Times
from audience_mcp.sources.pager import Fetch, Pager
from audience_mcp.store.values import StoredReading
from audience_mcp.vendors.base import Vendor
from audience_mcp.vendors.request import Request

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
    process, or one before this, has made it.
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

    @property
    def complete(self) -> bool:
        """Whether every page was read."""
        return self.pager.done

    @property
    def times(self) -> Times:
        """When it began, was read, ended and was first used."""
        return Times(self.started_at, self.first_page_at, self.last_page_at, self.ended_at, self.used_at)

    def progress(self) -> str:
        """How far it got: `2,300 of 4,012 audiences read`."""
        total = self.pager.vendor_total
        message = MESSAGES["progress" if total is None else "progress_of"]
        return message.format(read=len(self.pager.rows), total=total)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is of a source when a call must answer.

    complete: whether every page was read, and now. error: why not. older: whether this is an earlier,
    complete reading, since there is no newer one; `error` then is the newer one's.
    """

    pager: Pager
    complete: bool
    as_of: datetime | None
    error: VendorError | None = None
    notes: list[str] = field(default_factory=list)
    older: bool = False


def resume_reading(before: Reading, now: float) -> Reading:
    """A reading that goes on where one broke off, and is as old as that one."""
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
    """How far a reading is that goes on, and when to ask again."""
    pager = reading.pager
    seconds = max(1.0, now - reading.started_at)
    read = len(pager.rows) - reading.read_before
    left = pager.vendor_total - len(pager.rows) if pager.vendor_total is not None else None
    wait = min(300, max(1, round(left * seconds / read))) if left is not None and read > 0 else 10
    text = MESSAGES["under_way"].format(source=source, progress=reading.progress(), seconds=wait)
    return VendorError("timeout", text, retry_after_s=wait)


def write_notes(source: str, pager: Pager) -> list[str]:
    """What the reader of an answer must know of how the source was read."""
    notes = [f"{source}: {note}" for note in pager.notes]
    for message, count in (("invalid", pager.invalid), ("duplicates", pager.duplicates)):
        if count:
            rows = "row" if count == 1 else "rows"
            notes.append(MESSAGES[message].format(source=source, count=count, rows=rows))
    total, read = pager.vendor_total, len(pager.rows) + pager.invalid
    if pager.done and total is not None and total < read:
        notes.append(MESSAGES["more_than_reported"].format(source=source, read=read, total=total))
    return notes


def _nests(vendor: Vendor) -> bool:
    """Whether a vendor has lists under its rows."""
    own = type(vendor).nested_requests is not Vendor.nested_requests
    return own or any(listing.within is not None for listing in vendor.listings)


def new_pager(source: Source, fetch: Fetch, redactor: Redactor | None = None) -> Pager:
    """A pager over all listings of a source."""
    vendor, values = source.vendor, source.account.values if source.account else {}

    def nested(kind: str | None, own: str, id: str) -> Sequence[Request]:
        # Only an id as documented is ever put into a path.
        return vendor.nested_requests(kind, own, values) if vendor.id_shape.fullmatch(id) else ()

    return Pager(
        source.name,
        vendor,
        lambda: vendor.list_requests(values),
        fetch,
        nested if _nests(vendor) else None,
        vendor.at_once,
        redactor,
    )
