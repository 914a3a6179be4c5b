"""Google Analytics' two APIs, as their messages have them, over given audiences.

A row is an audience with its id, and its users of the period under `totalUsers`; None is one that the report
leaves out. Tokens are exchanged as for Google Ads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked
from tests.vendors.googleads.api import TOKEN

PROPERTY = "777001"
ADMIN = re.compile(r"/v1alpha/properties/(\d+)/audiences(?:/(\d+))?", re.ASCII)
REPORT = re.compile(r"/v1beta/properties/(\d+):runReport", re.ASCII)
ASKED = {
    "dimensions": [{"name": "audienceId"}],
    "metrics": [{"name": "totalUsers"}],
    "dateRanges": [{"startDate": "30daysAgo", "endDate": "yesterday"}],
    "limit": "10000",
}


def failed(status: int, word: str, reason: str | None = None) -> Answer:
    """A `google.rpc.Status`."""
    info = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return Answer(status, {"error": {"code": status, "message": "…", "status": word, "details": info}})


def refusal(asked: Asked, property: str) -> Answer | None:
    """What both APIs refuse."""
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return failed(401, "UNAUTHENTICATED")
    return failed(403, "PERMISSION_DENIED") if property != PROPERTY else None


def audience(row: Any) -> Any:
    """A row as the Admin API writes it: a resource name in place of the id, and no size."""
    if not isinstance(row, dict):
        return row
    inner = {key: value for key, value in row.items() if key not in ("id", "totalUsers")}
    if "id" not in row:
        return inner
    id = row["id"]
    name = f"properties/{PROPERTY}/audiences/{id}" if isinstance(id, (str, int)) and id is not True else id
    return {"name": name, **inner}


def admin(asked: Asked, rows: Sequence[Any], page_size: int | None = None) -> Answer:
    """`GET /properties/{property}/audiences` and `/{audience}`. page_size: in place of the one asked for."""
    path = ADMIN.fullmatch(asked.path)
    if path is None or asked.method != "GET" or asked.body:
        return Answer(404, "<html>Not Found</html>")
    if (no := refusal(asked, path[1])) is not None:
        return no
    if path[2]:
        found = [row for row in rows if isinstance(row, dict) and str(row.get("id")) == path[2]]
        return Answer(200, audience(found[0])) if found else failed(404, "NOT_FOUND")
    query = {name: values[0] for name, values in asked.query.items()}
    size = page_size or min(200, int(query.get("pageSize", "50")))
    token = query.get("pageToken", "Cg0")
    if query.keys() - {"pageSize", "pageToken"} or not re.fullmatch(r"Cg\d+", token, re.ASCII):
        return failed(400, "INVALID_ARGUMENT")
    start = int(token[2:])
    page = [audience(row) for row in rows[start : start + size]]
    more = {"nextPageToken": f"Cg{start + size}"} if start + size < len(rows) else {}
    return Answer(200, {**({"audiences": page} if page else {}), **more})


def data(asked: Asked, rows: Sequence[Any], **metadata: object) -> Answer:
    """`POST /properties/{property}:runReport`, with rows that nobody asked for."""
    path = REPORT.fullmatch(asked.path)
    if path is None or asked.method != "POST":
        return Answer(404, "<html>Not Found</html>")
    if (no := refusal(asked, path[1])) is not None:
        return no
    body = json.loads(asked.body)
    only = body.pop("dimensionFilter")["filter"]
    if body != ASKED or asked.query or only["fieldName"] != "audienceId":
        return failed(400, "INVALID_ARGUMENT")
    wanted = only["inListFilter"]["values"]
    users = {str(row["id"]): row.get("totalUsers") for row in rows if isinstance(row, dict) and "id" in row}
    found = [(id, users[id]) for id in wanted if users.get(id) is not None]
    report = [
        {"dimensionValues": [{"value": id}], "metricValues": [{"value": value}]}
        for id, value in [*reversed(found), ("(not set)", "77"), ("4040404", "12")]
    ]
    shown = {"rows": report, "rowCount": len(report)} if found else {}
    return Answer(
        200,
        {
            "dimensionHeaders": [{"name": "audienceId"}],
            "metricHeaders": [{"name": "totalUsers", "type": "TYPE_INTEGER"}],
            **shown,
            "metadata": {"currencyCode": "EUR", "timeZone": "Europe/Berlin", **metadata},
            "kind": "analyticsData#runReport",
        },
    )
