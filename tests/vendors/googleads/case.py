"""Google Ads as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.googleads import api

Row = dict[str, object]


def row(
    id: int, name: str, type: str, display: int | None = None, search: int | None = None, **more: object
) -> Row:
    """A user list as Google writes it: 64-bit numbers as text, and nothing where there is nothing."""
    sizes = {"sizeForDisplay": display, "sizeForSearch": search}
    return {
        "id": str(id),
        "name": name,
        "type": type,
        "membershipStatus": "OPEN",
        "accountUserListStatus": "ENABLED",
        "accessReason": "OWNED",
        "eligibleForSearch": True,
        "eligibleForDisplay": True,
        "membershipLifeSpan": "540",
        **{field: str(size) for field, size in sizes.items() if size is not None},
        **more,
    }


SAMPLE = row(77, "VIP", "CRM_BASED", 5_200)
ROWS = [
    SAMPLE,
    row(78, "All visitors (AdWords)", "REMARKETING", 412_000, 380_000, membershipLifeSpan="30"),
    row(79, "Customer list 2026-11", "CRM_BASED", 900, 1_200, matchRatePercentage=55, description="CRM"),
    row(80, "Search only – bidders", "RULE_BASED", None, 7_400, eligibleForDisplay=False),
    row(81, "Visited pricing AND not customers", "LOGICAL", 18_500),
    row(82, "Similar to VIP", "SIMILAR", 1_300_000),
    row(83, "Lookalike – VIP (balanced)", "LOOKALIKE", None, None),
    row(84, "Tiny list", "EXTERNAL_REMARKETING", 0, eligibleForDisplay=False),
    row(85, "Old visitors", "REMARKETING", None, None, membershipStatus="CLOSED", closingReason="UNUSED"),
    row(86, "Neue Art von Liste", "NOT_KNOWN_YET", 41, accessReason="SHARED"),
]


@asynccontextmanager
async def served(rows: Sequence[object], page_size: int = 10_000) -> AsyncIterator[Served]:
    """These user lists, and the variables that lead to them. Token exchanges are not among what is asked."""
    async with (
        serve_api(api.token) as (token_origin, _),
        serve_api(lambda asked: api.search(asked, rows, page_size)) as (origin, asked),
    ):
        yield Served(
            {
                **{f"GOOGLE_ADS_{name.upper()}": value for name, value in api.CLIENT.items()},
                "GOOGLE_ADS_CUSTOMER_ID": "123-456-7890",
                "GOOGLE_ADS_LOGIN_CUSTOMER_ID": "222-333-4444",
                "GOOGLE_ADS_TOKEN_URL": f"{token_origin}/token",
                "GOOGLE_ADS_BASE_URL": f"{origin}/v26",
            },
            asked,
        )


TYPES = {
    "CRM_BASED": "static",
    "SIMILAR": "lookalike",
    "LOOKALIKE": "lookalike",
    "NOT_KNOWN_YET": "unknown",
}


def facts(raw: Any) -> Facts:
    size = raw.get("sizeForDisplay", raw.get("sizeForSearch"))
    missing = "unknown" if raw["membershipStatus"] == "CLOSED" else "processing"
    return Facts(
        raw["name"],
        None if size is None else int(size),
        TYPES.get(raw["type"], "dynamic"),
        missing if size is None else "ready",
    )


CASE = Case(
    vendor=built_in_vendors()["googleads"],
    serve=served,
    rows=ROWS,
    sample=SAMPLE,
    facts=facts,
    size="sizeForDisplay",
    dates=(),
    new_id=lambda n: str(90_000 + n),
    unknown_id="99999999",
    wrong={"customer": "9998887776"},
    size_note="on the Display Network",
)
