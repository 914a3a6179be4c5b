"""Meta's custom audiences of one ad account, as documented on its Marketing API pages.

Sizes are ranges or -1, failures are HTTP 400 with a code, and the link to the next page holds the token, as
Meta's do: whoever follows or shows it would be found out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from audience_mcp.sandbox.drawing import END, START, Row, moment, seed_random, size
from audience_mcp.sandbox.exchange import (
    Answer,
    Asked,
    RefusedError,
    check_get,
    found,
    page_size,
    parameters,
)

TOKEN = "sandbox-meta-system-user-token"  # noqa: S105 (a made-up one)
APP_SECRET = "sandbox-meta-app-secret"  # noqa: S105
ACCOUNT = "1234567890123"
FIELDS = frozenset(
    "id account_id name description subtype approximate_count_lower_bound approximate_count_upper_bound "  # noqa: SIM905
    "delivery_status operation_status time_created time_updated time_content_updated retention_days "
    "delete_time is_value_based data_source lookalike_spec".split()
)
_LIST = re.compile(r"/v\d{1,3}\.0/act_(\d{1,20})/customaudiences", re.ASCII)
_ONE = re.compile(r"/v\d{1,3}\.0/(\d{1,20})", re.ASCII)
_CODES = {400: (100, None), 401: (190, 463), 404: (2500, None), 405: (100, None)}
_STATES = {
    200: "Normal",
    400: "Warning",
    411: "Low match rate",
    433: "Lookalike audience could not be built",
    441: "Populating: it can be used, and will grow",
}


def environment(root: str) -> dict[str, str]:
    """The variables that point audience-mcp at this vendor's part of the sandbox."""
    return {
        "META_ACCESS_TOKEN": TOKEN,
        "META_AD_ACCOUNT_ID": f"act_{ACCOUNT}",
        "META_APP_SECRET": APP_SECRET,
        "META_BASE_URL": f"{root}/v26.0",
    }


def answer(asked: Asked, rows: Sequence[object]) -> Answer:
    """`GET /{version}/act_{account}/customaudiences` and `GET /{version}/{audience}`."""
    given = parameters(asked, "access_token", "appsecret_proof", "fields", "limit", "after", "summary")
    _check_token(asked, given)
    check_get(asked)
    listing, one = _LIST.fullmatch(asked.path), _ONE.fullmatch(asked.path)
    if one:
        row = found(rows, "id", one[1])
        if row is None:
            raise RefusedError(400, "Unsupported get request", param="33")
        return Answer(200, _select_fields({**row, "account_id": ACCOUNT}, given))
    if not listing:
        raise RefusedError(404, "Unknown path components")
    if listing[1] != ACCOUNT:
        raise RefusedError(400, "Unsupported get request", param="33")
    return _page(asked, given, rows)


def refusal(refused: RefusedError) -> Answer:
    """`{error: {message, type, code, error_subcode, fbtrace_id}}`, under 400 whatever it is."""
    code, subcode = (100, 33) if refused.param == "33" else _CODES[refused.status]
    error: Row = {
        "message": refused.message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "AbC1dEf2",
    }
    if subcode:
        error["error_subcode"] = subcode
    return Answer(400, {"error": error})


def _check_token(asked: Asked, given: Mapping[str, str]) -> None:
    header = asked.headers.get("authorization", "").removeprefix("Bearer ")
    if (header or given.get("access_token")) != TOKEN:
        raise RefusedError(401, "Error validating access token")
    proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    if given.get("appsecret_proof") != proof:
        raise RefusedError(400, "API calls from the server require an appsecret_proof argument")


def _page(asked: Asked, given: Mapping[str, str], rows: Sequence[object]) -> Answer:
    limit = page_size(given, "limit", default=25, maximum=500)
    start = _position(given["after"]) if "after" in given else 0
    end = start + limit
    page = [_select_fields(row, given) for row in rows[start:end]]
    if not page:
        return Answer(200, {"data": []})  # an empty list has no `paging`
    paging: Row = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
    if end < len(rows):
        link = (
            f"https://graph.facebook.com{asked.path}?access_token={TOKEN}&limit={limit}&after={_cursor(end)}"
        )
        paging["next"] = link
    return Answer(200, {"data": page, "paging": paging})


