"""Mailchimp's lists, and the segments and tags within each, as its Marketing API document has them.

A row with a `list_id` is a segment or tag of that list, every other one a list; a list's `member_count` is
served under `stats`, where Mailchimp has it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence

from audience_mcp.sandbox.drawing import END, START, Row, iso, moment, seed_random, size
from audience_mcp.sandbox.exchange import Answer, Asked, RefusedError, page_size, parameters

KEY = "5a4db0c5b0a7e4d1a0c7e9f1b2d3c4e5-us6"  # made up
COUNTS = (
    "member_count",
    "unsubscribe_count",
    "cleaned_count",
    "total_contacts",
    "campaign_count",
    "campaign_last_sent",
)
PARAMETERS = ("count", "offset", "fields", "exclude_fields", "sort_field", "sort_dir", "type")
_PATH = re.compile(r"/3\.0/lists(?:/([^/]+)(/segments(?:/([^/]+))?)?)?", re.ASCII)
_TITLES = {
    400: "Invalid Resource",
    401: "API Key Invalid",
    404: "Resource Not Found",
    405: "Method Not Allowed",
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {"MAILCHIMP_API_KEY": KEY, "MAILCHIMP_BASE_URL": f"{root}/3.0"}


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /3.0/lists`, `/lists/{id}`, and the same below a list for its segments."""
    _check_key(asked)
    if asked.method != "GET":  # its own SDK sends a Content-Type with GET, too
        raise RefusedError(405, "The requested method is not allowed.")
    given = parameters(asked, *PARAMETERS, "include_total_contacts")
    path = _PATH.fullmatch(asked.path)
    if path is None:
        raise RefusedError(404, "No such resource")
    segments = [row for row in rows if isinstance(row, dict) and "list_id" in row]
    lists = [row for row in rows if not (isinstance(row, dict) and "list_id" in row)]
    list_id, below, segment_id = path.groups()
    if list_id is None:
        return _page("lists", [_as_listed(row) for row in lists], given)
    parent = _found(lists, list_id)
    if below is None:
        return Answer(200, _as_listed(parent))
    own = [row for row in segments if row["list_id"] == list_id]
    return _page("segments", own, given) if segment_id is None else Answer(200, _found(own, segment_id))


def refusal(refused: RefusedError) -> Answer:
    """`{type, title, status, detail, instance}` (RFC 7807)."""
    body = {
        "type": "about:blank",
        "title": _TITLES[refused.status],
        "status": refused.status,
        "detail": refused.message,
        "instance": "8b1f7e5c",
    }
    return Answer(refused.status, body, refused.headers)


def _check_key(asked: Asked) -> None:
    given = asked.headers.get("authorization", "").removeprefix("Basic ")
    try:
        password = base64.b64decode(given, validate=True).decode().rpartition(":")[2]
    except ValueError:
        password = ""
    if password != KEY:
        raise RefusedError(401, "Your API key may be invalid, or you've attempted the wrong datacenter.")


def _found(rows: Sequence[object], id: str) -> Row:
    for row in rows:
        if isinstance(row, dict) and str(row.get("id")) == id:
            return row
    raise RefusedError(404, "The requested resource could not be found.")


def _as_listed(row: object) -> object:
    """A list as Mailchimp sends it."""
    if not isinstance(row, dict) or "member_count" not in row:
        return row
    counts = {name: row[name] for name in COUNTS if name in row}
    return {**{k: v for k, v in row.items() if k not in counts}, "stats": counts}


def _page(key: str, rows: Sequence[object], given: Mapping[str, str]) -> Answer:
    start, count = int(given.get("offset", "0")), page_size(given, "count", default=10, maximum=1000)
    return Answer(200, {key: rows[start : start + count], "total_items": len(rows)})


def mailchimp_rows() -> list[Row]:
    """3 lists, and 27 segments and tags within them."""
    draw = seed_random(600)
    rows = [
        _list("0a1b2c3d4e", "Harbour Coffee – customers", "2024-03-11T09:00:00+00:00", 48_120, 3_190),
        _list("5f6e7d8c9b", "Newsletter subscribers", "2024-05-02T07:30:00+00:00", 112_406, 9_871),
        _list("77aa88bb99", "Trade partners", "2025-09-15T12:00:00+00:00", 318, 4),
    ]
    names = (
        ("Opened in the last 90 days", "saved"),
        ("Bought twice", "saved"),
        ("Black Friday 2025", "static"),
        ("Loyalty card", "static"),
        ("Lapsed – 12 months", "saved"),
        ("Wholesale", "static"),
        ("Abonnés – France", "saved"),
        ("Looks alike", "fuzzy"),
    )
    for number, row in enumerate(list(rows)):
        best = ("VIP", "Gold readers", "Best partners")[number]
        for place, (name, type) in enumerate(((best, "static"), *names)):
            made = moment(draw, START, END)
            rows.append(
                {
                    "id": 880_011 + 100 * number + place,
                    "list_id": row["id"],
                    "name": name,
                    "type": type,
                    "member_count": min(size(draw, 40_000), int(str(row["member_count"]))),
                    "created_at": iso(made, "").replace("Z", "+00:00"),
                    "updated_at": iso(moment(draw, made, END), "").replace("Z", "+00:00"),
                }
            )
    return rows


def _list(id: str, name: str, made: str, members: int, unsubscribed: int) -> Row:
    return {
        "id": id,
        "name": name,
        "date_created": made,
        "member_count": members,
        "unsubscribe_count": unsubscribed,
        "cleaned_count": unsubscribed // 7,
        "total_contacts": members + unsubscribed + unsubscribed // 7,
        "campaign_count": members // 2_000,
        "campaign_last_sent": "2026-11-12T08:00:00+00:00" if members >= 2_000 else "",
    }
