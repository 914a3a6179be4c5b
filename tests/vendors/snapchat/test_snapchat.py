"""Snapchat: rows that are wrapped and may fail alone, zeros while matching, refresh tokens that change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import Answer, Asked
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.snapchat import Snapchat
from tests.vendors import bodies
from tests.vendors.bodies import account, answered, first_requests, page_of
from tests.vendors.snapchat import api
from tests.vendors.snapchat.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = Snapchat()
ACCOUNT = account(VENDOR)
(FIRST,) = first_requests(VENDOR, {"account": api.ACCOUNT})
LINK = f"https://elsewhere.example{api.PATH}?cursor=CnEK%2Fx&limit=50"


def page(**more: object) -> Any:
    return page_of(VENDOR, {"request_status": "SUCCESS", "segments": [], **more}, FIRST)


# --- Pages --------------------------------------------------------------------------------------------


def test_the_first_page_has_the_largest_size() -> None:
    assert Request(f"adaccounts/{api.ACCOUNT}/segments", {"limit": "1000"}) == FIRST


def test_the_cursor_alone_is_taken_from_the_next_link_and_our_limit_stays() -> None:
    following = page(paging={"next_link": LINK}).next
    assert following == FIRST.with_params(cursor="CnEK/x")


@pytest.mark.parametrize("more", [{}, {"paging": {}}, {"paging": {"next_link": None}}, {"paging": None}])
def test_a_page_without_a_next_link_is_the_last(more: dict[str, object]) -> None:
    assert page(**more).more is False


async def test_every_page_is_read() -> None:
    def in_threes(asked: Asked, rows: Sequence[object]) -> Answer:
        return api.answer(asked, rows, page_size=3)

    async with served(ROWS, in_threes) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (len(ROWS), True)
    assert [each.query.get("cursor") for each in there.asked] == [None, ["at-3"], ["at-6"], ["at-9"]]
    assert {each.query["limit"][0] for each in there.asked} == {"1000"}


async def test_one_audience_is_looked_for_in_the_list_as_its_own_address_answers_for_any_account() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        found = await catalog.get_audience(GetQuery(audience="snapchat:5603670370513720"))
    assert [each.name for each in found.audiences] == ["Pixel – été"]
    assert {each.path for each in there.asked} == {api.PATH}


# --- Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "size", "shown", "status", "note"),
    [
        ("READY", 1_204, 1_204, "ready", None),
        ("READY", 0, 0, "ready", None),
        ("READY", None, None, "ready", None),
        ("NOT_READY", 0, None, "processing", "not matched yet"),
        ("NOT_READY", 71, 71, "processing", "still being matched"),
        ("TOO_FEW_USERS", 12, 12, "ready", "too few users to be targeted"),
        ("TOO_FEW_USERS", 0, None, "ready", "too few users to be targeted"),
        ("A_NEW_WORD", 0, None, "unknown", None),
        (None, 0, None, "unknown", None),
    ],
)
def test_a_zero_is_a_size_only_of_a_segment_that_is_ready(
    word: object, size: int | None, shown: int | None, status: str, note: str | None
) -> None:
    one = bodies.row(VENDOR, api.wrapped(row(1, "n", size, targetable_status=word)))
    assert one is not None
    assert (one.size, one.status, one.size_note) == (shown, status, note)


@pytest.mark.parametrize("id", ["5603670370513719", "0b9d3c52-7a41-4c55-9a0e-5d1f2e3a4b5c"])
def test_an_id_is_a_number_or_a_uuid(id: str) -> None:
    assert VENDOR.id_shape.fullmatch(id)
    assert not VENDOR.id_shape.fullmatch(f"{id}/users")


async def test_a_row_that_failed_by_itself_is_left_out_and_the_answer_is_not_complete() -> None:
    failed = {"sub_request_status": "ERROR", "sub_request_error_reason": "the-reason"}
    async with served([*ROWS[:2], failed, ROWS[2]]) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=10))
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (3, 2_157_300, False)
    (source,) = answer.sources
    assert source.error is not None
    assert "Snapchat could not give 1 of the segments" in source.error.message
    assert "the-reason" not in str(answer)


# --- Failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"), [("SUCCESS", 200), ("success", 200), (None, 200), ("ERROR", 500), (False, 500)]
)
def test_a_200_that_says_that_it_failed_is_a_failure(word: object, status: int) -> None:
    body = {"request_status": word, "segments": []}
    assert VENDOR.status(answered(200, body)) == status


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "SNAPCHAT_REFRESH_TOKEN"),
        (403, "forbidden", "SNAPCHAT_AD_ACCOUNT_ID"),
        (404, "not_found", "not the organization's"),
        (429, "rate_limited", ""),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    response = answered(status, {"request_status": "ERROR", "error_code": "E3003"})
    found, text = describe_status(VENDOR.status(response), ACCOUNT)
    assert (found, says in text) == (kind, True)


@pytest.mark.parametrize("text", ["8adc3db7", "40d6719b-da09-410b-9185-0cc9c0dfed1d/x"])
def test_an_ad_account_is_a_uuid(text: str) -> None:
    variables = {s.variables[0]: s.example or f"the-{s.role}" for s in VENDOR.settings if s.required}
    (source,) = load_configuration({**variables, "SNAPCHAT_AD_ACCOUNT_ID": text}, [VENDOR]).sources
    assert source.problem is not None
    assert "SNAPCHAT_AD_ACCOUNT_ID" in source.problem.message


# --- The refresh token --------------------------------------------------------------------------------


async def test_a_refresh_token_that_snapchat_replaces_is_used_next_and_shown_nowhere() -> None:
    sent: list[str] = []

    def replacing(asked: Asked) -> Answer:
        (refresh,) = parse_qs(asked.body.decode())["refresh_token"]
        sent.append(refresh)
        fresh = {"access_token": f"access-number-{len(sent)}", "refresh_token": f"refresh-number-{len(sent)}"}
        return Answer(200, {**fresh, "expires_in": 1800})

    def ending(asked: Asked, rows: Sequence[object]) -> Answer:
        """The first access token has ended, and what the segments are called is its refresh token."""
        if asked.headers.get("authorization") != "Bearer access-number-2":
            return api.refused(401, "E1001")
        headers = {**asked.headers, "authorization": f"Bearer {api.TOKEN}"}
        return api.answer(Asked(asked.method, asked.path, asked.query, headers, asked.body), rows)

    named = [row(1, "refresh-number-1 and refresh-number-2", 5)]
    async with served(named, ending, replacing) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert sent == [api.CLIENT["refresh_token"], "refresh-number-1"]
    assert answer.matched == 1
    assert "refresh-number" not in str(answer)


async def test_a_refresh_token_that_has_ended_is_named() -> None:
    other = {"SNAPCHAT_REFRESH_TOKEN": "another-refresh-token"}
    async with served(ROWS) as there, open_case(CASE, there, **other) as catalog:
        with pytest.raises(ToolError) as caught:
            await catalog.list_audiences(ListQuery())
    assert "SNAPCHAT_REFRESH_TOKEN" in str(caught.value)
    assert "another-refresh-token" not in str(caught.value)
