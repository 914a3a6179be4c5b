"""OpenAI Ads: sizes as words for ranges, of which the last has no upper end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import serve_api
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.openaiads import OpenAiAds, range_of
from tests.vendors import bodies
from tests.vendors.bodies import account, answered, first_requests, page_of, shown
from tests.vendors.openaiads import api
from tests.vendors.openaiads.case import CASE, ROWS, SIZES, row, served

pytestmark = pytest.mark.anyio

VENDOR = OpenAiAds()
ACCOUNT = account(VENDOR)
(FIRST,) = first_requests(VENDOR, ACCOUNT.values)


def test_all_audiences_are_asked_for_oldest_first_and_whatever_they_may_be_used_for() -> None:
    assert Request("custom_audiences", {"limit": "500", "order": "asc"}) == FIRST


def test_the_flag_decides_and_not_the_last_id_which_the_last_page_has_too() -> None:
    body = {"data": [], "last_id": "caud_9", "has_more": True}
    assert page_of(VENDOR, body, FIRST).next == FIRST.with_params(after="caud_9")
    assert page_of(VENDOR, {**body, "has_more": False}, FIRST).more is False


async def test_more_without_a_last_id_is_told_and_not_taken_for_the_end() -> None:
    def answer(asked: Asked) -> Answer:
        found = api.answer(asked, ROWS)
        body: Any = found.body
        return replace(found, body={**body, "last_id": None})

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, OPENAI_ADS_BASE_URL=f"{origin}/v1") as catalog,
    ):
        found = await catalog.list_audiences(ListQuery(limit=0))
    assert (found.matched, found.complete) == (500, False)


# --- Ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "ends"), [*SIZES.items()])
def test_a_range_is_read_from_its_documented_word(word: str, ends: tuple[int, int | None]) -> None:
    assert range_of(word) == ends


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("100k_150k", (100_000, 149_999)),
        ("900k_1m", (900_000, 999_999)),
        ("10m_plus", (10_000_000, None)),
        ("under_500", (0, 499)),
        ("1m_500k", None),
        ("25k_25k", None),
        ("under_0k", None),
        ("25k", None),
        ("25k_100k_plus", None),
        ("25K_100K", None),
        ("none", None),
        ("", None),
        ("٢_٣", None),
    ],
)
def test_a_word_of_the_same_form_is_read_by_it_and_any_other_is_no_range(
    word: str, ends: tuple[int, int | None] | None
) -> None:
    assert range_of(word) == ends


@pytest.mark.parametrize("word", ["none", None, "", 7, True])
def test_no_count_is_unknown_and_never_0(word: object) -> None:
    one = bodies.row(VENDOR, row(1, "n", word))
    assert one is not None
    assert (one.size, one.size_max, one.open_ended) == (None, None, False)


def test_a_word_that_is_not_known_is_unknown_and_stands_in_the_details() -> None:
    one = shown(VENDOR, row(1, "n", "rather_many"))
    assert "size" not in one
    assert one["size_note"] == "its range is a word that is not known: see details"
    assert one["details"]["matched_user_count_range"] == "rather_many"


async def test_a_range_without_an_upper_end_says_or_more_and_leaves_no_upper_sum() -> None:
    rows = [row(1, "A", "25k_100k"), row(2, "B", "5m_plus"), row(3, "C", "under_25k")]
    answer = await list_rows(CASE, rows)
    by_name = {each.name: (each.size, each.size_max, each.size_note) for each in answer.audiences}
    assert by_name["B"] == (5_000_000, None, "5,000,000 or more: no upper end is given")
    assert (answer.sum_of_sizes, answer.sum_max) == (5_025_000, None)
    assert answer.sources[0].sum_max is None
    assert any("no upper end (openaiads)" in note for note in answer.notes or ())
    answer = await list_rows(CASE, [rows[0], rows[2]])
    assert (answer.sum_of_sizes, answer.sum_max) == (25_000, 124_998)


# --- Statuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "word", "shown", "size", "note"),
    [
        ("processing", "under_25k", "processing", None, None),
        ("publishing", "25k_100k", "processing", 25_000, None),
        ("too_small", "under_25k", "ready", 0, "too small to be used"),
        ("archived", "25k_100k", "unknown", 25_000, "archived: it can no longer be used"),
        ("failed", "none", "failed", None, None),
        ("a_new_word", "25k_100k", "unknown", 25_000, None),
    ],
)
def test_a_status_is_one_of_ours_and_what_sets_it_apart_is_noted(
    status: str, word: str, shown: str, size: int | None, note: str | None
) -> None:
    one = bodies.row(VENDOR, row(1, "n", word, status))
    assert one is not None
    assert (one.status, one.size, one.size_note) == (shown, size, note)


# --- Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "OPENAI_ADS_API_KEY"),
        (403, "forbidden", "switched on"),
        (404, "not_found", "switched on"),
        (409, "unavailable", "temporarily"),
        (400, "invalid_request", "HTTP 400"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    judged = VENDOR.status(answered(status, api.refused(status, "x").body))
    found, text = describe_status(judged, ACCOUNT)
    assert (found, says in text) == (kind, True)


@pytest.mark.slow
async def test_a_conflict_that_a_read_cannot_have_is_asked_again() -> None:
    conflicts = [api.refused(409, "conflict")] * 2

    def answer(asked: Asked) -> Answer:
        return conflicts.pop() if conflicts else api.answer(asked, ROWS)

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, OPENAI_ADS_BASE_URL=f"{origin}/v1") as catalog,
    ):
        found = await catalog.list_audiences(ListQuery(limit=0))
    assert (found.matched, found.complete) == (len(ROWS), True)


async def test_an_id_alone_is_answered_by_a_look_up() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        match = await catalog.get_audience(GetQuery(audience="caud_000000000002"))
    assert [each.name for each in match.audiences] == ["Clients – été"]
    assert [asked.path for asked in there.asked] == ["/v1/custom_audiences/caud_000000000002"]
