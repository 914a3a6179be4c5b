"""Criteo's token, searches and counts, as its SDK has them, over given rows.

A row is one of both sorts, flat, with its size under `size`; one whose size is None cannot be computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from audience_mcp.testing import Answer, Asked

CLIENT = {"client_id": "made-up-criteo-app", "client_secret": "made-up-criteo-secret"}
ADVERTISER = "2711"
TOKEN = "made-up-criteo-token"
BASE = "/2026-07/marketing-solutions"
PATH = re.compile(rf"{BASE}/(audience-segments|audiences)/(search|compute-sizes)", re.ASCII)
WORDS = {"audience-segments": "AudienceSegment", "audiences": "Audience"}
IDS = {"audience-segments": "audienceSegmentIds", "audiences": "audienceIds"}
OUTSIDE = ("id", "kind", "size")


def problem(type: str, code: str = "made-up-code") -> dict[str, object]:
    return {"traceId": "t", "type": type, "code": code, "instance": "i", "title": "…", "detail": "…"}


def refused(status: int, type: str, code: str = "made-up-code") -> Answer:
    return Answer(status, {"errors": [problem(type, code)], "warnings": []})


def token(asked: Asked) -> Answer:
    """`POST /oauth2/token`: a form, answered with a token of 15 minutes."""
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    if asked.method != "POST" or form.pop("grant_type", None) != "client_credentials" or form != CLIENT:
        return Answer(401, {"error": "invalid_client"})
    return Answer(
        200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 900, "refresh_token": None}
    )


def is_of(row: Any, sort: str) -> bool:
    """Whether a row is of this sort; what is no audience is listed among the segments."""
    return (isinstance(row, dict) and row.get("kind") == "audience") is (sort == "audiences")


def resource(row: Any, sort: str) -> Any:
    """A row as a search gives it, without its size."""
    if not isinstance(row, dict):
        return row
    inner = {key: value for key, value in row.items() if key not in OUTSIDE}
    return {**({"id": row["id"]} if "id" in row else {}), "type": WORDS[sort], "attributes": inner}


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """The token, the searches and the counts."""
    if asked.path == "/oauth2/token":
        return token(asked)
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "POST":
        return Answer(404, None)
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return refused(401, "authentication", "authorization-token-invalid")
    if asked.headers.get("content-type") != "application/json":
        return Answer(415, None)
    sort, what = path.groups()
    body, own = json.loads(asked.body), [row for row in rows if is_of(row, path[1])]
    return count(body, own, sort) if what == "compute-sizes" else search(asked, body, own, sort)


def search(asked: Asked, body: Any, rows: Sequence[Any], sort: str) -> Answer:
    query = {name: int(values[0]) for name, values in asked.query.items()}
    attributes = body["data"]["attributes"]
    limit, offset = query.get("limit", 50), query.get("offset", 0)
    if query.keys() - {"limit", "offset"} or not 0 <= limit <= 100 or offset < 0:
        return refused(400, "validation")
    if attributes.keys() - {"advertiserIds", IDS[sort]}:
        return refused(400, "validation")
    if attributes.get("advertiserIds", [ADVERTISER]) != [ADVERTISER]:
        return refused(403, "authorization")
    wanted = attributes.get(IDS[sort])
    found = [row for row in rows if wanted is None or (isinstance(row, dict) and row.get("id") in wanted)]
    page = [resource(row, sort) for row in found[offset : offset + limit]]
    meta = {"totalItems": len(found), "limit": limit, "offset": offset}
    return Answer(200, {"meta": meta, "data": page, "warnings": [], "errors": []})


def count(body: Any, rows: Sequence[Any], sort: str) -> Answer:
    """In another order than was asked for, with errors for those that have no size."""
    wanted = [each["id"] for each in body["data"]]
    if len(wanted) > 50:
        return refused(400, "validation")
    sizes = {row["id"]: row.get("size") for row in rows if isinstance(row, dict) and row.get("id") in wanted}
    word = f"{WORDS[sort]}Size"
    data = [
        {"id": id, "type": word, "attributes": {"size": sizes[id]}}
        for id in reversed(wanted)
        if sizes.get(id) is not None
    ]
    errors = [problem("validation", "size-not-supported") for id in wanted if sizes.get(id) is None]
    return Answer(200, {"data": data, "errors": errors, "warnings": []})
