"""Answers as CSV (RFC 4180), for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence

from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.remembered import SizeHistory

AUDIENCE_COLUMNS = (
    "ref", "name", "size", "size_max", "kind", "type", "status", "source", "vendor", "id", "part_of",
    "description", "created_at", "updated_at", "size_note",
)  # fmt: skip
GROUP_COLUMNS = ("key", "matched", "sum_of_sizes", "sum_max", "unknown_sizes")
COMPARED_COLUMNS, COMPARED_GROUP_COLUMNS = ("size_then", "change"), ("sum_then", "change")
"""Further ones where sizes are compared with those of before."""
HISTORY_COLUMNS = ("ref", "name", "as_of", "size")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would run."""


def write_csv(answer: AudienceList | AudienceMatch, *, compared: bool = False) -> None:
    """Write an answer's groups or audiences to stdout, in UTF-8 whatever the locale."""
    groups = answer.groups if isinstance(answer, AudienceList) else None
    columns: Sequence[str] = AUDIENCE_COLUMNS if groups is None else GROUP_COLUMNS
    if compared:
        columns = [*columns, *(COMPARED_COLUMNS if groups is None else COMPARED_GROUP_COLUMNS)]
    rows: Iterable[object] = answer.audiences if groups is None else groups
    _write(columns, ([getattr(row, column) for column in columns] for row in rows))


def write_history_csv(audiences: Iterable[SizeHistory]) -> None:
    """Write a line for each moment of each audience."""
    points = ([each.ref, each.name, p.as_of, p.size] for each in audiences for p in each.history)
    _write(HISTORY_COLUMNS, points)


def _write(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> str:
    """A value as a cell: empty where unknown; a text that looks like a formula gets an apostrophe."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
