"""beehiiv's segments and newsletter lists, as documented, over given rows.

A row is flat and has its `kind`; that of a segment has its size under `total_results` as beehiiv has it, a
list's is served as `subscriber_count`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY, PUBLICATION = "made-up-beehiiv-key", "pub_0f0c3e5a-1b2c-4d3e-8f90-a1b2c3d4e5f6"
PATH = re.compile(rf"/v2/publications/{PUBLICATION}/(segments|newsletter_lists)(?:/([^/]+))?", re.ASCII)


def is_list(row: Any) -> bool:
    return isinstance(row, dict) and row.get("kind") == "list"


def sent(row: Any) -> Any:
    """A row as beehiiv sends it."""
    if not isinstance(row, dict):
        return row
    rest = {name: value for name, value in row.items() if name != "kind"}
    if not is_list(row):
        return rest
    size = {"subscriber_count": rest.pop("total_results")} if "total_results" in rest else {}
    return {**rest, **size}


def refused(status: int, text: str) -> Answer:
    return Answer(status, {"status": status, "statusText": text, "errors": [{"message": text, "code": "…"}]})


def answer(asked: Asked, rows: Sequence[Any], *, has_lists: bool = True) -> Answer:
    """Both listings, and one of either."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "Unauthorized")
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "GET" or (path[1] == "newsletter_lists" and not has_lists):
        return refused(404, "Not Found")
    own = [row for row in rows if is_list(row) is (path[1] == "newsletter_lists")]
    if path[2] is not None:
        found = next((row for row in own if isinstance(row, dict) and row.get("id") == path[2]), None)
        return refused(404, "Not Found") if found is None else Answer(200, {"data": sent(found)})
    query = {name: values[0] for name, values in asked.query.items()}
    limit, page = int(query.pop("limit", "10")), int(query.pop("page", "1"))
    if query or not 1 <= limit <= 100 or page < 1:
        return refused(400, "Bad Request")
    shown = [sent(row) for row in own[(page - 1) * limit : page * limit]]
    ends = {"total_results": len(own), "total_pages": -(-len(own) // limit)}
    return Answer(200, {"data": shown, "limit": limit, "page": page, **ends})
