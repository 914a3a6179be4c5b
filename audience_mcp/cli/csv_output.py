"""Answers as CSV (RFC 4180), for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence

from audience_mcp.catalog.models import AudienceList, AudienceMatch

AUDIENCE_COLUMNS = (
    "ref", "name", "size", "size_max", "kind", "type", "status", "source", "vendor", "id", "part_of",
    "description", "created_at", "updated_at", "size_note",
)  # fmt: skip
GROUP_COLUMNS = ("key", "matched", "sum_of_sizes", "sum_max", "unknown_sizes")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would run."""


def write_csv(answer: AudienceList | AudienceMatch) -> None:
    """Write an answer's groups or audiences to stdout, in UTF-8 whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    groups = answer.groups if isinstance(answer, AudienceList) else None
    columns: Sequence[str] = AUDIENCE_COLUMNS if groups is None else GROUP_COLUMNS
    rows: Iterable[object] = answer.audiences if groups is None else groups
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_cell(getattr(row, column)) for column in columns] for row in rows)


def _cell(value: object) -> str:
    """A value as a cell: empty where unknown; a text that looks like a formula gets an apostrophe."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
