"""Klaviyo's lists and segments, as its OpenAPI document has them.

A row is flat and has its `kind`; its size stands under `profile_count`, which the API gives by other
requests alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from audience_mcp.sandbox.drawing import END, START, Row, iso, moment, seed_random, size
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError, check_get, page_size, parameters

KEY = "pk_sandbox_private_key"
JSON_API = "application/vnd.api+json"
_PATH = re.compile(r"/api/(list|segment)s(?:/([^/]+))?", re.ASCII)
_REPORT = "/api/segment-values-reports"
_IDS = re.compile(r'any\(segment_id,\[("[A-Za-z0-9]+"(?:,"[A-Za-z0-9]+")*)\]\)', re.ASCII)
_MOST_IDS = 100
_CODES = {
    400: "invalid",
    401: "not_authenticated",
    404: "not_found",
    405: "method_not_allowed",
    415: "unsupported_media_type",
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"KLAVIYO_API_KEY": KEY, "KLAVIYO_BASE_URL": root}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """Both listings, one of either with or without its size, and the report over segments."""
    if asked.headers.get("authorization") != f"Klaviyo-API-Key {KEY}":
        raise RefusedError(401, "Incorrect authentication credentials.")
    if "revision" not in asked.headers:
        raise RefusedError(400, "A revision is required.")
    if asked.path == _REPORT:
        return _report(asked, rows)
    path = _PATH.fullmatch(asked.path)
    if path is None:
        raise RefusedError(404, "No such resource.")
    check_get(asked)
    kind, id = path.groups()
    own = [row for row in rows if kind == _kind_of(row)]
    if id is not None:
        given = parameters(asked, f"additional-fields[{kind}]", f"fields[{kind}]")
        counted = given.get(f"additional-fields[{kind}]") == "profile_count"
        return Answer(200, {"data": _resource(_found(own, id), counted=counted)})
    given = parameters(asked, "page[size]", "page[cursor]", "sort", f"fields[{kind}]", "filter", "include")
    length, start = page_size(given, "page[size]", default=10, maximum=10), _position(given)
    links = {"self": f"https://a.klaviyo.com{asked.path}"}
    if start + length < len(own):
        links["next"] = f"https://a.klaviyo.com{asked.path}?page%5Bcursor%5D=at{start + length}"
    return Answer(200, {"data": [_resource(row) for row in own[start : start + length]], "links": links})


def refusal(refused: RefusedError) -> Answer:
    """`{errors: [{id, code, title, detail}]}` (JSON:API)."""
    code = _CODES[refused.status]
    error = {"id": "e0b1c2d3", "code": code, "title": code.capitalize(), "detail": refused.message}
    return Answer(refused.status, {"errors": [error]}, refused.headers)


def _report(asked: Asked, rows: Sequence[object]) -> Answer:
    if asked.method != "POST":
        raise RefusedError(405, "Method not allowed.")
    if asked.headers.get("content-type") != JSON_API:
        raise RefusedError(415, f"The media type must be {JSON_API}.")
    wanted: Mapping[str, object] = json.loads(asked.body)["data"]["attributes"]
    ids = _IDS.fullmatch(str(wanted["filter"]))
    chosen = set(json.loads(f"[{ids[1]}]")) if ids else set()
    if not ids or wanted["statistics"] != ["total_members"] or len(chosen) > _MOST_IDS:
        raise RefusedError(400, "The report cannot be made.")
    results = [
        {"groupings": {"segment_id": row["id"]}, "statistics": {"total_members": row["profile_count"]}}
        for row in rows
        if isinstance(row, dict) and _kind_of(row) == "segment" and row.get("id") in chosen
        if "profile_count" in row
    ]
    return Answer(200, {"data": {"type": "segment-values-report", "attributes": {"results": results}}})


def _position(given: Mapping[str, str]) -> int:
    cursor = re.fullmatch(r"at([0-9]{1,9})", given.get("page[cursor]", "at0"), re.ASCII)
    if cursor is None:
        raise RefusedError(400, "The cursor is not valid.")
    return int(cursor[1])


def _found(rows: Sequence[object], id: str) -> Row:
    for row in rows:
        if isinstance(row, dict) and row.get("id") == id:
            return row
    raise RefusedError(404, "A resource with this id does not exist.")


def _kind_of(row: object) -> str:
    return "segment" if isinstance(row, dict) and row.get("kind") == "segment" else "list"


def _resource(row: object, *, counted: bool = False) -> object:
    """A row as Klaviyo sends it."""
    if not isinstance(row, dict):
        return row
    facts = {name: value for name, value in row.items() if name not in ("id", "kind", "profile_count")}
    if counted and "profile_count" in row:
        facts["profile_count"] = row["profile_count"]
    found: Row = {"type": _kind_of(row), "attributes": facts}
    links = {"self": f"https://a.klaviyo.com/api/lists/{row.get('id')}"}
    return found | ({"id": row["id"], "links": links} if "id" in row else {})


def klaviyo_rows() -> list[Row]:
    """7 lists and 21 segments; one is being evaluated, one no longer updated, one in no report."""
    draw = seed_random(1500)
    rows = [
        _list("Yx12ab", "Newsletter subscribers", 64_233),
        _list("Qw34cd", "VIP", 1_412),
        _list("Sm5SQx", "SMS opt-ins", 22_870, opt_in_process="double_opt_in"),
        _list("Bf25ZZ", "Black Friday 2025", 31_044),
        _list("Pr3v1w", "Preview – staff only", 9),
        _list("W4itL1", "Back-in-stock waiting list", 2_651),
        _list("R3f3r2", "Référez un ami", 780),
        _segment("Tq4Wz9", "Engaged in 60 days", 38_914, is_starred=True),
        _segment("Zz0001", "VIP – spent over 500", 2_208),
        _segment("Zz0002", "Being evaluated", 77, is_processing=True),
        _segment("Zz0003", "Summer 2025 (inactive)", 14_330, is_active=False),
    ]
    rows.append({k: v for k, v in _segment("Zz0004", "Nobody yet", 0).items() if k != "profile_count"})
    themes = ("repeat buyers", "one-time buyers", "churn risk", "birthday this month")
    for number, country in enumerate(("US", "UK", "AU", "CA")):
        for place, theme in enumerate(themes):
            made = moment(draw, START, END)
            rows.append(
                _segment(
                    f"Se{number}{place}Kq",
                    f"{country} {theme}",
                    size(draw, 20_000),
                    created=iso(made).replace("Z", "+00:00"),
                    updated=iso(moment(draw, made, END)).replace("Z", "+00:00"),
                )
            )
    return rows


def _list(id: str, name: str, profiles: int, opt_in_process: str = "single_opt_in") -> Row:
    return {
        "id": id,
        "kind": "list",
        "name": name,
        "created": "2025-01-02T03:04:05+00:00",
        "updated": "2026-10-02T03:04:05+00:00",
        "opt_in_process": opt_in_process,
        "profile_count": profiles,
    }


def _segment(id: str, name: str, profiles: int, **more: object) -> Row:
    return {
        "id": id,
        "kind": "segment",
        "name": name,
        "created": "2025-06-02T03:04:05+00:00",
        "updated": "2026-11-02T03:04:05+00:00",
        "is_active": True,
        "is_processing": False,
        "is_starred": False,
        "profile_count": profiles,
        **more,
    }
