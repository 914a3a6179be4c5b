"""OneSignal's segments, as documented, over given rows.

A row has its count under `subscriber_count`, which the API gives for one segment alone. total: whether
`total_count` is of all segments or of the page: its documentation allows both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from audience_mcp.testing import Answer, Asked

KEY = "os_v2_app_made-up-key"
APP = "6f1e0c2a-1b2c-4d3e-8f40-5a6b7c8d9e0f"
PATH = re.compile(r"/apps/([^/]+)/segments(?:/([^/]+))?", re.ASCII)
NEVER_COUNTED = "user-based"
"""The name of a segment that OneSignal does not count."""


def answer(asked: Asked, rows: Sequence[Any], total: Literal["all", "page"] = "all") -> Answer:
    """`GET /apps/{app}/segments` and one of them."""
    path = PATH.fullmatch(asked.path)
    if path is None:
        return Answer(404, {"errors": ["Not found"]})
    if asked.headers.get("authorization") != f"Key {KEY}":
        return Answer(400, {"errors": ["Access denied. Please include an 'Authorization: ...' header"]})
    if path[1] != APP:
        return Answer(403, {})
    if asked.method != "GET" or asked.body or asked.query.keys() - {"offset", "limit"}:
        return Answer(400, {"errors": ["bad request"]})
    if path[2]:
        return _one(path[2], rows)
    limit, offset = (
        int(asked.query.get(name, [default])[0]) for name, default in (("limit", "300"), ("offset", "0"))
    )
    if not 1 <= limit <= 300:
        return Answer(400, {"errors": ["limit"]})
    page = [
        {k: v for k, v in row.items() if k != "subscriber_count"} if isinstance(row, dict) else row
        for row in rows[offset : offset + limit]
    ]
    number = len(rows) if total == "all" else len(page)
    return Answer(200, {"total_count": number, "offset": offset, "limit": limit, "segments": page})


def _one(id: str, rows: Sequence[Any]) -> Answer:
    row = next((row for row in rows if isinstance(row, dict) and row.get("id") == id), None)
    if row is None:
        return Answer(404, {"errors": ["Segment not found"]})
    if row.get("name") == NEVER_COUNTED:
        return Answer(400, {"errors": ["Segment is not supported"]})
    return Answer(200, {"subscriber_count": row["subscriber_count"]} if "subscriber_count" in row else {})
