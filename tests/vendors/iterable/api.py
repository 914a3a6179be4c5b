"""Iterable's lists, as documented, over given rows. A row's `size` is given by a request of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "made-up-iterable-key"
PATH = re.compile(r"/api/lists(?:/([0-9]+)/size)?", re.ASCII)


def refused(status: int, code: str) -> Answer:
    return Answer(status, {"msg": "…", "code": code, "params": {"ip": "192.0.2.7", "endpoint": "/api/lists"}})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """The listing, and the size of one list."""
    if asked.headers.get("api-key") != KEY:
        return refused(401, "BadApiKey")
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "GET" or asked.query or asked.body:
        return refused(404, "NotFound")
    if path[1] is None:
        sent = [
            {name: value for name, value in row.items() if name != "size"} if isinstance(row, dict) else row
            for row in rows
        ]
        return Answer(200, {"lists": sent})
    found = next((row for row in rows if isinstance(row, dict) and str(row.get("id")) == path[1]), None)
    if found is None:
        return refused(400, "BadParams")
    return Answer(200, _as_said(found.get("size")))


def _as_said(size: object) -> object:
    """A number as the body says it: text would go out as a web page here."""
    return (
        None
        if isinstance(size, str) and not size.isdigit()
        else size
        if not isinstance(size, str)
        else int(size)
    )
