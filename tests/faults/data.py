"""What the vendors hold in the matrix, and what an answer over it must say.

The totals here are reckoned from the raw rows by the contract's table and know nothing of the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.batch import is_segment
from tests.support.faults import IDS, SIZES
from tests.support.served import FOUR

VENDORS = ("commbox", "batch", "smallest", "whop")
PAGED = ("batch", "whop")
PER_PAGE = 20
Place = str
PLACES: tuple[Place, ...] = ("first", "middle", "last", "one")
"""Where a fault is played: a page of the list, or the question for one audience."""

_ALL = Sandbox(vendors=FOUR).rows
ROWS: dict[str, list[Any]] = {
    "commbox": _ALL["commbox"],
    "batch": _ALL["batch"][:52],
    "smallest": _ALL["smallest"],
    "whop": _ALL["whop"][:52],
}
"""Two full pages and a short one where the vendor has pages."""
BESIDE: dict[str, list[Any]] = {"batch": [row for row in _ALL["batch"] if is_segment(row)]}
"""Rows of a further listing, at which no fault is played."""


def all_of(vendor: str) -> list[Any]:
    """Everything that a vendor has."""
    return ROWS[vendor] + BESIDE.get(vendor, [])


def places(vendor: str) -> tuple[Place, ...]:
    """A vendor without pages has a first one alone."""
    return PLACES if vendor in PAGED else ("first", "one")


def pages(vendor: str) -> list[list[Any]]:
    """The rows, page by page."""
    rows = ROWS[vendor]
    if vendor not in PAGED:
        return [rows]
    return [rows[start : start + PER_PAGE] for start in range(0, len(rows), PER_PAGE)]


def page_number(vendor: str, place: Place) -> int:
    """Which page a place is; for one audience, the page that has it."""
    if vendor not in PAGED:
        return 1
    return {"first": 1, "middle": 2, "last": 3, "one": 2}[place]


def size_of(vendor: str, row: Any) -> Any:
    """The size by the contract's table."""
    size = row.get(SIZES[vendor])
    if vendor == "whop":
        uncounted = row["audience_type"] == "lookalike" or row["source_type"] == "engagement"
        pending = size == 0 and row["status"] in ("pending", "processing", "syncing")
        return None if uncounted or pending else size
    if vendor == "batch" and size == 0 and row["indexing_state"] == "IN_PROGRESS":
        return None
    return size


@dataclass(frozen=True, slots=True)
class Totals:
    """What an answer says of a source."""

    matched: int
    sum_of_sizes: int
    unknown_sizes: int


def totals(sizes: Iterable[int | None]) -> Totals:
    """Over these sizes."""
    every = list(sizes)
    known = [size for size in every if size is not None]
    return Totals(len(every), sum(known), len(every) - len(known))


def sizes(vendor: str, rows: Iterable[Any]) -> list[int | None]:
    """Of these rows."""
    return [size_of(vendor, row) for row in rows]


def target(vendor: str, place: Place) -> Any:
    """The audience at fault: the first plain one on its page, of known size, ready, static, named."""
    for row in pages(vendor)[page_number(vendor, place) - 1]:
        plain = row["name"] and size_of(vendor, row) and len(row["name"]) < 60
        if vendor == "batch":
            plain = plain and row["indexing_state"] == "APPLIED" and row.get("display_name")
        if vendor == "whop":
            csv = row["audience_type"] == "custom" and row["source_type"] == "csv_upload"
            plain = plain and csv and row["status"] == "ready"
        if plain and row["name"] != "VIP":
            return row
    raise LookupError(f"{vendor} has no plain audience on its {place} page")


def id_of(vendor: str, row: Any) -> str:
    """The id as an answer writes it."""
    return str(row[IDS[vendor]])
