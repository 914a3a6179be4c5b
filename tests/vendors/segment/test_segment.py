"""Segment: three units, two counts, and pages that the API may not heed."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.segment import Segment
from tests.vendors import bodies
from tests.vendors.bodies import account, answered
from tests.vendors.segment import api
from tests.vendors.segment.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = Segment()


async def test_accounts_are_not_taken_for_users_and_both_counts_are_shown() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (users,) = (await catalog.get_audience(GetQuery(audience="segment:aud_1"))).audiences
        (accounts,) = (await catalog.get_audience(GetQuery(audience="segment:aud_2"))).audiences
    assert (users.size, users.size_note) == (812, None)
    assert users.details is not None
    assert users.details["uniqueCount"] == 790
    assert (accounts.size, accounts.size_note) == (77, "accounts")


@pytest.mark.parametrize("paging", ["heeded", "ignored"])
async def test_a_space_of_one_page_is_complete_whether_pages_are_heeded_or_not(paging: str) -> None:
    async with served(ROWS[:150], paging) as there, open_case(CASE, there) as catalog:  # type: ignore[arg-type]
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (150, True)


async def test_pages_that_are_not_heeded_never_pass_for_the_whole_space() -> None:
    async with served(ROWS, "ignored") as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (200, False)
    assert len(there.asked) == 2


@pytest.mark.parametrize(
    ("word", "count", "status"),
    [
        ("Live", 5, "ready"),
        ("Computing", 5, "processing"),
        ("Error", 5, "failed"),
        ("Not Computing", 5, "ready"),
        ("Not Computing", None, "unknown"),
        ("Locked", 0, "ready"),
        ("Hibernating", 5, "unknown"),
    ],
)
def test_a_status_that_stops_the_computing_is_ready_where_there_is_a_size(
    word: str, count: int | None, status: str
) -> None:
    one = bodies.row(VENDOR, api.sent(row("a", "n", count, word)))
    assert one is not None
    assert (one.status, one.size) == (status, count)
    assert (one.details or {}).get("status") == (None if word == "Live" else word)


def test_an_audience_without_its_size_or_status_is_of_unknown_size_and_status() -> None:
    one = bodies.row(VENDOR, {"id": "a", "name": "n", "size": "many"})
    assert one is not None
    assert (one.size, one.status) == (None, "unknown")


@pytest.mark.parametrize(
    ("region", "base"), [(None, "https://api.segmentapis.com"), ("eu", "https://eu1.api.segmentapis.com")]
)
def test_the_region_says_which_host(region: str | None, base: str) -> None:
    assert account(VENDOR, **({"SEGMENT_REGION": region} if region else {})).base_url == base


def test_a_space_is_no_path() -> None:
    variables = {"SEGMENT_PUBLIC_API_TOKEN": "made-up-token", "SEGMENT_SPACE_ID": "spa/../x"}
    (source,) = load_configuration(variables, [VENDOR]).sources
    assert source.problem is not None
    assert "SEGMENT_SPACE_ID" in source.problem.message


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(401, "unauthorized", "region"), (403, "forbidden", "Engage"), (404, "not_found", "SEGMENT_SPACE_ID")],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(VENDOR))
    assert (found, says in text) == (kind, True)


def test_the_wait_is_in_the_body_in_milliseconds() -> None:
    body = {"errors": [{"type": "too-many-requests", "data": {"msBeforeNext": 2_500}}]}
    assert find_wait(answered(429, body), account(VENDOR)) == 2.5
