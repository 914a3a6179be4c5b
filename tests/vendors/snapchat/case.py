"""Snapchat as the contract suite sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from audience_mcp.testing import Answer, Asked, Case, Facts, Served, serve_api
from audience_mcp.vendors.registry import built_in_vendors
from tests.vendors.snapchat import api


def row(
    id: int | str, name: str, size: int | None, type: str = "FIRST_PARTY", **more: object
) -> dict[str, Any]:
    return {
        "id": str(id),
        "name": name,
        "description": f"{name} of the shop",
        "ad_account_id": api.ACCOUNT,
        "created_at": "2026-01-04T00:56:35.051Z",
        "updated_at": "2026-02-04T00:59:02.774Z",
        "status": "ACTIVE",
        "targetable_status": "READY",
        "upload_status": "COMPLETE",
        "source_type": type,
        "retention_in_days": 9999,
        "approximate_number_users": size,
        **more,
    }


ROWS = [
    row(5603670370513719, "All buyers", 5_300),
    row(5603670370513720, "Pixel – été", 152_000, "PIXEL"),
    row(5603670370513721, "Like the buyers", 2_000_000, "LOOKALIKE"),
    row(5603670370513722, "Uploaded today", 0, targetable_status="NOT_READY", upload_status="PROCESSING"),
    row(5603670370513723, "Some matched", 71, targetable_status="NOT_READY", upload_status="PROCESSING"),
    row(5603670370513724, "Few", 12, targetable_status="TOO_FEW_USERS"),
    row(5603670370513725, "Few, unsaid", 0, targetable_status="TOO_FEW_USERS"),
    row(5603670370513726, "No number", None, "ENGAGEMENT"),
    row("0b9d3c52-7a41-4c55-9a0e-5d1f2e3a4b5c", "Another id", 900, "A_NEW_SORT", targetable_status="NEW"),
    row(5603670370513727, "Emptied", 0),
]


@asynccontextmanager
async def served(
    rows: Sequence[object],
    answer: Callable[[Asked, Sequence[object]], Answer] = api.answer,
    token: Callable[[Asked], Answer] = api.token,
) -> AsyncIterator[Served]:
    """These segments, and the variables that lead to them. Token exchanges are not among what is asked."""
    async with (
        serve_api(token) as (token_origin, _),
        serve_api(lambda asked: answer(asked, rows)) as (origin, asked),
    ):
        yield Served(
            {
                **{f"SNAPCHAT_{name.upper()}": value for name, value in api.CLIENT.items()},
                "SNAPCHAT_AD_ACCOUNT_ID": api.ACCOUNT.upper(),
                "SNAPCHAT_TOKEN_URL": f"{token_origin}/login/oauth2/access_token",
                "SNAPCHAT_BASE_URL": f"{origin}/v1",
            },
            asked,
        )


TYPES = {"FIRST_PARTY": "static", "LOOKALIKE": "lookalike", "A_NEW_SORT": "unknown"}
STATUSES = {"READY": "ready", "TOO_FEW_USERS": "ready", "NOT_READY": "processing"}


def facts(raw: Any) -> Facts:
    size, word = raw["approximate_number_users"], raw["targetable_status"]
    known = size if word == "READY" else size or None
    return Facts(raw["name"], known, TYPES.get(raw["source_type"], "dynamic"), STATUSES.get(word, "unknown"))


CASE = Case(
    vendor=built_in_vendors()["snapchat"],
    serve=served,
    rows=ROWS,
    facts=facts,
    dates=("created_at", "updated_at"),
    new_id=lambda n: str(9_000_000 + n),
    unknown_id="99999",
    largest_page=("limit", "1000"),
    wrong={"account": "8adc3db7-8148-4fbf-999c-8d2266369d75"},
)
