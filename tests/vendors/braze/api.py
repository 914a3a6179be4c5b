"""Braze's segment exports, as documented, over given rows.

A row has its estimate under `size`, which the API gives by another request alone, and may have what only
`details` tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "made-up-rest-api-key"
LISTED = {"id", "name", "analytics_tracking_enabled", "tags"}
ALONE = {"created_at", "updated_at", "description", "text_description", "teams"}
DAY = "2026-11-19"


def refused(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /segments/list`, `/segments/details` and `/segments/data_series`."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "Invalid API Key")
    if asked.method != "GET" or asked.body:
        return refused(405, "method")
    given = {name: value for name, (value,) in asked.query.items()}
    if asked.path == "/segments/list":
        return _page(given, rows)
    row = next((r for r in rows if isinstance(r, dict) and r.get("id") == given.get("segment_id")), None)
    if row is None:
        return refused(400, "invalid segment_id")
    if asked.path == "/segments/details" and given.keys() == {"segment_id"}:
        known = {k: v for k, v in row.items() if k in {*ALONE, "name", "tags"}}
        return Answer(200, {"message": "success", **known})
    if asked.path == "/segments/data_series" and {"segment_id", "length"} <= given.keys():
        return _series(given, row)
    return refused(400, "bad request")


def _series(given: dict[str, str], row: dict[str, Any]) -> Answer:
    """The days of a segment up to `ending_at`, as many as `length` says."""
    if given.keys() - {"segment_id", "length", "ending_at"} or not 1 <= int(given["length"]) <= 100:
        return refused(400, "length")
    series = (
        row["series"] if "series" in row else [{"time": DAY, "size": row["size"]}] if "size" in row else []
    )
    last = given.get("ending_at", "9999")[:10]
    asked = [day for day in series if not isinstance(day, dict) or str(day.get("time", ""))[:10] <= last]
    return Answer(200, {"message": "success", "data": asked[-int(given["length"]) :]})


def _page(given: dict[str, str], rows: Sequence[Any]) -> Answer:
    if given.keys() - {"page", "sort_direction"} or not given.get("page", "0").isdigit():
        return refused(400, "page")
    start = 100 * int(given.get("page", "0"))
    page = [
        {k: v for k, v in row.items() if k in LISTED} if isinstance(row, dict) else row
        for row in rows[start : start + 100]
    ]
    return Answer(200, {"message": "success", "segments": page})
