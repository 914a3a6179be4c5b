"""Google Data Manager's user lists of one account, as its messages have them, over given rows.

A row is written flat: sizes, eligibility and what was ingested are put where Google has them. 64-bit numbers
go out as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked
from tests.vendors.googleads.api import TOKEN

ACCOUNT, MANAGER = "1234567890", "accountTypes/GOOGLE_ADS/accounts/2223334444"
PATH = re.compile(r"/v1/accountTypes/([A-Z_]+)/accounts/([0-9]+)/userLists(?:/([0-9]+))?", re.ASCII)
SIZES = (
    "displayNetworkMembersCount",
    "searchNetworkMembersCount",
    "youtubeMembersCount",
    "gmailMembersCount",
)
INSIDE = {
    **dict.fromkeys(SIZES, "sizeInfo"),
    **dict.fromkeys(("eligibleForDisplay", "eligibleForSearch"), "targetNetworkInfo"),
}


def failed(status: int, reason: str, *more: object, **metadata: str) -> Answer:
    """`google.rpc.Status` with the reason in its details."""
    kind = "type.googleapis.com/google.rpc."
    info = {"@type": f"{kind}ErrorInfo", "reason": reason, "domain": "datamanager.googleapis.com"}
    details = [{**info, "metadata": metadata}, {"@type": f"{kind}RequestInfo", "requestId": "t-1"}, *more]
    return Answer(
        status, {"error": {"code": status, "message": "…", "status": "INVALID_ARGUMENT", "details": details}}
    )


def as_sent(row: Any) -> Any:
    """A row as Google writes it."""
    if not isinstance(row, dict):
        return row
    sent: dict[str, Any] = {}
    for name, value in row.items():
        whole = name in SIZES and isinstance(value, int) and not isinstance(value, bool)
        inside = sent.setdefault(INSIDE[name], {}) if name in INSIDE else sent
        inside[name] = str(value) if whole else value
    return sent


def answer(asked: Asked, rows: Sequence[Any], page_size: int = 1000) -> Answer:
    """The lists of an account page by page, and one of them."""
    if asked.headers.get("authorization") != f"Bearer {TOKEN}":
        return failed(401, "ACCESS_TOKEN_EXPIRED")
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "GET" or asked.body:
        return Answer(404, "<html>Not Found</html>")
    if path[2] != ACCOUNT or asked.headers.get("login-account", MANAGER) != MANAGER:
        return failed(403, "PERMISSION_DENIED")
    if path[3]:
        found = [row for row in rows if isinstance(row, dict) and row.get("id") == path[3]]
        return Answer(200, as_sent(found[0])) if found else failed(404, "RESOURCE_NOT_FOUND")
    query = {name: values[0] for name, values in asked.query.items()}
    if query.keys() - {"pageSize", "pageToken", "$alt"}:  # the last is sent by Google's own client
        return failed(400, "INVALID_ARGUMENT")
    size = min(int(query.get("pageSize", "50")), page_size)
    if not re.fullmatch(r"CAo\d+", query.get("pageToken", "CAo0"), re.ASCII):
        return failed(400, "INVALID_PAGE_TOKEN")
    start = int(query.get("pageToken", "CAo0")[3:])
    page: dict[str, object] = {}
    if rows[start : start + size]:
        page["userLists"] = [as_sent(row) for row in rows[start : start + size]]
    if start + size < len(rows):
        page["nextPageToken"] = f"CAo{start + size}"
    return Answer(200, page)
