"""A vendor's rows as audiences: sound ones, and none of those that are broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, get_args

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.core.values import as_count, as_id
from audience_mcp.vendors.parsing import is_object
from audience_mcp.vendors.request import Request

TYPES = frozenset(get_args(AudienceType))
STATUSES = frozenset(get_args(Status))


class ReadsRows(Protocol):
    """What makes an audience of a row."""

    def row_id(self, raw: Mapping[str, object]) -> object: ...  # noqa: D102
    def row(self, raw: Mapping[str, object], id: str) -> Row: ...  # noqa: D102


def row_of(vendor: ReadsRows, raw: object, request: Request | None = None) -> Row | None:
    """A vendor's row as an audience, or None where it is broken: no object, or without a usable id."""
    if not is_object(raw):
        return None
    listing = request.listing if request is not None else None
    parent = request.parent if request is not None else None
    try:
        id = as_id(vendor.row_id(raw))
        if id is None:
            return None
        whole = id if listing is None else listing.full_id(id, parent)
        full = id if whole is id else as_id(whole)
        # An id that held a key cannot be asked for: its row is broken.
        broken = full is None or HIDDEN in full
        row = None if broken or full is None else _sound(vendor.row(raw, full), full)
    except (Exception, SystemExit, GeneratorExit):  # noqa: BLE001 (it loses no other row)
        return None
    if row is not None and listing is not None and listing.kind is not None:
        row.kind = row.kind or listing.kind
        if parent is not None and row.part_of is None:
            row.part_of = f"{listing.within}-{parent}"
    return row


def _sound(row: Row, id: str) -> Row:
    """A vendor's row with nothing in it that would fail later, far from the vendor."""
    row.id = id
    if row.details is not None and not is_object(row.details):
        row.details = None
    if row.size is not None:
        row.size = as_count(row.size)
    if row.size_max is not None:
        row.size_max = as_count(row.size_max)
    if row.size is None or (row.size_max is not None and row.size_max < row.size):
        row.size_max = None
    if not isinstance(row.name, str):
        row.name = row.id
    if row.type not in TYPES:
        row.type = "unknown"
    if row.status not in STATUSES:
        row.status = "unknown"
    return row
