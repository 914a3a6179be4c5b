"""Readings as bytes: a column for each field of a row, and one value for a field that is the same in all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from audience_mcp.core.audience import Row
from audience_mcp.core.secrets import HIDDEN
from audience_mcp.core.text import MAX_LOOKED_AT
from audience_mcp.store.stored import StoreError, from_ms, to_ms

FIELDS = tuple(each.name for each in fields(Row) if each.name not in ("folded", "last_size"))
"""What is kept of a row: everything but what is made again from the rest."""


Clean = Callable[[bytes, object], Any]
"""Takes keys out of stored JSON: given its bytes and what was parsed of them, as Redactor.body."""


def as_it_is(raw: bytes, parsed: object) -> Any:
    """What was parsed, for what does not leave the store."""
    return parsed


def encode_rows(rows: Sequence[Row], facts: dict[str, Any]) -> bytes:
    """A reading as bytes. facts: what else is to be kept of it, as JSON."""
    same: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    # Pending first: a size that arrives while this runs is then counted again, and not lost.
    for name in ("size_pending", *(name for name in FIELDS if name != "size_pending")):
        column = list(map(attrgetter(name), rows))
        if name == "counted_at":
            column = [None if each is None else to_ms(each) for each in column]
        if column and _is_plain(column[0]) and column.count(column[0]) == len(column):
            same[name] = column[0]
        else:
            columns[name] = column
    if "description" in columns:  # more of it is never looked at
        columns["description"] = [
            text[:MAX_LOOKED_AT] if isinstance(text, str) else None for text in columns["description"]
        ]
    return to_bytes({"rows": len(rows), "same": same, "columns": columns, "facts": facts})


def decode_rows(data: bytes, clean: Clean = as_it_is) -> tuple[list[Row], dict[str, Any]]:
    """The rows and the facts, from which `clean` takes keys. A row whose id held one is left out.

    Raises StoreError where the bytes are not a reading.
    """
    found = clean(data, from_bytes(data))
    try:
        count, same, columns = found["rows"], found["same"], found["columns"]
        if "counted_at" in columns:
            moments = columns["counted_at"]
            columns["counted_at"] = [None if each is None else from_ms(each) for each in moments]
        if "detail_pairs" in columns:
            columns["detail_pairs"] = list(map(tuple, columns["detail_pairs"]))
        by_name = {name: columns[name] if name in columns else [same[name]] * count for name in FIELDS}
        # In the order in which the class itself has its fields, whatever that is.
        lists = [by_name.get(each.name) or [each.default] * count for each in fields(Row)]
        rows = [Row(*values) for values in zip(*lists, strict=True)]
        return [row for row in rows if HIDDEN not in row.id], dict(found["facts"])
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
