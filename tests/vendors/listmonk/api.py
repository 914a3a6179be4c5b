"""listmonk's lists, by its source, over given rows.

A row is as it is listed, save that its `confirmed` stands under `subscriber_statuses` there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked
from audience_mcp.vendors.parsing import basic

USER, TOKEN = "audiences", "made-up-listmonk-token"
PATH = re.compile(r"/api/lists(?:/([^/]+))?", re.ASCII)


def sent(row: Any, times: int = 1) -> Any:
    """A row as listmonk sends it; in the answer for one list its count is twice what it should be."""
    if not isinstance(row, dict):
        return row
    rest = {name: value for name, value in row.items() if name not in ("confirmed", "others")}
    if "confirmed" not in row:
        return rest
    others = row.get("others")
    statuses = {"confirmed": row["confirmed"], **(others if isinstance(others, dict) else {})}
    counts = [count for count in statuses.values() if type(count) is int]
    return {**rest, "subscriber_count": times * sum(counts), "subscriber_statuses": statuses}


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """The listing, and one list."""
    if asked.headers.get("authorization") != basic(USER, TOKEN):
        return Answer(403, {"message": "invalid API credentials"})
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return Answer(404, {"message": "Not Found"})
    if path[1] is not None:
        found = next((row for row in rows if isinstance(row, dict) and str(row.get("id")) == path[1]), None)
        if found is None:
            return Answer(400, {"message": "List not found"})
        return Answer(200, {"data": sent(found, times=2)})
    if asked.query != {"per_page": ["all"]}:
        return Answer(400, {"message": "pages are cut without an order"})
    body = {"results": [sent(row) for row in rows], "query": "", "total": len(rows), "per_page": 0, "page": 1}
    return Answer(200, {"data": body})
