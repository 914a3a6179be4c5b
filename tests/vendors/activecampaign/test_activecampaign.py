"""ActiveCampaign: numbers as texts, totals that say nothing, and segments of which there may be none."""

from __future__ import annotations

from typing import Literal

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.activecampaign import NO_LISTS, ActiveCampaign
from tests.vendors.activecampaign import api
from tests.vendors.activecampaign.case import CASE, ROWS, a_list, a_segment, served
from tests.vendors.bodies import account, answered, row

pytestmark = pytest.mark.anyio

VENDOR = ActiveCampaign()
LISTS, SEGMENTS = VENDOR.listings
LISTED = [row for row in ROWS if not api.is_segment(row)]


def test_lists_for_sms_are_asked_for_too() -> None:
    assert LISTS.params["filters[channel]"] == "all"


@pytest.mark.parametrize("total", ["told", "0", "absent"])
@pytest.mark.parametrize("number", [40, 100, 105])
async def test_lists_are_read_to_the_end_whatever_the_total_says(
    total: Literal["told", "0", "absent"], number: int
) -> None:
    async with served(LISTED[:number], total) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (number, True)


async def test_an_account_without_saved_segments_is_complete() -> None:
    async with served(LISTED) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (len(LISTED), True)
    assert answer.notes is None


async def test_a_404_after_a_full_page_of_segments_is_the_end() -> None:
    rows = [a_segment(n, f"S {n}", n) for n in range(1, 1001)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (1000, True)
    assert answer.notes == [f"activecampaign: {NO_LISTS}"]


async def test_a_segment_says_on_which_day_the_run_began_that_counted_it() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="Big orders"))).audiences
    assert (one.size, one.size_note) == (120, "as evaluated on 2026-02-01")
    assert one.details == {"category": "audience", "last_active_total": 9}


@pytest.mark.parametrize(
    ("times", "note"),
    [
        ({"last_total_updated": "2026-02-02T00:00:00.000Z"}, "as evaluated on 2026-02-02"),
        ({"run_id_start": "soon", "last_total_updated": "2026-02-02"}, "as evaluated on 2026-02-02"),
        ({"run_id_start": "\u202eIgnore\nall that"}, "as last evaluated, on a day that is not told"),
        ({"run_id_start": 1_767_225_600}, "as last evaluated, on a day that is not told"),
        ({}, "as last evaluated, on a day that is not told"),
    ],
)
def test_only_a_day_is_taken_into_the_note(times: dict[str, object], note: str) -> None:
    attributes = {"name": "n", "counts": {"last_total": {"count": 3, **times}}}
    one = row(VENDOR, {"id": "5f0c", "attributes": attributes}, SEGMENTS)
    assert one is not None
    assert (one.size, one.size_note) == (3, note)


def test_a_segment_that_was_never_evaluated_has_no_size() -> None:
    one = row(VENDOR, api.sent(a_segment(2, "n", None)), SEGMENTS)
    assert one is not None
    assert (one.size, one.status, one.size_note) == (None, "processing", "not evaluated yet")


def test_an_account_whose_lists_have_no_counts_has_lists_of_unknown_size() -> None:
    one = row(VENDOR, api.sent(a_list(7, "n", None)), LISTS)
    assert one is not None
    assert (one.size, one.status) == (None, "ready")


@pytest.mark.parametrize("stamp", ["2026-01-01 00:00:00", "2026-01-01T00:00:00-06:00", 1_767_225_600])
def test_a_deleted_list_counts_in_no_total(stamp: object) -> None:
    one = row(VENDOR, api.sent(a_list(7, "n", 5, deletestamp=stamp)), LISTS)
    assert one is not None
    assert (one.size, one.status, one.size_note) == (None, "unknown", "deleted")


@pytest.mark.parametrize("stamp", [None, "", "0000-00-00 00:00:00", "0", 0])
def test_a_stamp_of_nothing_says_that_a_list_is_not_deleted(stamp: object) -> None:
    one = row(VENDOR, api.sent(a_list(7, "n", 5, deletestamp=stamp)), LISTS)
    assert one is not None
    assert (one.size, one.status) == (5, "ready")


async def test_where_saved_segments_are_refused_every_list_is_read_and_the_answer_is_not_complete() -> None:
    rows = [a_list(n, f"L {n}", n) for n in range(1, 951)]
    async with served(rows, segments_allowed=False) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    (report,) = answer.sources
    assert (answer.matched, answer.complete) == (950, False)
    assert report.error is not None
    assert report.error.kind == "forbidden"
    assert "saved segments" in report.error.message


async def test_a_date_has_the_accounts_zone() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="activecampaign:list-7"))).audiences
    assert one.created_at == "2025-03-01T15:10:11Z"


@pytest.mark.parametrize(
    "text",
    [
        "https://me.api-us1.com",
        "me.api-us1.com",
        "https://me.api-us1.com/",
        "https://me.api-us1.com/api/3",
        "https://me.api-us1.com/api/3/",
    ],
)
def test_the_address_is_taken_as_the_app_shows_it_or_as_documents_do(text: str) -> None:
    variables = {"ACTIVECAMPAIGN_URL": text, "ACTIVECAMPAIGN_API_KEY": "made-up-key"}
    (source,) = load_configuration(variables, [VENDOR]).sources
    assert source.account is not None
    assert source.account.base_url == "https://me.api-us1.com"


def test_the_address_has_no_default() -> None:
    (source,) = load_configuration({"AC_API_TOKEN": "made-up-key"}, [VENDOR]).sources
    assert source.problem is not None
    assert "ACTIVECAMPAIGN_URL" in source.problem.message


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_may_be_answered_as_missing_rights_are(status: int) -> None:
    response = answered(status, None, path="api/3/lists")
    kind, text = describe_status(VENDOR.status(response), account(VENDOR))
    assert kind == "unauthorized"
    assert "ACTIVECAMPAIGN_URL" in text
    assert "may not see lists" in text
