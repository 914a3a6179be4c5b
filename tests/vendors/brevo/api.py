"""Brevo's lists and segments, as its OpenAPI document has them, over given rows.

A row with a `segmentName` is a segment, every other one a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "xkeysib-made-up-key"
ONE = re.compile(r"/v3/contacts/lists/([^/]+)", re.ASCII)
ALONE = {"createdAt", "dynamicList", "campaignStats"}
"""What only a list that is asked for alone has."""


def refused(status: int, code: str) -> Answer:
    return Answer(status, {"code": code, "message": "…"})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /v3/contacts/lists`, `/lists/{id}` and `/segments`."""
    if asked.headers.get("api-key") != KEY:
        return refused(401, "unauthorized")
    if asked.method != "GET" or asked.body:
        return refused(405, "method_not_allowed")
    segments = [row for row in rows if isinstance(row, dict) and "segmentName" in row]
    lists = [row for row in rows if not (isinstance(row, dict) and "segmentName" in row)]
    one = ONE.fullmatch(asked.path)
    if one:
        if not one[1].isdigit():
            return refused(400, "invalid_parameter")
        found = next((row for row in lists if isinstance(row, dict) and str(row.get("id")) == one[1]), None)
        return refused(404, "document_not_found") if found is None else Answer(200, found)
    chosen = {"/v3/contacts/lists": lists, "/v3/contacts/segments": segments}.get(asked.path)
    if chosen is None:
        return refused(404, "document_not_found")
    if asked.query.keys() - {"limit", "offset", "sort"} or asked.query.get("sort") not in (
        ["asc"],
        ["desc"],
        None,
    ):
        return refused(400, "invalid_parameter")
    limit, offset = (
        int(asked.query.get(name, [default])[0]) for name, default in (("limit", "10"), ("offset", "0"))
    )
    if not 0 <= limit <= 50:
        return refused(400, "out_of_range")
    page = [
        {k: v for k, v in row.items() if k not in ALONE} if isinstance(row, dict) else row
        for row in chosen[offset : offset + limit]
    ]
    body: dict[str, object] = {"count": len(chosen)}
    if page:  # past the end, and in an empty account, the array is left out
        body[asked.path.rpartition("/")[2]] = page
    return Answer(200, body)
