"""SendGrid's lists and segments 2.0, as documented and as recorded by others, over given rows.

A row with a `contacts_count` or a `query_version` is a segment, every other one a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "SG.made-up-key"
LISTS, SEGMENTS = "/v3/marketing/lists", "/v3/marketing/segments/2.0"
ONE = re.compile(rf"({LISTS}|{SEGMENTS})/([^/]{{36}})", re.ASCII)
ELSEWHERE = "https://api.sendgrid.com"


def refused(status: int, message: str) -> Answer:
    return Answer(status, {"errors": [{"field": None, "message": message}]})


def is_segment(row: Any) -> bool:
    return isinstance(row, dict) and "query_version" in row


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET` of both listings and of one list or segment."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "The provided authorization grant is invalid, expired, or revoked")
    if asked.headers.get("accept") != "application/json":
        return refused(406, "not acceptable")
    if asked.method != "GET" or asked.body:
        return refused(405, "method not allowed")
    segments = [row for row in rows if is_segment(row)]
    lists = [row for row in rows if not is_segment(row)]
    if asked.path == LISTS:
        return _lists(asked, lists)
    if asked.path == SEGMENTS:
        return Answer(200, {"results": segments}) if not asked.query else refused(400, "unknown parameter")
    one = ONE.fullmatch(asked.path)
    if one is None:
        return refused(404, "not found")
    chosen = lists if one[1] == LISTS else segments
    if asked.query != ({} if one[1] == LISTS else {"contacts_sample": ["false"]}):
        return refused(400, "people's data would come")
    found = next((row for row in chosen if isinstance(row, dict) and row.get("id") == one[2]), None)
    if found is None:
        return Answer(404, [{"message": "not found"}]) if one[1] == LISTS else refused(400, "invalid id")
    return Answer(200, found)


def _lists(asked: Asked, lists: Sequence[Any]) -> Answer:
    if asked.query.keys() - {"page_size", "page_token"}:
        return refused(400, "unknown parameter")
    size = int(asked.query.get("page_size", ["100"])[0])
    if not 1 <= size <= 1000:
        return refused(400, "page_size")
    token = asked.query.get("page_token", ["t0"])[0]
    if not re.fullmatch(r"t\d+", token, re.ASCII):
        return refused(400, "page_token")
    end = int(token[1:]) + size
    # Known from recordings: one more than there are.
    told: dict[str, object] = {
        "self": f"{ELSEWHERE}{LISTS}?page_size={size}&page_token=",
        "count": len(lists) + 1,
    }
    if end < len(lists):
        told["next"] = f"{ELSEWHERE}{LISTS}?page_size={size}&page_token=t{end}"
    return Answer(200, {"result": lists[int(token[1:]) : end], "_metadata": told})
