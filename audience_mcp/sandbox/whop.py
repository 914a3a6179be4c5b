"""Whop as documented on "List Audiences", in its merged OpenAPI document and its Python SDK (2.6)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timezone

from audience_mcp.sandbox.exchange import (
    Answer,
    Asked,
    RefusedError,
    check_bearer,
    check_get,
    page_size,
    parameters,
)

KEY = "sandbox-whop-key"
ACCOUNT = "biz_5andb0xAcc0unt"
_TYPES = {400: "invalid_request_error", 401: "unauthorized", 403: "forbidden", 404: "not_found"}
# `whop_sdk/types/api_key_api_version_date.py`; the first is what no header means.
VERSIONS = (
    "2025-01-01",
    "2026-06-08",
    "2026-06-09",
    "2026-06-20",
    "2026-07-01",
    "2026-07-08",
    "2026-07-08-1",
    "2026-07-18",
    "2026-07-20",
    "2026-07-22",
    "2026-07-23",
    "2026-07-25",
    "2026-07-26",
    "2026-07-27",
    "2026-07-29",
    "2026-07-29-1",
    "2026-07-31",
    "2026-08-03",
    "2026-08-05",
    "2026-08-05-1",
    "2026-08-10",
    "2026-08-12",
    "2026-08-13",
    "2026-08-14",
    "2026-08-21",
    "2026-08-21-1",
    "2026-08-25",
    "2026-08-25-1",
    "2026-08-25-2",
    "2026-08-31",
    "2026-09-02",
    "2026-09-02-1",
    "2026-09-02-2",
    "2026-09-04",
    "2026-09-06",
    "2026-09-09",
    "2026-09-09-1",
    "2026-09-11",
    "2026-09-11-1",
    "2026-09-13",
    "2026-09-15",
    "2026-09-22",
    "2026-09-22-1",
    "2026-09-22-2",
    "2026-09-22-3",
    "2026-09-22-4",
    "2026-09-23",
    "2026-09-24",
    "2026-09-24-1",
    "2026-09-25",
    "2026-09-28",
    "2026-09-29",
    "2026-10-05",
    "2026-10-05-1",
    "2026-10-06",
    "2026-10-06-1",
    "2026-10-06-2",
    "2026-10-07",
    "2026-10-07-1",
    "2026-10-07-2",
    "2026-10-08",
    "2026-10-09",
    "2026-10-09-1",
    "2026-10-09-2",
    "2026-10-13",
    "2026-10-13-1",
    "2026-10-14",
    "2026-10-14-1",
    "2026-10-15",
    "2026-10-15-1",
)
# Whop's TypeScript SDK changed its timestamps from numbers to text on this day.
_ISO_SINCE = "2026-07-14"
_TIMES = ("created_at", "updated_at", "last_refreshed_at")
_FILTERS = {"audience_id": "id", "audience_type": "audience_type", "source_type": "source_type"}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"WHOP_API_KEY": KEY, "WHOP_ACCOUNT_ID": ACCOUNT, "WHOP_BASE_URL": f"{root}/api/v1"}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /api/v1/audiences`: a Relay connection. There is no `GET /audiences/{id}`: that is a 404."""
    if asked.path != "/api/v1/audiences":
        raise RefusedError(404, "Resource not found")
    check_bearer(asked, KEY, "Invalid or missing API key")
    check_get(asked)
    version = asked.headers.get("api-version-date", VERSIONS[0])
    if version not in VERSIONS:
        raise RefusedError(400, f"Unknown Api-Version-Date. Supported versions: {', '.join(VERSIONS)}")
    given = parameters(asked, "account_id", "first", "after", *_FILTERS)
    if "account_id" not in given:
        raise RefusedError(400, "Missing required parameter: account_id", param="account_id", missing=True)
    if given["account_id"] != ACCOUNT:
        raise RefusedError(403, "This key may not read the audiences of this account")
    first = page_size(given, "first", default=20, maximum=100)
    start = _position(given["after"]) if "after" in given else 0
    for name, key in _FILTERS.items():
        if name in given:
            rows = [row for row in rows if isinstance(row, dict) and row.get(key) == given[name]]
    data = [_write_dates(row, version) for row in rows[start : start + first]]
    page_info = {
        # Not null on a last page that has rows: whoever stops at a missing cursor alone asks once too often.
        "end_cursor": _cursor(start + len(data)) if data else None,
        "start_cursor": _cursor(start + 1) if data else None,
        "has_next_page": start + first < len(rows),
        "has_previous_page": start > 0,
    }
    return Answer(200, {"data": data, "page_info": page_info})


def refusal(refused: RefusedError) -> Answer:
    """`{"error": {type, message}}`, with `code` and `param` where a parameter is at fault."""
    error = {"type": _TYPES.get(refused.status, "invalid_request_error"), "message": refused.message}
    if refused.param is not None:
        error["code"] = "parameter_missing" if refused.missing else "parameter_invalid"
        error["param"] = refused.param
    return Answer(refused.status, {"error": error}, refused.headers)


def _cursor(position: int) -> str:
    """The shape of the vendor's published example, `WyJjdXJzb3IiLDFd`: base64 of `["cursor",1]`."""
    return base64.b64encode(f'["cursor",{position}]'.encode()).decode()


def _position(cursor: str) -> int:
    try:
        _, position = json.loads(base64.b64decode(cursor, validate=True))
        if type(position) is int and position > 0 and _cursor(position) == cursor:
            return position
    except (ValueError, TypeError, RecursionError):
        pass  # not base64, not JSON, not a pair, or not of a number
    raise RefusedError(400, "Invalid cursor: after", param="after")


def _write_dates(row: object, version: str) -> object:
    """The row with its times as this version writes them; rows hold Unix seconds."""
    if version < _ISO_SINCE or not isinstance(row, dict):
        return row
    return {key: _iso(value) if key in _TIMES else value for key, value in row.items()}


def _iso(value: object) -> object:
    """Unix seconds as ISO 8601 with milliseconds; anything else is left as it is."""
    if type(value) is not int or not 0 <= value < 1 << 36:
        return value
    return datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
