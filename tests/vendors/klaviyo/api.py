"""Klaviyo's lists and segments, as its OpenAPI document has them, over given rows.

A row is flat and has its `kind`; its size stands under `profile_count`, which the API gives by other
requests alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked

KEY = "pk_made_up_private_key"
PATH = re.compile(r"/api/(list|segment)s(?:/([^/]+))?", re.ASCII)
IDS = re.compile(r'any\(segment_id,\[("[A-Za-z0-9]+"(?:,"[A-Za-z0-9]+")*)\]\)', re.ASCII)


def refused(status: int, code: str) -> Answer:
    return Answer(status, {"errors": [{"id": "e", "code": code, "title": "…", "detail": "…"}]})


def resource(row: Any, *, counted: bool = False) -> Any:
    """A row as Klaviyo sends it."""
    if not isinstance(row, dict):
        return row
    outside = {"id", "kind", "profile_count"}
    facts = {k: v for k, v in row.items() if k not in outside}
    if counted and "profile_count" in row:
        facts["profile_count"] = row["profile_count"]
    found: dict[str, Any] = {"type": kind_of(row), "attributes": facts}
    link = {"self": f"https://a.klaviyo.com/api/lists/{row.get('id')}"}
    return found | ({"id": row["id"], "links": link} if "id" in row else {})


def kind_of(row: Any) -> str:
    return "segment" if isinstance(row, dict) and row.get("kind") == "segment" else "list"


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """Both listings, one of either with or without its size, and the report over segments."""
    if asked.headers.get("authorization") != f"Klaviyo-API-Key {KEY}":
        return refused(401, "not_authenticated")
    if "revision" not in asked.headers:
        return refused(400, "invalid")
    if asked.path == "/api/segment-values-reports":
        return report(asked, rows)
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, "not_found")
    kind, id = path.groups()
    own = [row for row in rows if kind == kind_of(row)]
    if id is not None:
        found = next((row for row in own if isinstance(row, dict) and row.get("id") == id), None)
        counted = asked.query.get(f"additional-fields[{kind}]") == ["profile_count"]
        return (
            refused(404, "not_found")
            if found is None
            else Answer(200, {"data": resource(found, counted=counted)})
        )
    if asked.query.keys() - {"page[size]", "page[cursor]", "sort", f"fields[{kind}]", "filter", "include"}:
        return refused(400, "invalid")
    size = int(asked.query.get("page[size]", ["10"])[0])
    if not 1 <= size <= 10:
        return refused(400, "invalid")
    start = int(asked.query.get("page[cursor]", ["at0"])[0][2:])
    following = f"https://a.klaviyo.com{asked.path}?page%5Bcursor%5D=at{start + size}"
    links: dict[str, Any] = {"self": "https://a.klaviyo.com", "next": following}
    if start + size >= len(own):
        del links["next"]
    return Answer(200, {"data": [resource(row) for row in own[start : start + size]], "links": links})


def report(asked: Asked, rows: Sequence[Any]) -> Answer:
    if asked.method != "POST" or asked.headers.get("content-type") != "application/vnd.api+json":
        return refused(415, "unsupported_media_type")
    wanted: Mapping[str, Any] = json.loads(asked.body)["data"]["attributes"]
    ids = IDS.fullmatch(wanted["filter"])
    if ids is None or wanted["statistics"] != ["total_members"]:
        return refused(400, "invalid")
    chosen = set(json.loads(f"[{ids[1]}]"))
    if len(chosen) > 100:
        return refused(400, "invalid")
    results = [
        {"groupings": {"segment_id": row["id"]}, "statistics": {"total_members": row["profile_count"]}}
        for row in rows
        if isinstance(row, dict)
        and row.get("kind") == "segment"
        and row.get("id") in chosen
        and "profile_count" in row
    ]
    return Answer(200, {"data": {"type": "segment-values-report", "attributes": {"results": results}}})
