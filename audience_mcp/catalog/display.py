"""Turns rows into the audiences of an answer: cleaned, dated, cut to what a reader needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from audience_mcp.catalog.models import Audience
from audience_mcp.core.audience import Row
from audience_mcp.core.dates import parse_datetime, to_rfc3339
from audience_mcp.core.text import clean, to_json
from audience_mcp.sources.reader import SourceReader
from audience_mcp.vendors import Vendor
from audience_mcp.vendors.fields import last_part

MAX_DETAILS = 12
MAX_DETAILS_CHARS = 1200
MAX_ITEMS = 5
MAX_DEPTH = 3
_DROP = object()

Match = tuple[SourceReader, Row]
"""An audience and the source that has it."""


def display_name(row: Row) -> str:
    """The cleaned name, or the id if nothing is left of it."""
    return clean(row.name) or clean(row.id)


def to_concise(
    source: str, vendor: Vendor, row: Row, *, created: bool = False, updated: bool = False
) -> Audience:
    """A row with ref, name, size and what is unusual about it, and with its dates on request."""
    return Audience(
        ref=f"{source}:{row.id}",
        name=display_name(row),
        size=row.last_size[0] if row.size_pending and row.last_size else row.size,
        size_max=row.size_max,
        size_note=clean(_size_note(vendor, row)) or None,
        type=None if row.type == "static" else row.type,
        status=None if row.status == "ready" else row.status,
        kind=row.kind,
        part_of=f"{source}:{row.part_of}" if row.part_of else None,
        created_at=_write_date(row.created) if created else None,
        updated_at=_write_date(row.updated) if updated else None,
    )


def _size_note(vendor: Vendor, row: Row) -> str | None:
    """The row's own note. While a size is pending that is said first: what is shown may be an older one."""
    if row.size_pending:
        return "; ".join(note for note in (_default_note(vendor, row), row.size_note) if note)
    return row.size_note or _default_note(vendor, row)


def _default_note(vendor: Vendor, row: Row) -> str | None:
    if row.size_pending and row.last_size:
        when = to_rfc3339(row.last_size[1].replace(microsecond=0))
        return f"counted at {when}, not in the sums; being counted again"
    if row.size_pending:
        return "not counted yet; ask again"
    return vendor.size_unknown if row.size is None else None


def to_full(source: str, vendor: Vendor, row: Row) -> Audience:
    """A row with everything known about it."""
    audience = to_concise(source, vendor, row)
    audience.type, audience.kind = row.type, row.kind or vendor.kind
    fields = vendor.listing_of(row.id).fields
    if fields.status is not None:
        audience.status = row.status
    audience.source, audience.vendor, audience.id = source, vendor.name, row.id
    audience.description = clean(row.description) or None
    audience.created_at, audience.updated_at = _write_date(row.created), _write_date(row.updated)
    if row.detail_pairs:
        details = row.details
        if fields.match_rate:
            audience.match_rate = _read_percent(details.pop(last_part(fields.match_rate), None))
        if fields.last_used:
            audience.last_used_at = _write_date(details.pop(last_part(fields.last_used), None))
        audience.details = clean_details(details)
    return audience


def _read_percent(value: object) -> float | None:
    """A share in percent; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        return None
    return value


def _write_date(value: object) -> str | None:
    when = parse_datetime(value)
    return to_rfc3339(when) if when else None


def clean_details(facts: Mapping[str, object]) -> dict[str, Any] | None:
    """A vendor's further facts, cleaned: at most 12 of them and 1,200 characters of JSON, else None."""
    shown: dict[str, Any] = {}
    left = MAX_DETAILS_CHARS - 1
    for key, value in facts.items():
        name, plain = clean(key, 60), _plain(value, MAX_DEPTH)
        if not name or plain is _DROP:
            continue
        cost = len(to_json({name: plain})) - 1
        if cost <= left and len(shown) < MAX_DETAILS:
            left -= cost
            shown[name] = plain
    return shown or None


def _plain(value: object, depth: int) -> Any:
    """`value` as JSON that every client can read, or `_DROP` for what is not shown."""
    if value is None or isinstance(value, bool):
        return _DROP if value is None else value
    if isinstance(value, str):
        return clean(value) or _DROP
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value) if abs(value) < 10**20 else _DROP
    if isinstance(value, float):
        return (
            _DROP
            if not math.isfinite(value)
            else int(value)
            if value.is_integer() and abs(value) <= 2**53
            else value
        )
    if depth == 0:
        return _DROP
    if isinstance(value, Mapping):
        pairs = ((clean(k, 60), _plain(v, depth - 1)) for k, v in list(value.items())[:MAX_DETAILS])
        return {k: v for k, v in pairs if k and v is not _DROP} or _DROP
    if isinstance(value, (list, tuple)):
        items = [_plain(item, depth - 1) for item in value[:MAX_ITEMS]]
        return [item for item in items if item is not _DROP] or _DROP
    return _DROP
