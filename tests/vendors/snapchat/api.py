"""Snapchat's token endpoint and the segments of one ad account, as documented, over given rows.

A row is a segment without what is around it; one with `sub_request_status` could not be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from audience_mcp.testing import Answer, Asked

CLIENT = {
    "client_id": "made-up-snap-client",
    "client_secret": "made-up-snap-secret",
    "refresh_token": "made-up-snap-refresh",
}
ACCOUNT = "8adc3db7-8148-4fbf-999c-8d2266369d74"
TOKEN = "made-up-snap-access"
PATH = f"/v1/adaccounts/{ACCOUNT}/segments"


def refused(status: int, code: str) -> Answer:
    said = {"debug_message": "…", "display_message": "…", "error_code": code}
    return Answer(status, {"request_status": "ERROR", "request_id": "57ae", **said})


def token(asked: Asked) -> Answer:
    """`POST /login/oauth2/access_token`, answered with a refresh token too: the same one."""
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    if asked.method != "POST" or form.pop("grant_type", None) != "refresh_token" or form != CLIENT:
        return Answer(400, {"error": "invalid_grant", "error_description": "…"})
    return Answer(
        200,
        {
            "access_token": TOKEN,
            "token_type": "Bearer",
            "expires_in": 1800,
            "refresh_token": CLIENT["refresh_token"],
            "scope": "snapchat-marketing-api",
        },
    )


def wrapped(row: Any) -> Any:
    """A row as the list has it."""
    if isinstance(row, dict) and "sub_request_status" in row:
        return row
    return {"sub_request_status": "SUCCESS", "segment": row} if isinstance(row, dict) else row


def answer(asked: Asked, rows: Sequence[Any], page_size: int | None = None) -> Answer:
    """A page of the list. page_size: in place of the one asked for."""
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return refused(401, "E1001")
    if not asked.path.startswith("/v1/adaccounts/") or asked.method != "GET" or asked.body:
        return refused(404, "E3003")
    if asked.path != PATH:
        return refused(403, "E2011")
    query = {name: values[0] for name, values in asked.query.items()}
    size, cursor = int(query.get("limit", "50")), query.get("cursor", "at-0")
    if query.keys() - {"limit", "cursor"} or not 50 <= size <= 1000 or not cursor.startswith("at-"):
        return refused(400, "E2000")
    start, size = int(cursor[3:]), page_size or size
    end = start + size
    link = f"https://adsapi.snapchat.com{PATH}?cursor=at-{end}&limit={size}"
    more = {"paging": {"next_link": link}} if end < len(rows) else {"paging": {}}
    page = [wrapped(row) for row in rows[start:end]]
    return Answer(200, {"request_status": "success", "request_id": "57ae", **more, "segments": page})
