"""Batch (Customer Engagement Platform) as documented on its "List" and "View" pages of audiences, and on
"List" of segments.

A row with the `kind` `segment` is one, every other one an audience.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from audience_mcp.sandbox.exchange import (
    Answer,
    Asked,
    RefusedError,
    check_bearer,
    check_get,
    found,
    page_size,
    parameters,
)

KEY = "sandbox-batch-rest-key"
PROJECT = "project_00sandbox00sandbox00sandbox0"
# The version is a path segment; the audience pages are the same in all versions seen (2.1 to 2.11).
_ROUTE = re.compile(r"/\d+\.\d+/(audiences/list|audiences/view|segments/list)", re.ASCII)
# Batch publishes no table of codes: of these only AUTHENTICATION_INVALID is seen in its pages.
_CODES = {
    400: "MALFORMED_REQUEST",
    401: "AUTHENTICATION_INVALID",
    404: "AUDIENCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox, unpaced."""
    return {
        "BATCH_REST_API_KEY": KEY,
        "BATCH_PROJECT_KEY": PROJECT,
        "BATCH_BASE_URL": f"{root}/2.11",
        "BATCH_MAX_RPS": "1000",
    }


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /{version}/audiences/list`, `/audiences/view?name=` and `/segments/list`."""
    route = _ROUTE.fullmatch(asked.path)
    if route is None:
        raise RefusedError(404, "Route not found")
    check_bearer(asked, KEY, "The REST API key is not valid")
    project = asked.headers.get("x-batch-project")
    if not project:
        raise RefusedError(400, "Missing header: X-Batch-Project")
    if project != PROJECT:
        # Its error table gives a wrong project the same status as a wrong key.
        raise RefusedError(401, "The REST API key is not valid for this project")
    check_get(asked)
    listed, _, view = route[1].partition("/")
    own = [row for row in rows if is_segment(row) is (listed == "segments")]
    return _view(asked, own) if view == "view" else _list(asked, listed, own)


def refusal(refused: RefusedError) -> Answer:
    """`{error_code, error_message}`, both required by Batch's schema."""
    body = {"error_code": _CODES[refused.status], "error_message": refused.message}
    return Answer(refused.status, body, refused.headers)


def is_segment(row: object) -> bool:
    """Whether a row is a segment and no audience."""
    return isinstance(row, dict) and row.get("kind") == "segment"


def _sent(row: object) -> object:
    """A row as Batch sends it."""
    if isinstance(row, dict) and is_segment(row):
        return {name: value for name, value in row.items() if name != "kind"}
    return row


def _list(asked: Asked, listed: str, rows: Sequence[object]) -> Answer:
    """One page: 10 rows unless `limit` says otherwise, `count` on the first page alone."""
    given = parameters(asked, "from", "limit")
    limit = page_size(given, "limit", default=10, maximum=100)
    start = _position(given["from"]) if "from" in given else 0
    end = start + limit
    body: dict[str, object] = {listed: [_sent(row) for row in rows[start:end]], "has_more": end < len(rows)}
    if "from" not in given:
        body["count"] = len(rows)
    if end < len(rows):
        body["next_from"] = _cursor(end)
    return Answer(200, body)


def _view(asked: Asked, rows: Sequence[object]) -> Answer:
    """The bare audience, in no envelope. Names are case-sensitive.

    A valid `indexing_token` changes nothing here: the state is that of the last update in any case.
    """
    given = parameters(asked, "name", "indexing_token")
    if "name" not in given:
        raise RefusedError(400, "Missing parameter: name")
    row = found(rows, "name", given["name"])
    if row is None:
        raise RefusedError(404, "No audience has this name")
    return Answer(200, row)


def _cursor(position: int) -> str:
    """A position with a digest, so that neither a row number nor a page number passes for a cursor."""
    raw = position.to_bytes(6, "big")
    return base64.urlsafe_b64encode(_digest(raw) + raw).decode()


def _position(cursor: str) -> int:
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 18 or raw[:12] != _digest(raw[12:]):
        raise RefusedError(400, "Invalid cursor: from")
    return int.from_bytes(raw[12:], "big")


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=12, key=b"batch cursor").digest()
