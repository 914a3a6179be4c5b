"""Google Data Manager as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.datamanager import api
from tests.vendors.googleads.api import CLIENT, token


def row(id: int, name: str, display: int | None = None, **more: object) -> dict[str, object]:
    """A user list, flat, without what Google leaves out: a 0 as well as what it does not know."""
    size = {} if display is None else {"displayNetworkMembersCount": display}
    return {
        "name": f"accountTypes/GOOGLE_ADS/accounts/{api.ACCOUNT}/userLists/{id}",
        "id": str(id),
        "displayName": name,
        "membershipStatus": "OPEN",
        "membershipDuration": "46656000s",
        "accessReason": "OWNED",
        "accountAccessStatus": "ENABLED",
        "eligibleForDisplay": True,
        "eligibleForSearch": True,
        "ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]},
        **size,
        **more,
    }


SEARCH, YOUTUBE, GMAIL = api.SIZES[1:]
MATCHED = {
    "uploadKeyTypes": ["CONTACT_ID"],
    "contactIdInfo": {"matchRatePercentage": 55, "dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"},
}
ROWS: list[dict[str, object]] = [
    row(77, "VIP", 5_200),
    row(78, "Buyers – été", 900, description="CRM", ingestedUserListInfo=MATCHED, **{SEARCH: 1_200}),
    row(79, "Not for Display", 40, eligibleForDisplay=False, **{SEARCH: 7_400}),
    row(80, "Neither", 11, eligibleForDisplay=False, eligibleForSearch=False, **{SEARCH: 12}),
    row(81, "On YouTube alone", None, **{YOUTUBE: 1_100, GMAIL: 40}),
    row(82, "In Gmail alone", None, **{GMAIL: 41}),
    row(83, "New", None),
    row(84, "Closed", None, membershipStatus="CLOSED", closingReason="UNUSED"),
    row(85, "From the agency", 64_000, accessReason="SHARED"),
    {name: value for name, value in row(86, "No upload", 300).items() if name != "ingestedUserListInfo"},
    *(row(1000 + n, f"Shop {n}", 11 * n + 1) for n in range(1010)),
]


@asynccontextmanager
async def served(rows: Sequence[object], page_size: int = 1000) -> AsyncIterator[Served]:
    """These user lists, and the variables that lead to them. Token exchanges are not among what is asked."""
    async with (
        serve_api(token) as (token_origin, _),
        serve_api(lambda asked: api.answer(asked, rows, page_size)) as (origin, asked),
    ):
        yield Served(
            {
                **{f"DATAMANAGER_{name.upper()}": value for name, value in CLIENT.items()},
                "DATAMANAGER_ACCOUNT_ID": "123-456-7890",
                "DATAMANAGER_LOGIN_ACCOUNT": "222-333-4444",
                "DATAMANAGER_TOKEN_URL": f"{token_origin}/token",
                "DATAMANAGER_BASE_URL": f"{origin}/v1",
            },
            asked,
        )


def facts(raw: Any) -> Facts:
    display, search, *others = api.SIZES
    order = [display] if raw["eligibleForDisplay"] else []
    order += [search] if raw["eligibleForSearch"] else []
    size = next((raw[name] for name in (*order, display, search, *others) if name in raw), None)
    missing = "unknown" if raw["membershipStatus"] == "CLOSED" else "processing"
    return Facts(
        raw["displayName"],
        size,
        "static" if "ingestedUserListInfo" in raw else "unknown",
        missing if size is None else "ready",
    )


CASE = Case(
    vendor=built_in_vendors()["datamanager"],
    serve=served,
    rows=ROWS,
    facts=facts,
    size="displayNetworkMembersCount",
    dates=(),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    largest_page=("pageSize", "1000"),
    wrong={"account": "9998887776"},
    size_note="on the Display Network",
)
