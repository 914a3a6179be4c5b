"""PostHog's cohort API, as its source has it, over given rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "phx_made-up-personal-key"
PROJECT = "77"
PATH = re.compile(r"/api/projects/([0-9]+)/cohorts/(?:([0-9]+)/)?", re.ASCII)
BIG = ("filters", "query", "groups")


def refused(status: int, type: str, code: str, detail: str) -> Answer:
    return Answer(status, {"type": type, "code": code, "detail": detail, "attr": None})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """`GET /api/projects/{project}/cohorts/` and one of them."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "authentication_error", "authentication_failed", "Invalid personal API key.")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, "invalid_request", "not_found", "Not found.")
    if path[1] != PROJECT:
        return refused(
            403, "authentication_error", "permission_denied", "You don't have access to the project."
        )
    if path[2]:
        found = [row for row in rows if isinstance(row, dict) and str(row.get("id")) == path[2]]
        return Answer(200, found[0]) if found else refused(404, "invalid_request", "not_found", "Not found.")
    query = {name: values[0] for name, values in asked.query.items()}
    limit, offset = int(query.get("limit", "100")), int(query.get("offset", "0"))
    listed = [row for row in rows if not (isinstance(row, dict) and row.get("deleted"))]
    page = listed[offset : offset + limit]
    if query.get("basic") == "true":
        page = [
            {k: v for k, v in row.items() if k not in BIG} if isinstance(row, dict) else row for row in page
        ]
    link = f"http://behind.a.proxy{asked.path}?basic=true&limit={limit}&offset={offset + limit}"
    more = offset + limit < len(listed)
    body = {"count": len(listed), "next": link if more else None, "previous": None, "results": page}
    return Answer(200, body)
