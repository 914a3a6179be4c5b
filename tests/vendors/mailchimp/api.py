"""Mailchimp's lists and segments, as its document has them, over given rows.

A row with a `list_id` is a segment of that list, every other one a list; a list's `member_count` is served
under `stats`, where Mailchimp has it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "0123456789abcdef0123456789abcdef-us6"
PATH = re.compile(r"/3\.0/lists(?:/([^/]+)(/segments(?:/([^/]+))?)?)?", re.ASCII)
KNOWN = {"count", "offset", "fields", "exclude_fields", "sort_field", "sort_dir", "type"}


def refused(status: int, title: str) -> Answer:
    return Answer(
        status, {"type": "about:blank", "title": title, "status": status, "detail": "…", "instance": "i"}
    )


def nested(row: Any) -> Any:
    """A list as Mailchimp sends it."""
    if not isinstance(row, dict) or "member_count" not in row:
        return row
    counts = {k: row[k] for k in ("member_count", "unsubscribe_count", "cleaned_count") if k in row}
    return {**{k: v for k, v in row.items() if k not in counts}, "stats": counts}


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /3.0/lists`, `/lists/{id}`, and the same below a list for its segments."""
    given = asked.headers.get("authorization", "").removeprefix("Basic ")
    if base64.b64decode(given).decode().rpartition(":")[2] != KEY:
        return refused(401, "API Key Invalid")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or path is None:
        return refused(404, "Resource Not Found")
    query = {name: values[0] for name, values in asked.query.items()}
    if query.keys() - KNOWN or not 1 <= int(query.get("count", "10")) <= 1000:
        return refused(400, "Invalid Resource")
    segments = [row for row in rows if isinstance(row, dict) and "list_id" in row]
    lists = [row for row in rows if row not in segments]
    list_id, below, segment_id = path.groups()
    if list_id is None:
        return paged("lists", [nested(row) for row in lists], query)
    parent = found(lists, list_id)
    if parent is None:
        return refused(404, "Resource Not Found")
    if below is None:
        return Answer(200, nested(parent))
    own = [row for row in segments if row["list_id"] == list_id]
    if segment_id is None:
        return paged("segments", own, query)
    one = found(own, segment_id)
    return refused(404, "Resource Not Found") if one is None else Answer(200, one)


def found(rows: Sequence[Any], id: str) -> Mapping[str, object] | None:
    return next((row for row in rows if isinstance(row, dict) and str(row.get("id")) == id), None)


def paged(key: str, rows: Sequence[Any], query: Mapping[str, str]) -> Answer:
    start, count = int(query.get("offset", "0")), int(query.get("count", "10"))
    return Answer(200, {key: rows[start : start + count], "total_items": len(rows)})
