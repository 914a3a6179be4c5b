"""Turns vendors' rows into audiences, and drops broken ones."""

from __future__ import annotations

import re
from typing import get_args

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.core.values import WHOLE_MAX, as_count, as_id
from audience_mcp.vendors.base import Vendor
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.parsing import is_object, value_at

TYPES = frozenset(get_args(AudienceType))
STATUSES = frozenset(get_args(Status))
DELETED = "deleted"
"""The size note of an audience that the vendor still lists, though it was deleted there."""
NOT_YET = "not counted yet"
"""The size note of an audience whose vendor gives 0 while it is still processing it."""
BAD_BYTE = "\ufffd"
"""What stands for a byte that is not text. An id with it is not the vendor's."""
_STAMP = re.compile("[1-9]|true", re.IGNORECASE)
"""What neither a null nor a false has in it."""


def row_of(vendor: Vendor, listing: Listing, raw: object, parent: str | None = None) -> Row | None:
    """A row of a listing as an audience, or None where it is broken: not an object, or without a usable id.

    parent: the vendor's own id of the row that the listing lies under.
    """
    if not is_object(raw):
        return None
    try:
        own = as_id(listing.fields.own_id(raw))
        if own is None:
            return None
        full = listing.full_id(own, parent)
        id = own if full is own else as_id(full)
        if id is None or HIDDEN in id or BAD_BYTE in id:  # an id that held a key cannot be requested
            return None
        row = listing.row(raw, id)
        if type(vendor).refine is not Vendor.refine:
            vendor.refine(row, raw, listing)
            _make_sound(row, id)
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001 (it loses no other row)
        return None
    if parent is not None and listing.within is not None and row.part_of is None:
        row.part_of = listing.within.full_id(parent)
    if row.size == 0 and row.status == "processing":
        row.size, row.size_max = None, None
        row.size_note = "; ".join(note for note in (NOT_YET, row.size_note) if note)
    if listing.deleted_at is not None and was_deleted(raw, listing.deleted_at):
        row.size = row.size_max = None
        row.size_pending = row.open_ended = False
        row.status, row.size_note = "unknown", DELETED
    return row


def was_deleted(raw: object, path: str) -> bool:
    """Whether a row says that its audience was deleted: by true, also as text, or by a date not all zeros."""
    return _STAMP.search(str(value_at(raw, path))) is not None


def _make_sound(row: Row, id: str) -> None:
    """Undo what a vendor's own code set and what would fail later, far from the vendor."""
    row.id = id
    if row.size is not None and not (type(row.size) is int and 0 <= row.size <= WHOLE_MAX):
        row.size = as_count(row.size)
    if row.size_max is not None:
        row.size_max = as_count(row.size_max)
    if row.size is None or (row.size_max is not None and row.size_max < row.size):
        row.size_max = None
    row.open_ended = row.open_ended is True and row.size is not None and row.size_max is None
    if not isinstance(row.name, str):
        row.name = id
    if row.type not in TYPES:
        row.type = "unknown"
    if row.status not in STATUSES:
        row.status = "unknown"
