"""Microsoft Advertising as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.microsoftads import api


def row(
    id: int, name: str, type: str, search: int | None, network: int | None = None, **more: object
) -> dict[str, object]:
    """An audience as Microsoft writes it: 64-bit numbers as text, and null where nothing was counted."""
    return {
        "Type": type,
        "Id": str(817_341_200 + id),
        "Name": name,
        "Description": "",
        "SearchSize": None if search is None else str(search),
        "AudienceNetworkSize": None if network is None else str(network),
        "MembershipDuration": 30,
        "ParentId": api.ACCOUNT,
        "Scope": "Account",
        "SupportedCampaignTypes": ["Search", "Shopping"],
        "CustomerShare": None,
        "ForwardCompatibilityMap": [],
        **more,
    }


RULE = {"Type": "PageVisitors", "RuleItemGroups": []}
ROWS = [
    row(0, "VIP", "CustomerList", 5_200),
    row(1, "All visitors", "RemarketingList", 41_200, 38_000, Rule=RULE, TagId="55"),
    row(2, "Acheteurs – été", "RemarketingList", None, 900, Description="Paid twice", Rule=RULE, TagId="55"),
    row(3, "New upload", "CustomerList", None),
    row(4, "Like the buyers", "SimilarRemarketingList", 1_300_000, 1_100_000),
    row(5, "Visitors but not buyers", "CombinedList", 18_500, 17_000),
    row(6, "Saw the film", "ImpressionBasedRemarketingList", 0, 0),
    row(7, "Looked at a bicycle", "Product", 640, None, TagId="55"),
    row(8, "From the data partner", "Custom", 77_000, 75_000),
    row(9, "Outdoor segment", "CustomSegment", 9_000, 8_000),
    row(10, "Every shop's buyers", "CustomerList", 88_000, 80_000, Scope="Customer", ParentId=api.CUSTOMER),
    *(row(100 + n, f"Shop {n}", "CustomerList", 11 * n) for n in range(60)),
]


@asynccontextmanager
async def served(rows: Sequence[object], web: bool = False) -> AsyncIterator[Served]:
    """These audiences, and the variables that lead to them. Token exchanges are not among what is asked."""
    async with (
        serve_api(lambda asked: api.token(asked, web)) as (token_origin, _),
        serve_api(lambda asked: api.query(asked, rows)) as (origin, asked),
    ):
        yield Served(
            {
                **{f"MICROSOFT_ADS_{name.upper()}": value for name, value in api.CLIENT.items()},
                "MICROSOFT_ADS_DEVELOPER_TOKEN": api.DEVELOPER_TOKEN,
                "MICROSOFT_ADS_CUSTOMER_ID": api.CUSTOMER,
                "MICROSOFT_ADS_ACCOUNT_ID": api.ACCOUNT,
                "MICROSOFT_ADS_TOKEN_URL": f"{token_origin}/token",
                "MICROSOFT_ADS_BASE_URL": f"{origin}{api.PREFIX}",
            },
            asked,
        )


TYPES = {
    "CustomerList": "static",
    "SimilarRemarketingList": "lookalike",
    "Custom": "unknown",
    "CustomSegment": "unknown",
}


def facts(raw: Any) -> Facts:
    size = raw["SearchSize"] or raw["AudienceNetworkSize"]
    known = None if size is None else int(size)
    status = "processing" if known is None else "ready"
    return Facts(raw["Name"], known, TYPES.get(raw["Type"], "dynamic"), status)


CASE = Case(
    vendor=built_in_vendors()["microsoftads"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=(),
    new_id=lambda n: str(9_000_000 + n),
    unknown_id="99999999",
    wrong={"customer": "5550001", "account": "5550002"},
    size_note="in the Search network",
)
