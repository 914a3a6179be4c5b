"""HubSpot's lists, in the form of 2026-09 and in the v3 form that its SDK speaks, over given rows.

A row has its size under `size` and a description under `hs_description`. The listing has both among the
additional properties, the size as text; one list asked for alone has its size and no description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "pat-na1-made-up-token"
ONE = re.compile(r"/crm/(?:lists/2026-09|v3/lists)/([0-9]+)", re.ASCII)
ADDITIONAL = {"size", "hs_description"}
KNOWN = {"count", "after", "processingTypes", "objectTypeId", "additionalProperties"}


def refused(status: int, category: str, **more: object) -> Answer:
    return Answer(
        status, {"status": "error", "message": "…", "correlationId": "c", "category": category, **more}
    )


def listed(row: Any) -> Any:
    """A row as a listing has it."""
    if not isinstance(row, dict):
        return row
    further = {}
    if "size" in row:
        further["hs_list_size"] = str(row["size"]) if isinstance(row["size"], int) else row["size"]
    if "hs_description" in row:
        further["hs_description"] = row["hs_description"]
    return {**{k: v for k, v in row.items() if k not in ADDITIONAL}, "additionalProperties": further}


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`POST …/all`, `GET …/{id}`, and v3's `POST …/search`."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "INVALID_AUTHENTICATION")
    one = ONE.fullmatch(asked.path)
    if one is not None and asked.method == "GET":
        found = next((row for row in rows if isinstance(row, dict) and row.get("listId") == one[1]), None)
        if found is None:
            return refused(404, "OBJECT_NOT_FOUND")
        return Answer(200, {"list": {k: v for k, v in found.items() if k != "hs_description"}})
    if asked.method != "POST" or "application/json" not in asked.headers.get("content-type", ""):
        return refused(405, "METHOD_NOT_ALLOWED")
    body = json.loads(asked.body)
    count = body.get("count", 20)
    if not 1 <= count <= 500:
        return refused(400, "VALIDATION_ERROR")
    if asked.path == "/crm/v3/lists/search":
        start = body["offset"]
        page = [listed(row) for row in rows[start : start + count]]
        end = start + len(page)
        return Answer(200, {"lists": page, "offset": end, "hasMore": end < len(rows), "total": len(rows)})
    if asked.path != "/crm/lists/2026-09/all" or body.keys() - KNOWN:
        return refused(400, "VALIDATION_ERROR")
    after = body.get("after", "at-0")
    if not after.startswith("at-"):
        return refused(400, "VALIDATION_ERROR", subCategory="INVALID_CURSOR")
    start = int(after[3:])
    found_page: dict[str, Any] = {"results": [listed(row) for row in rows[start : start + count]]}
    if start + count < len(rows):
        found_page["paging"] = {"next": {"after": f"at-{start + count}"}}
    return Answer(200, found_page)
