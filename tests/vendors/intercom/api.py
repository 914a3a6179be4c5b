"""Intercom's segments, as its OpenAPI document has them, over given rows.

Counts come with the list where they are asked for, and never with one segment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

TOKEN = "dG9rOm1hZGUtdXAtaW50ZXJjb20="
VERSIONS = tuple(f"2.{minor}" for minor in range(17))
PATH = re.compile(r"/segments(?:/([^/]+))?", re.ASCII)


def refused(status: int, code: str) -> Answer:
    error = {"type": "error.list", "request_id": "b1939528-98f0-4a63-a442-2cc9203fc8c7"}
    return Answer(status, {**error, "errors": [{"code": code, "message": "…"}]})


def without_count(row: Any) -> Any:
    return {k: v for k, v in row.items() if k != "count"} if isinstance(row, dict) else row


def answer(asked: Asked, rows: Sequence[Any], pages: object = None) -> Answer:
    """`GET /segments` and one of them. pages: what stands under that name, which is documented nowhere."""
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return refused(401, "unauthorized")
    if asked.headers.get("accept") == "*/*;q=0":
        return refused(406, "not_acceptable")
    if asked.headers.get("intercom-version") not in VERSIONS:
        return refused(400, "intercom_version_invalid")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, "not_found")
    if asked.query.keys() - {"include_count", "starting_after"}:
        return refused(400, "parameter_invalid")
    if path[1]:
        found = [row for row in rows if isinstance(row, dict) and row.get("id") == path[1]]
        return Answer(200, without_count(found[0])) if found else refused(404, "not_found")
    counted = asked.query.get("include_count") == ["true"]
    if "starting_after" in asked.query:
        rows, pages = rows[int(asked.query["starting_after"][0]) :], None
    elif isinstance(pages, dict) and isinstance(pages.get("next"), dict):
        rows = rows[: int(pages["next"].get("starting_after", len(rows)))]
    listed = [row if counted else without_count(row) for row in rows]
    body: dict[str, object] = {"type": "segment.list", "segments": listed}
    return Answer(200, body if pages is None else {**body, "pages": pages})
