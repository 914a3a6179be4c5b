"""The vendors' own Python SDKs, run against the sandbox, read what our adapters read.

They are written by the vendors from the vendors' own documents: where one cannot read the sandbox, the
sandbox is wrong; where one reads other ids or counts than the catalog, the adapter is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import anyio
import httpx
import pytest
import whop_sdk
from smallestai import SmallestAI
from smallestai.core.api_error import ApiError as SmallestError
from smallestai.environment import SmallestAIEnvironment
from whop_sdk.environment import WhopEnvironment

from audience_mcp.catalog.catalog import Catalog, open_catalog
from audience_mcp.catalog.models import Audience
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.dates import to_rfc3339
from audience_mcp.sandbox.app import serve
from audience_mcp.sandbox.data import SMALLEST_UNLISTED
from audience_mcp.vendors.registry import load_vendors
from tests.support.served import Recording

pytestmark = pytest.mark.anyio


@dataclass
class Both:
    """One sandbox, its variables, and a catalog that reads it."""

    sandbox: Recording
    variables: dict[str, str]
    catalog: Catalog

    async def ours(self, vendor: str) -> dict[str, Audience]:
        """Every audience of a vendor by id, in full, through the catalog."""
        answer = await self.catalog.list_audiences(ListQuery(sources=[vendor], detail="full", limit=10_000))
        assert answer.complete
        assert answer.returned == answer.matched
        return {str(audience.id): audience for audience in answer.audiences}

    async def our_one(self, ref: str) -> Audience:
        match = await self.catalog.get_audience(GetQuery(audience=ref))
        assert match.matched_by == "ref"
        (audience,) = match.audiences
        return audience


@pytest.fixture
async def both(anyio_backend: str) -> AsyncIterator[Both]:
    sandbox = Recording()
    async with serve(sandbox) as origin:
        variables = {**sandbox.environment(origin), "AUDIENCE_MCP_MAX_CHARS": "1000000"}
        async with open_catalog(load_configuration(variables, load_vendors().values())) as catalog:
            yield Both(sandbox, variables, catalog)


def whop(variables: dict[str, str], http: httpx.Client, **options: Any) -> whop_sdk.Whop:
    base = variables["WHOP_BASE_URL"]
    return whop_sdk.Whop(
        environment=WhopEnvironment(api=base, vault=base),
        token=variables["WHOP_API_KEY"],
        httpx_client=http,
        max_retries=0,
        **options,
    )


def smallest(variables: dict[str, str], http: httpx.Client) -> SmallestAI:
    base = variables["SMALLEST_BASE_URL"]
    return SmallestAI(
        environment=SmallestAIEnvironment(atoms=base, waves=base, waves_ws=base, payment=base),
        api_key=variables["SMALLEST_API_KEY"],
        httpx_client=http,
        max_retries=0,
    )


def loopback() -> httpx.Client:
    """No proxies: the SDKs would take one from the environment, for loopback too."""
    return httpx.Client(trust_env=False, verify=False, timeout=30)


def shown(when: str) -> str:
    """A date of an SDK as this project writes it."""
    return to_rfc3339(datetime.strptime(when, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc))


async def in_a_thread(work: Any) -> Any:
    """The SDKs' clients block; the sandbox is served by this very event loop."""
    return await anyio.to_thread.run_sync(work)


async def test_whops_sdk_reads_the_same_audiences_and_counts(both: Both) -> None:
    def theirs() -> list[Any]:
        with loopback() as http:
            account = both.variables["WHOP_ACCOUNT_ID"]
            return list(whop(both.variables, http).audiences.list(account_id=account, first=100))

    read = await in_a_thread(theirs)
    ours = await both.ours("whop")
    assert len(read) == len(ours) == len(both.sandbox.rows["whop"])
    for audience in read:
        mine = ours[audience.id]
        assert mine.name == audience.name
        assert (mine.created_at, mine.updated_at) == (shown(audience.created_at), shown(audience.updated_at))
        assert mine.details is not None
        assert mine.details.get("platform_audience_ids", []) == audience.platform_audience_ids
    counted = {id: audience.size for id, audience in ours.items() if audience.size is not None}
    assert counted == {a.id: a.total_rows for a in read if a.id in counted}
    assert sum(counted.values()) == sum(a.total_rows for a in read)
    for audience in (a for a in read if a.id not in counted):
        never_counted = audience.audience_type == "lookalike" or audience.source_type == "engagement"
        assert audience.total_rows == 0
        assert never_counted or audience.status in ("pending", "processing", "syncing")


async def test_whops_sdk_sends_a_newer_api_version_than_the_adapter_and_gets_dates_as_text(
    both: Both,
) -> None:
    def theirs() -> Any:
        with loopback() as http:
            page = whop(both.variables, http).audiences.list(
                account_id=both.variables["WHOP_ACCOUNT_ID"], first=1
            )
            return next(iter(page))

    audience = await in_a_thread(theirs)
    (asked, *_) = both.sandbox.asked
    assert asked.headers["api-version-date"] > "2026-07-14"
    assert isinstance(audience.created_at, str)
    await both.ours("whop")
    assert "api-version-date" not in both.sandbox.asked[-1].headers


