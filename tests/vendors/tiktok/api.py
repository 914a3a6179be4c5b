"""TikTok's custom audiences of one advertiser, with the request and the codes of its SDK, over given rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "made-up-tiktok-access-token"
ADVERTISER = "7012345678901234567"
PATH = "/open_api/v1.3/dmp/custom_audience/list/"


def refused(code: int, status: int = 200) -> Answer:
    """A failure: HTTP 200, with a code and prose."""
    return Answer(status, {"code": code, "message": "…", "request_id": "2026", "data": {}})


def answer(asked: Asked, rows: Sequence[Any], page_size: int | None = None) -> Answer:
    """A page of the list. page_size: that of the answer, whatever was asked for."""
    if asked.path != PATH or asked.method != "GET" or asked.body:
        return refused(40400, 404)
    token = asked.headers.get("access-token")
    if token != KEY:
        return refused(40105 if token else 40104)
    query = {name: values[0] for name, values in asked.query.items()}
    if query.get("advertiser_id") != ADVERTISER:
        return refused(40300)
    size, page = int(query.get("page_size", "10")), int(query.get("page", "1"))
    if query.keys() - {"advertiser_id", "page", "page_size"} or not 1 <= size <= 100 or page < 1:
        return refused(40002)
    size = page_size or size
    start = (page - 1) * size
    info = {
        "page": page,
        "page_size": size,
        "total_number": len(rows),
        "total_page": -(-len(rows) // size),
    }
    found = {"list": list(rows[start : start + size]), "page_info": info}
    return Answer(200, {"code": 0, "message": "OK", "request_id": "2026", "data": found})
