"""MailerLite's groups and segments, as documented and recorded, over given rows.

A row with a `total` and no `active_count` is a segment, every other one a group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "made-up-mailerlite-token"
PATH = re.compile(r"/api/(groups|segments)(?:/([0-9]+))?", re.ASCII)


def is_segment(row: Any) -> bool:
    return isinstance(row, dict) and row.get("segment") is True


def sent(row: Any) -> Any:
    """A row as MailerLite sends it."""
    if not is_segment(row):
        return row
    rest = {k: v for k, v in row.items() if k not in ("segment", "active_count")}
    return {**rest, "total": row["active_count"]} if "active_count" in row else rest


def answer(asked: Asked, rows: Sequence[Any], most: int = 250, *, clamps: bool = False) -> Answer:
    """Both listings, and one of either.

    most: rows of the largest page; a larger one is refused in Laravel's words, or `clamps` to this.
    """
    if asked.headers.get("authorization") != f"Bearer {KEY}":
        return Answer(401, {"message": "Unauthenticated."})
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return Answer(404, {"message": "Not found."})
    own = [row for row in rows if is_segment(row) is (path[1] == "segments")]
    if path[2] is not None:
        found = next((row for row in own if isinstance(row, dict) and row.get("id") == path[2]), None)
        return Answer(404, {"message": "Not found."}) if found is None else Answer(200, {"data": sent(found)})
    query = {name: values[0] for name, values in asked.query.items()}
    if query.keys() - {"limit", "page", "sort", "filter[name]"} or (
        path[1] == "segments" and "sort" in query
    ):
        return Answer(422, {"message": "The given data was invalid.", "errors": {"sort": ["…"]}})
    limit, page = int(query.get("limit", "25")), int(query.get("page", "1"))
    if limit > most and not clamps:
        text = f"The limit must not be greater than {most}."
        return Answer(422, {"message": text, "errors": {"limit": [text]}})
    limit = min(limit, most)
    last = max(1, -(-len(own) // limit))
    # Recorded links hold the page alone.
    link = f"https://connect.mailerlite.com{asked.path}?page={page + 1}" if page < last else None
    body = [sent(row) for row in own[(page - 1) * limit : page * limit]]
    meta = {"current_page": page, "last_page": last, "per_page": limit, "total": len(own)}
    return Answer(200, {"data": body, "links": {"next": link, "prev": None}, "meta": meta})