def _select_fields(row: object, given: Mapping[str, str]) -> object:
    """A row with the fields asked for, and only the id where none are."""
    asked = given.get("fields", "id").split(",")
    unknown = [name for name in asked if name not in FIELDS]
    if unknown:
        raise RefusedError(400, f"(#100) Tried accessing nonexisting field ({unknown[0]})")
    return {name: value for name, value in row.items() if name in asked} if isinstance(row, dict) else row


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"ZAx{position:06}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except ValueError:
        text = ""
    if not re.fullmatch(r"ZAx\d{6}", text, re.ASCII):
        raise RefusedError(400, "(#100) Invalid cursors values")
    return int(text[3:])


def meta_rows() -> list[Row]:
    """64 rows: ranges as Meta gives them, some without an estimate, some being built, some broken."""
    draw = seed_random(2600)
    rows = [
        _row(0, "VIP", "CUSTOM", 4_800, 5_600, description="Top customers, refreshed from the CRM"),
        _row(1, "Purchasers – 180 days", "WEBSITE", 41_200, 48_500, retention_days=180),
        _row(2, "Lookalike (DE, 1%) – VIP", "LOOKALIKE", 610_000, 717_600),
        _row(3, "Lookalike (US, 3%) – old seed", "LOOKALIKE", -1, -1, delivery=300),
        _row(4, "Black Friday 2025", "CUSTOM", 88_000, 103_500),
        _row(5, "Watched 75 % of the spring film", "VIDEO", 12_600, 14_800, retention_days=365),
        _row(6, "Instagram – saved a post", "ENGAGEMENT", 1_000, 1_000, retention_days=90),
        _row(7, "CRM upload 2026-11-16", "CUSTOM", -1, -1, operation=441),
        _row(8, "Lookalike (FR, 1%) – paniers abandonnés", "LOOKALIKE", -1, -1, operation=433, delivery=400),
        _row(9, "App – reached level 10", "APP", 7_100, 8_300),
        _row(10, "Store visits (offline events)", "OFFLINE_CONVERSION", 3_300, 3_900, operation=411),
        _row(11, "Newsletter subscribers", "CUSTOM", 151_900, 178_700),
    ]
    countries = ("US", "DE", "FR", "BR", "JP", "IT", "ES", "PL", "NL", "GB", "TR", "MX", "SE")
    words = (
        ("site visitors 30 d", "WEBSITE"),
        ("cart abandoners 14 d", "WEBSITE"),
        ("customer file", "CUSTOM"),
        ("lookalike 1 %", "LOOKALIKE"),
    )
    for number in range(len(countries) * len(words)):
        country, (word, subtype) = countries[number // len(words)], words[number % len(words)]
        low = 100 * max(10, size(draw, 900_000) // 100)
        row = _row(12 + number, f"{country} – {word}", subtype, low, 100 * int(low * 1.177 / 100))
        row["time_created"] = int(moment(draw, START, END).timestamp())
        row["time_updated"] = int(str(row["time_created"])) + 86_400
        rows.append(row)
    return rows


def _row(
    number: int,
    name: str,
    subtype: str,
    low: int,
    high: int,
    operation: int = 200,
    delivery: int = 200,
    **more: object,
) -> Row:
    ready = "This audience is ready for use." if delivery == 200 else "This audience cannot be used now."
    return {
        "id": str(23_851_200_000_000_017 + 10_000 * number),
        "name": name,
        "subtype": subtype,
        "approximate_count_lower_bound": low,
        "approximate_count_upper_bound": high,
        "delivery_status": {"code": delivery, "description": ready},
        "operation_status": {"code": operation, "description": _STATES[operation]},
        "time_created": 1_767_225_600 + 3_600 * number,
        "time_updated": 1_767_312_000 + 3_600 * number,
        **more,
    }
