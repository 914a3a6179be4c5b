"""Smallest.ai Atoms as documented on "Get all audiences" and in its public documentation repository."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audience_mcp.sandbox.data import SMALLEST_UNLISTED
from audience_mcp.sandbox.exchange import (
    Answer,
    Asked,
    RefusedError,
    check_bearer,
    check_get,
    found,
    parameters,
)

KEY = "sk_sandbox_smallest_key"
_ROUTE = re.compile(r"/atoms/v1/audience(?:/([^/]+))?")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)
_LIST_ONLY = ("memberCount", "hasCampaigns", "campaigns")
_NO_SUCH_PAGE = "<!DOCTYPE html>\n<html><title>Error</title><body><pre>Cannot {} {}</pre></body></html>\n"


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"SMALLEST_API_KEY": KEY, "SMALLEST_BASE_URL": f"{root}/atoms/v1"}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /atoms/v1/audience` (everything at once) and `GET /atoms/v1/audience/{id}`.

    An unknown route gets a page of HTML, as the vendor itself recorded of its live API.
    """
    route = _ROUTE.fullmatch(asked.path)
    if route is None:
        return Answer(404, _NO_SUCH_PAGE.format(_escape(asked.method), _escape(asked.path)))
    check_bearer(asked, KEY, "Unauthorized: User not found")
    check_get(asked)
    parameters(asked)
    data = list(rows) if route[1] is None else _one(route[1], rows)
    return Answer(200, {"status": True, "data": data})


def refusal(refused: RefusedError) -> Answer:
    """`{"status": false, "errors": [text]}`."""
    return Answer(refused.status, {"status": False, "errors": [refused.message]}, refused.headers)


def _one(id: str, rows: Sequence[object]) -> dict[str, object]:
    """One audience without its size and campaigns, which only the list has.

    The list is the user's and this route the organisation's, so this one knows audiences the list lacks.
    """
    if not _OBJECT_ID.fullmatch(id):
        raise RefusedError(400, "Invalid audience ID")
    row = found([*rows, SMALLEST_UNLISTED], "_id", id)
    if row is None:
        raise RefusedError(404, "Audience not found")
    return {key: value for key, value in row.items() if key not in _LIST_ONLY}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
