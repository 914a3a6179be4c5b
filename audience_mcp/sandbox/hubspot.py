"""HubSpot's lists, in the form dated 2026-09 and in the v3 form that its SDK speaks.

A row has its size under `size` and a description under `hs_description`. The listing has both among the
additional properties, the size as text; one list asked for alone has its size and no description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from audience_mcp.sandbox.drawing import END, START, Row, iso, moment, seed_random, size
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError, check_bearer, check_get

KEY = "pat-na1-sandbox-private-app-token"
FURTHER = ("hs_description", "hs_list_reference_count")
KNOWN = frozenset({"count", "after", "processingTypes", "objectTypeId", "additionalProperties"})
_ONE = re.compile(r"/crm/(?:lists/2026-09|v3/lists)/([0-9]+)", re.ASCII)
_LIST, _SEARCH = "/crm/lists/2026-09/all", "/crm/v3/lists/search"
_CATEGORIES = {401: "INVALID_AUTHENTICATION", 404: "OBJECT_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
_INVALID_CURSOR = "INVALID_CURSOR"


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"HUBSPOT_ACCESS_TOKEN": KEY, "HUBSPOT_BASE_URL": root}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`POST …/all`, `GET …/{id}`, and v3's `POST …/search`."""
    check_bearer(asked, KEY, "Authentication credentials not found")
    one = _ONE.fullmatch(asked.path)
    if one is not None:
        check_get(asked)
        return _one(rows, one[1])
    if asked.path not in (_LIST, _SEARCH):
        raise RefusedError(404, "resource not found")
    body = _body(asked)
    count = body.get("count", 20)
    if not isinstance(count, int) or not 1 <= count <= 500:
        raise RefusedError(400, "count must be from 1 to 500")
    return _search(body, rows, count) if asked.path == _SEARCH else _page(body, rows, count)


def refusal(refused: RefusedError) -> Answer:
    """`{status, message, correlationId, category, subCategory?}`."""
    body: Row = {
        "status": "error",
        "message": refused.message,
        "correlationId": "6a8b1c0e-0000-4000-8000-000000000000",
        "category": _CATEGORIES.get(refused.status, "VALIDATION_ERROR"),
    }
    if refused.param == "after":
        body["subCategory"] = _INVALID_CURSOR
    return Answer(refused.status, body, refused.headers)


def as_listed(row: object) -> object:
    """A row as a listing has it."""
    if not isinstance(row, dict):
        return row
    further = {}
    if "size" in row:
        further["hs_list_size"] = str(row["size"]) if isinstance(row["size"], int) else row["size"]
    further |= {name: row[name] for name in FURTHER if name in row}
    own = {name: value for name, value in row.items() if name not in ("size", *FURTHER)}
    return {**own, "additionalProperties": further}


def _body(asked: Asked) -> Mapping[str, object]:
    if asked.method != "POST" or "application/json" not in asked.headers.get("content-type", ""):
        raise RefusedError(405, "Method not allowed")
    try:
        body = json.loads(asked.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise RefusedError(400, "Invalid input JSON")
    return body


def _one(rows: Sequence[object], id: str) -> Answer:
    for row in rows:
        if isinstance(row, dict) and row.get("listId") == id:
            return Answer(200, {"list": {k: v for k, v in row.items() if k not in FURTHER}})
    raise RefusedError(404, f"List with ID {id} does not exist")


def _search(body: Mapping[str, object], rows: Sequence[object], count: int) -> Answer:
    start = int(str(body["offset"]))
    page = [as_listed(row) for row in rows[start : start + count]]
    end = start + len(page)
    return Answer(200, {"lists": page, "offset": end, "hasMore": end < len(rows), "total": len(rows)})


def _page(body: Mapping[str, object], rows: Sequence[object], count: int) -> Answer:
    if unknown := sorted(body.keys() - KNOWN):
        raise RefusedError(400, f"Unknown field: {unknown[0]}")
    after = re.fullmatch(r"at-([0-9]{1,9})", str(body.get("after", "at-0")), re.ASCII)
    if after is None:
        raise RefusedError(400, "The cursor is not valid", param="after")
    start = int(after[1])
    found: Row = {"results": [as_listed(row) for row in rows[start : start + count]]}
    if start + count < len(rows):
        found["paging"] = {"next": {"after": f"at-{start + count}"}}
    return Answer(200, found)


def hubspot_rows() -> list[Row]:
    """36 lists: of contacts, companies and deals; some being evaluated, one never counted."""
    draw = seed_random(4020)
    rows = [
        _row(4021, "VIP", 1_204, "MANUAL", hs_description="Picked by the account managers"),
        _row(4022, "Newsletter subscribers", 118_204, "DYNAMIC"),
        _row(4023, "Trade fair Köln – badge scans", 742, "SNAPSHOT"),
        _row(4024, "Marketing qualified leads", 9_310, "DYNAMIC", processingStatus="PROCESSING"),
        _row(4025, "Key accounts", 86, "MANUAL", objectTypeId="0-2"),
        _row(4026, "Open deals over 50k", 41, "DYNAMIC", objectTypeId="0-3"),
        _row(4027, "Never evaluated", None, "DYNAMIC", processingStatus="PAUSED"),
        _row(4028, "Black Friday 2025", 27_480, "SNAPSHOT", hs_description="Who clicked in any of the mails"),
    ]
    stages = ("subscribers", "leads", "opportunities", "customers")
    for number, country in enumerate(("DE", "FR", "UK", "BR", "JP", "ES", "NL")):
        for place, stage in enumerate(stages):
            made = moment(draw, START, END)
            rows.append(
                _row(
                    5000 + 10 * number + place,
                    f"{country} {stage}",
                    size(draw, 30_000),
                    "DYNAMIC",
                    createdAt=iso(made, ".120"),
                    updatedAt=iso(moment(draw, made, END), ".000"),
                )
            )
    return rows


def _row(id: int, name: str, records: int | None, kind: str, **more: object) -> Row:
    row: Row = {
        "listId": str(id),
        "name": name,
        "objectTypeId": "0-1",
        "processingType": kind,
        "processingStatus": "COMPLETE",
        "createdAt": "2026-01-05T08:00:01.120Z",
        "updatedAt": "2026-02-07T10:11:12.000Z",
        **more,
    }
    return row if records is None else {**row, "size": records}