async def test_whops_sdk_pages_as_the_adapter_does_and_asks_once_more_at_the_end(both: Both) -> None:
    def theirs() -> int:
        with loopback() as http:
            account = both.variables["WHOP_ACCOUNT_ID"]
            return sum(1 for _ in whop(both.variables, http).audiences.list(account_id=account, first=100))

    await in_a_thread(theirs)
    their_queries = [dict(asked.query) for asked in both.sandbox.asked]
    both.sandbox.asked.clear()
    await both.ours("whop")
    our_queries = [dict(asked.query) for asked in both.sandbox.asked]
    assert their_queries[: len(our_queries)] == our_queries
    # It ignores `has_next_page` and goes on for as long as there is a cursor.
    assert len(their_queries) == len(our_queries) + 1


@pytest.mark.parametrize("kind", ["custom", "lookalike"])
async def test_whops_sdk_finds_one_audience_with_the_same_request(both: Both, kind: str) -> None:
    row: Any = next(row for row in both.sandbox.rows["whop"] if row["audience_type"] == kind)

    def theirs() -> list[Any]:
        with loopback() as http:
            account = both.variables["WHOP_ACCOUNT_ID"]
            return list(whop(both.variables, http).audiences.list(account_id=account, audience_id=row["id"]))

    (audience,) = await in_a_thread(theirs)
    their_query = both.sandbox.asked[0].query
    both.sandbox.asked.clear()
    mine = await both.our_one(f"whop:{row['id']}")
    assert both.sandbox.asked[0].query == their_query
    assert (mine.id, mine.name, mine.created_at) == (audience.id, audience.name, shown(audience.created_at))
    assert mine.size == (None if kind == "lookalike" else audience.total_rows)


async def test_whops_sdk_is_refused_with_its_own_error_for_a_wrong_key(both: Both) -> None:
    wrong = {**both.variables, "WHOP_API_KEY": "wrong-key-000"}

    def theirs() -> None:
        with loopback() as http:
            list(whop(wrong, http).audiences.list(account_id=wrong["WHOP_ACCOUNT_ID"]))

    with pytest.raises(whop_sdk.UnauthorizedError) as caught:
        await in_a_thread(theirs)
    assert caught.value.body["error"]["type"] == "unauthorized"


async def test_smallests_sdk_reads_the_same_audiences_and_counts(both: Both) -> None:
    def theirs() -> Any:
        with loopback() as http:
            return smallest(both.variables, http).atoms.audience.list()

    read = await in_a_thread(theirs)
    ours = await both.ours("smallest")
    assert read.status is True
    assert {a.id: a.member_count for a in read.data} == {id: a.size for id, a in ours.items()}
    for audience in read.data:
        mine = ours[audience.id]
        assert (mine.name, mine.description) == (audience.name, audience.description)
        assert mine.created_at == to_rfc3339(audience.created_at)
        assert mine.updated_at == to_rfc3339(audience.updated_at)
        assert mine.details is not None
        assert mine.details["hasCampaigns"] is audience.has_campaigns
        assert mine.details.get("campaigns", []) == [
            {"name": campaign.name, "status": campaign.status} for campaign in audience.campaigns
        ]


async def test_smallests_sdk_gets_one_audience_with_the_same_request(both: Both) -> None:
    id = str(both.sandbox.rows["smallest"][0]["_id"])

    def theirs() -> Any:
        with loopback() as http:
            return smallest(both.variables, http).atoms.audience.get(id)

    answer = await in_a_thread(theirs)
    their_path = both.sandbox.asked[0].path
    both.sandbox.asked.clear()
    mine = await both.our_one(f"smallest:{id}")
    assert both.sandbox.asked[0].path == their_path
    assert (mine.id, mine.name) == (answer.data.id, answer.data.name)
    assert mine.created_at == to_rfc3339(answer.data.created_at)
    # The SDK's type of one audience has no count; the adapter takes it from the list.
    assert not hasattr(answer.data, "member_count")
    assert mine.size == both.sandbox.rows["smallest"][0]["memberCount"]


async def test_smallests_sdk_and_the_adapter_both_get_an_audience_that_the_list_lacks(both: Both) -> None:
    id = str(SMALLEST_UNLISTED["_id"])

    def theirs() -> Any:
        with loopback() as http:
            return smallest(both.variables, http).atoms.audience.get(id)

    answer = await in_a_thread(theirs)
    mine = await both.our_one(f"smallest:{id}")
    assert mine.name == answer.data.name
    assert mine.size is None
    assert mine.size_note
    assert id not in await both.ours("smallest")


@pytest.mark.parametrize(("key", "id", "status"), [("sk_wrong", None, 401), (None, "f" * 24, 404)])
async def test_smallests_sdk_is_refused_with_its_own_error(
    both: Both, key: str | None, id: str | None, status: int
) -> None:
    variables = {**both.variables, **({"SMALLEST_API_KEY": key} if key else {})}

    def theirs() -> None:
        with loopback() as http:
            audiences = smallest(variables, http).atoms.audience
            audiences.get(id) if id else audiences.list()

    with pytest.raises(SmallestError) as caught:
        await in_a_thread(theirs)
    assert caught.value.status_code == status
