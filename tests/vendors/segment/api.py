"""Segment's audiences of one space, as its Public API has them, over given rows.

A row has its count under `count`, which the API puts into an object `size`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from audience_mcp.testing import Answer, Asked

KEY = "sgp_made-up-public-api-token"
SPACE = "spa_1"
PATH = re.compile(r"/spaces/([^/]+)/audiences(?:/([A-Za-z0-9_-]+))?", re.ASCII)


def refused(status: int, type: str, message: str) -> Answer:
    error = {"type": type, "message": message, "field": None, "data": None, "status": status}
    return Answer(status, {"errors": [error]})


def sent(row: Any) -> Any:
    """A row as Segment sends it."""
    if not isinstance(row, dict):
        return row
    size = {"type": row.get("counts", "USERS")}
    size |= {k: row[k] for k in ("count", "uniqueCount") if row.get(k) is not None}
    rest = {k: v for k, v in row.items() if k not in ("count", "uniqueCount", "counts")}
    return {**rest, "size": size} if "count" in row else rest


def answer(asked: Asked, rows: Sequence[Any], paging: Literal["heeded", "ignored"] = "heeded") -> Answer:
    """`GET /spaces/{space}/audiences`, whose pages may be heeded or not, and one of them."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, "unauthorized", "Unauthorized")
    if asked.headers.get("accept") != "application/vnd.segment.v1+json":
        return refused(400, "bad-request", "No such version.")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, "not-found", "Not found.")
    if path[1] != SPACE:
        return refused(404, "not-found", "Space not found.")
    if path[2]:
        found = [row for row in rows if isinstance(row, dict) and row.get("id") == path[2]]
        body = {"data": {"audience": sent(found[0])}} if found else None
        return Answer(200, body) if body else refused(404, "not-found", "Audience not found.")
    query = {name: values[0] for name, values in asked.query.items()} if paging == "heeded" else {}
    count, start = int(query.get("pagination.count", "200")), query.get("pagination.cursor", "at0")
    if query.keys() - {"pagination.count", "pagination.cursor"} or not 1 <= count <= 200:
        return refused(422, "validation", "Bad parameter.")
    begin = int(start.removeprefix("at"))
    end = begin + count
    pages = {"current": start, "totalEntries": len(rows), **({"next": f"at{end}"} if end < len(rows) else {})}
    return Answer(200, {"data": {"audiences": [sent(row) for row in rows[begin:end]], "pagination": pages}})
