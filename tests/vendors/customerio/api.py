"""Customer.io's segments (App API), as documented, over given rows.

A row has its count under `count`, which the API gives by another request alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "made-up-app-api-key"
ONE = re.compile(r"/v1/segments/([^/]+)(/customer_count)?", re.ASCII)


def refused(status: int, detail: str) -> Answer:
    return Answer(status, {"errors": [{"detail": detail, "status": str(status)}]})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /v1/segments`, one of them, and its `customer_count`."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "unauthorized")
    if asked.method != "GET" or asked.body or asked.query:
        return refused(400, "bad request")
    if asked.path == "/v1/segments":
        return Answer(200, {"segments": [listed(row) for row in rows]})
    one = ONE.fullmatch(asked.path)
    found = [row for row in rows if one and isinstance(row, dict) and str(row.get("id")) == one[1]]
    if not one or not found:
        return refused(404, "segment_id does not exist")
    if not one[2]:
        return Answer(200, {"segment": listed(found[0])})
    counted = {"count": found[0]["count"]} if "count" in found[0] else {}
    return Answer(200, {"segment_id": int(one[1]), **counted})


def listed(row: Any) -> Any:
    return {k: v for k, v in row.items() if k != "count"} if isinstance(row, dict) else row
