"""Readings as bytes: a column for each field of a row, and one value for a field that is the same in all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from audience_mcp.core.audience import Row
from audience_mcp.core.text import MAX_LOOKED_AT
from audience_mcp.store.values import StoreError

FIELDS = (
    "id", "name", "size", "type", "status", "size_note", "size_max", "kind", "part_of", "size_pending",
    "description", "created", "updated", "details",
)  # fmt: skip
"""What is kept of a row: all that an answer may need."""
_row: Callable[..., Row] = Row


def encode_rows(rows: Sequence[Row], facts: dict[str, Any]) -> bytes:
    """A reading as bytes. facts: what else is to be kept of it, as JSON."""
    same: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    # First whether a size is pending: one that is counted meanwhile is then counted again, not lost.
    for name in ("size_pending", *(name for name in FIELDS if name != "size_pending")):
        column = list(map(attrgetter(name), rows))
        if column and _is_plain(column[0]) and column.count(column[0]) == len(column):
            same[name] = column[0]
        else:
            columns[name] = column
    if "description" in columns:  # more of it is never looked at
        columns["description"] = [
            text[:MAX_LOOKED_AT] if isinstance(text, str) else None for text in columns["description"]
        ]
    return to_bytes({"rows": len(rows), "same": same, "columns": columns, "facts": facts})


def decode_rows(data: bytes) -> tuple[list[Row], dict[str, Any]]:
    """The rows and the facts. Raises StoreError where the bytes are not a reading."""
    found = from_bytes(data)
    try:
        count, same, columns = found["rows"], found["same"], found["columns"]
        lists = [columns[name] if name in columns else [same.get(name)] * count for name in FIELDS]
        # The eleventh field is what is searched, which is made anew.
        rows = [_row(*each[:10], None, *each[10:]) for each in zip(*lists, strict=True)]
        return rows, dict(found["facts"])
    except (KeyError, TypeError, ValueError) as e:
        raise StoreError("damaged", f"a stored reading is not as it was written: {type(e).__name__}") from e


def to_bytes(value: object) -> bytes:
    """JSON as bytes, also of text that no Unicode string can hold."""
    try:
        return to_json(value)
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        return json.dumps(value, default=str).encode()


def from_bytes(data: bytes) -> Any:
    """What was made by `to_bytes`. Raises StoreError."""
    try:
        return from_json(data)
    except ValueError:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as e:
            raise StoreError("damaged", "stored bytes are not as they were written") from e


def _is_plain(value: object) -> bool:
    """Whether equal values are the same value: 1, 1.0 and True are equal too, and not the same."""
    return value is None or isinstance(value, (str, bool))
