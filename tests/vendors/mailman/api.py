"""Mailman's lists, as recorded from its core, over given rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked
from audience_mcp.vendors.parsing import basic

USER, PASSWORD = "restadmin", "made-up-rest-pass"
PATH = re.compile(r"/3\.1/lists(?:/([^/]+))?", re.ASCII)
ETAG = '"57764b5c10e9f6ee"'


def refused(status: int, title: str, description: str = "") -> Answer:
    return Answer(status, {"title": f"{status} {title}", "description": description})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """The listing, and one list."""
    if asked.headers.get("authorization") != basic(USER, PASSWORD):
        return refused(401, "Unauthorized", "REST API authorization failed")
    path = PATH.fullmatch(asked.path)
    if path is None:
        return refused(404, "Not Found")
    if asked.method != "GET" or asked.body or "content-type" in asked.headers:
        return refused(400, "Bad Request", "Invalid JSON")
    if path[1] is not None:
        found = next((row for row in rows if isinstance(row, dict) and row.get("list_id") == path[1]), None)
        return refused(404, "Not Found") if found is None else Answer(200, found)
    query = {name: values[0] for name, values in asked.query.items()}
    if query.keys() != {"count", "page"}:
        return refused(500, "Internal Server Error")  # one without the other
    if not query["count"].isdigit() or not query["page"].isdigit() or query["page"] == "0":
        return refused(400, "Bad Request", "Invalid parameter")
    count = int(query["count"])
    start = count * (int(query["page"]) - 1)
    shown = list(rows[start : start + count])
    # Where there are none, there is no key for them.
    return Answer(
        200,
        {
            "start": start,
            "total_size": len(rows),
            **({"entries": shown} if shown else {}),
            "http_etag": ETAG,
        },
    )
