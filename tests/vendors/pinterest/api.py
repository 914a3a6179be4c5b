"""Pinterest's audiences of one ad account, as its OpenAPI document has them, over given rows.

A row of another account is one that was shared with this one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "pina_made-up-access-token"
ACCOUNT = "549755885175"
PATH = re.compile(r"/v5/ad_accounts/([^/]+)/audiences(?:/([0-9]+))?", re.ASCII)


def is_received(row: Any) -> bool:
    return isinstance(row, dict) and row.get("ad_account_id") != ACCOUNT


def refused(status: int, code: int, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message})


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """What is owned or received, page by page, and one audience."""
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return refused(401, 2, "Authentication failed.")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, 0, "Not found.")
    if path[1] != ACCOUNT:
        return refused(403, 29, "You are not permitted to access that resource.")
    if path[2]:
        found = [row for row in rows if isinstance(row, dict) and row.get("id") == path[2]]
        return Answer(200, found[0]) if found else refused(404, 50, "Audience not found.")
    query = {name: values[0] for name, values in asked.query.items()}
    ownership = query.get("ownership_type", "OWNED")
    size, start = int(query.get("page_size", "25")), query.get("bookmark", "at-0").removeprefix("at-")
    known = {"page_size", "bookmark", "order", "ownership_type"}
    if query.keys() - known or not 1 <= size <= 250 or ownership not in ("OWNED", "RECEIVED"):
        return refused(400, 400, "Invalid parameter.")
    own = [row for row in rows if is_received(row) is (ownership == "RECEIVED")]
    end = int(start) + size
    return Answer(200, {"items": own[int(start) : end], "bookmark": f"at-{end}" if end < len(own) else None})
