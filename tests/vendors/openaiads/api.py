"""OpenAI Ads' custom audiences of one ad account, as documented, over given rows.

A number in place of a range's word goes out as the word of the range that holds it alone: `41_42`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "sk-ads-made-up-key"
RANGE = "matched_user_count_range"
PATH = re.compile(r"/v1/custom_audiences(?:/(caud_[A-Za-z0-9_-]+))?", re.ASCII)


def refused(status: int, code: str) -> Answer:
    error = {"message": "…", "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status, {"error": error})


def as_sent(row: Any) -> Any:
    """A row as OpenAI writes it, with a word for its range."""
    size = row.get(RANGE) if isinstance(row, dict) else None
    if isinstance(size, bool) or not re.fullmatch(r"\d{1,16}(\.0)?", str(size)):
        return row
    whole = int(str(size).removesuffix(".0"))
    return {**row, RANGE: f"{whole}_{whole + 1}"} if whole <= 2**53 else row


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /custom_audiences` and `GET /custom_audiences/{id}`."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "invalid_api_key")
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "GET" or asked.body:
        return refused(404, "not_found")
    if path[1]:
        found = [row for row in rows if isinstance(row, dict) and row.get("id") == path[1]]
        return Answer(200, as_sent(found[0])) if found else refused(404, "not_found")
    query = {name: values[0] for name, values in asked.query.items()}
    limit, order = int(query.get("limit", "20")), query.get("order", "desc")
    if query.keys() - {"limit", "order", "after"} or not 1 <= limit <= 500 or order != "asc":
        return refused(400, "invalid_parameter")
    start = int(query.get("after", "at-0").removeprefix("at-"))
    page = [as_sent(row) for row in rows[start : start + limit]]
    more = start + limit < len(rows)
    body = {"object": "list", "data": page, "first_id": None, "last_id": None, "has_more": more}
    # As its last id is a row's own, and rows here may have none: a place says as much.
    return Answer(
        200, {**body, "first_id": f"at-{start}", "last_id": f"at-{start + limit}"} if page else body
    )
