"""LinkedIn's ad segments of one ad account, as documented on its pages for Rest.li 2.0.

Its query has a structure of its own, `accounts=List(urn%3Ali%3A…)`: the parentheses are read before anything
is decoded, so a query that has them encoded is refused, and so is one whose urn is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from audience_mcp.sandbox.drawing import END, START, Row, moment, seed_random, size
from audience_mcp.sandbox.exchange import (
    Answer,
    Asked,
    RefusedError,
    check_bearer,
    check_get,
    page_size,
    parameters,
)

TOKEN = "sandbox-linkedin-access-token"  # noqa: S105 (a made-up one)
ACCOUNT = "512345678"
VERSION = re.compile(r"202512|2026(?:0[1-9]|1[01])", re.ASCII)
_ONE = re.compile(r"/rest/adSegments/([0-9]{1,19})", re.ASCII)
_ACCOUNTS = re.compile(r"(?:^|&)accounts=([^&]*)")
_CODES = {
    401: ("INVALID_ACCESS_TOKEN", 65600),
    403: ("ACCESS_DENIED", 100),
    404: ("RESOURCE_NOT_FOUND", 0),
    405: ("METHOD_NOT_ALLOWED", 0),
    426: ("NONEXISTENT_VERSION", 0),
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {
        "LINKEDIN_ACCESS_TOKEN": TOKEN,
        "LINKEDIN_AD_ACCOUNT_ID": f"urn:li:sponsoredAccount:{ACCOUNT}",
        "LINKEDIN_BASE_URL": f"{root}/rest",
    }


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /rest/adSegments?q=accounts&accounts=List(…)` and `GET /rest/adSegments/{id}`."""
    check_bearer(asked, TOKEN, "Invalid access token")
    version = asked.headers.get("linkedin-version")
    if version is None:
        raise RefusedError(400, "A version must be present. Please specify a version.", param="version")
    if not VERSION.fullmatch(version):
        raise RefusedError(426, f"Requested version {version} is not active")
    if asked.headers.get("x-restli-protocol-version") != "2.0.0":
        raise RefusedError(400, "Unsupported Rest.li protocol version")
    # LinkedIn's own client sends a Content-Type with a GET.
    check_get(replace(asked, headers={k: v for k, v in asked.headers.items() if k != "content-type"}))
    one = _ONE.fullmatch(asked.path)
    if one is not None:
        parameters(asked)
        row = next((row for row in rows if isinstance(row, dict) and str(row.get("id")) == one[1]), None)
        if row is None:
            raise RefusedError(404, "No such ad segment")
        return Answer(200, row)
    if asked.path != "/rest/adSegments":
        raise RefusedError(404, "No such resource")
    return _page(asked, rows)


def refusal(refused: RefusedError) -> Answer:
    """`{message, status, code?, serviceErrorCode?}`."""
    code, number = _CODES.get(refused.status, ("ILLEGAL_ARGUMENT", 0))
    if refused.param == "version":
        code = "VERSION_MISSING"
    body: Row = {"message": refused.message, "status": refused.status, "code": code}
    if number:
        body["serviceErrorCode"] = number
    return Answer(refused.status, body, refused.headers)


def _page(asked: Asked, rows: Sequence[object]) -> Answer:
    given = parameters(asked, "q", "accounts", "start", "count")
    accounts = _ACCOUNTS.search(asked.raw_query)
    if given.get("q") != "accounts" or accounts is None:
        raise RefusedError(400, "No finder with these parameters")
    urn = re.fullmatch(r"List\(urn%3Ali%3AsponsoredAccount%3A([0-9]+)\)", accounts[1], re.ASCII)
    if urn is None:
        raise RefusedError(400, "Array parameter 'accounts' value could not be parsed")
    if urn[1] != ACCOUNT:
        raise RefusedError(403, "Not enough permissions to access: FINDER accounts.adSegments")
    count = page_size(given, "count", default=10, maximum=1000)
    start = int(given.get("start", "0"))
    paging: Row = {"start": start, "count": count, "links": []}
    if rows:
        paging["total"] = len(rows)
    return Answer(200, {"paging": paging, "elements": rows[start : start + count]})


def linkedin_rows() -> list[Row]:
    """46 rows: most ready, some being built, some archived or expired, and one too small to be shown."""
    draw = seed_random(2607)
    rows = [
        _row(0, "VIP", 3_400, description="Customers with a named account manager"),
        _row(1, "ABM tier 1 – Maschinenbau", 48_000, type="MARKET_AUTOMATION"),
        _row(2, "Site visitors – 90 days", 230_000, type="WEBSITE"),
        _row(3, "Demo page, no form", 0, status="BUILDING", type="WEBSITE"),
        _row(4, "Webinar 2024 attendees", 7_900, status="ARCHIVED"),
        _row(5, "Messe Hannover 2024", None, status="EXPIRED"),
        _row(6, "Board members (advisory)", 0),
        _row(7, "Lookalike of VIP", 610_000, type="LOOKALIKE"),
        _row(8, "CRM upload 2026-11-16", 12_500, status="UPDATING"),
        _row(9, "Upload with the wrong columns", 0, status="FAILED"),
    ]
    countries = ("US", "DE", "FR", "GB", "NL", "IN")
    words = (
        ("decision makers", "BULK"),
        ("pricing page, 30 days", "WEBSITE"),
        ("video, half watched", "ENGAGEMENT"),
        ("newsletter", "MARKET_AUTOMATION"),
        ("open opportunities", "BULK"),
        ("lost deals", "BULK"),
    )
    for number in range(len(countries) * len(words)):
        country, (word, kind) = countries[number // len(words)], words[number % len(words)]
        created = int(moment(draw, START, END).timestamp()) * 1000
        row = _row(10 + number, f"{country} – {word}", 100 * max(3, size(draw, 400_000) // 100), type=kind)
        rows.append({**row, "created": {"time": created}, "lastModified": {"time": created + 86_400_000}})
    return rows


def _row(
    number: int, name: str, members: int | None, status: str = "READY", type: str = "BULK", **more: object
) -> Row:
    """A segment as LinkedIn writes it: times in milliseconds, and whose it is as a urn."""
    created = 1_767_225_600_000 + 3_600_000 * number
    count: Row = {} if members is None else {"approximateMemberCount": members}
    return {
        "id": 11_422_166 + 1_117 * number,
        "account": f"urn:li:sponsoredAccount:{ACCOUNT}",
        "name": name,
        **count,
        "status": status,
        "type": type,
        "created": {"actor": "urn:li:unknown:0", "time": created},
        "lastModified": {"actor": "urn:li:unknown:0", "time": created + 86_400_000},
        "versionTag": str(81_433_811_311 + number),
        **more,
    }
