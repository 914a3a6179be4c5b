"""TikTok: failures under HTTP 200, zeros that are no sizes, and pages that end where TikTok says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.to_thread import run_sync
from business_api_client import ApiClient, Configuration
from business_api_client.api.audience_api import AudienceApi
from business_api_client.tiktok_business.tiktok_exceptions import TiktokSDKError

from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing import serve_api
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.tiktok import TikTok
from tests.vendors.bodies import account, all_shown, answered, first_requests, headers_sent, page_of, shown
from tests.vendors.documents import FOLDER, exchanged, needs_documents
from tests.vendors.tiktok import api
from tests.vendors.tiktok.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = TikTok()
ACCOUNT = account(VENDOR)
(FIRST,) = first_requests(VENDOR, {"advertiser": "7"})
EMPTY = {"page": 1, "page_size": 100, "total_number": 0, "total_page": 0}


def body(rows: list[Any], **info: int) -> dict[str, object]:
    return {"code": 0, "message": "OK", "data": {"list": rows, "page_info": info}}


def test_a_page_is_asked_for_by_its_number_at_the_address_with_a_slash_at_the_end() -> None:
    params = {"advertiser_id": "7", "page_size": "100", "page": "1"}
    assert Request("dmp/custom_audience/list/", params) == FIRST
    assert headers_sent(VENDOR, {"access_token": "t"}) == {"Access-Token": "t"}


@pytest.mark.parametrize(
    ("info", "more", "planned"),
    [
        ({"total_page": 3, "total_number": 201}, True, 2),
        ({"total_page": 1, "total_number": 1}, False, 0),
        ({"total_number": 1}, None, 0),
        ({}, None, 0),
    ],
)
def test_the_last_pages_number_is_the_end_and_a_short_page_is_not(
    info: dict[str, int], more: bool | None, planned: int
) -> None:
    page = page_of(VENDOR, body([row(1, "n", 5)], **info), FIRST)
    assert (page.more, len(page.plan)) == (more, planned)


async def test_a_list_that_does_not_say_where_it_ends_is_read_in_part() -> None:
    def answer(asked: Any) -> Any:
        whole = api.answer(asked, ROWS)
        assert isinstance(whole.body, dict)
        whole.body["data"]["page_info"] = {}
        return whole

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, TIKTOK_BASE_URL=f"{origin}/open_api/v1.3") as catalog,
    ):
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.matched, result.complete) == (100, False)


async def test_an_account_of_four_hundred_audiences_takes_four_requests() -> None:
    rows = [row(n, f"n{n}", 1_000 + n) for n in range(400)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.matched, result.complete, len(there.asked)) == (400, True, 4)
    assert sorted(each.query["page"][0] for each in there.asked) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("size", [0, None, -1, "many"])
def test_a_zero_is_unknown_as_is_what_is_no_number(size: object) -> None:
    one = shown(VENDOR, {**row(1, "n", 5), "cover_num": size})
    assert ("size" in one, one["status"]) == (False, "processing")
    assert "not matched yet, or too few" in one["size_note"]


def test_an_audience_that_is_not_valid_keeps_its_number_and_says_so() -> None:
    one = shown(VENDOR, row(1, "n", 1_900, is_valid=False))
    assert (one["size"], one["status"], one["details"]["is_valid"]) == (1_900, "ready", False)


@pytest.mark.parametrize(
    ("word", "type"),
    [
        ("Lookalike Audience", "lookalike"),
        ("LOOKALIKE", "lookalike"),
        ("Customer File", "unknown"),
        (7, "unknown"),
    ],
)
def test_a_lookalike_is_known_by_its_word_and_every_other_word_is_shown(word: object, type: str) -> None:
    one = shown(VENDOR, row(1, "n", 5, audience_type=word))
    assert (one["type"], one["details"]["audience_type"]) == (type, word)


def test_times_without_a_zone_are_details_and_no_dates() -> None:
    first, second = all_shown(VENDOR, "audiences")
    assert first["details"]["create_time"] == "2026-01-13 13:44:30"
    assert "created_at" not in first
    assert "size" not in second


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (40100, "rate_limited", ""),
        (40132, "rate_limited", ""),
        (40102, "unauthorized", "TIKTOK_ACCESS_TOKEN"),
        (40104, "unauthorized", "TIKTOK_ACCESS_TOKEN"),
        (40105, "unauthorized", "without Bearer"),
        (40001, "forbidden", "Audience Management"),
        (40130, "forbidden", "TIKTOK_ADVERTISER_ID"),
        (40300, "not_found", "TIKTOK_ADVERTISER_ID"),
        (40002, "invalid_request", "TIKTOK_ADVERTISER_ID"),
        (40051, "invalid_request", "TIKTOK_BASE_URL"),
        (50000, "unavailable", ""),
        (51003, "unavailable", ""),
        (20001, "unavailable", ""),
        ("x", "unavailable", ""),
        (True, "unavailable", ""),
    ],
)
def test_a_code_is_a_failure_under_http_200(code: object, kind: str, says: str) -> None:
    response = answered(200, {"code": code, "message": "the-message", "data": {}})
    found, text = describe_status(VENDOR.status(response), ACCOUNT)
    assert (found, says in text, "the-message" in text) == (kind, True, False)


@pytest.mark.parametrize("said", [{"code": 0}, {"code": "0"}, {}, None, []])
def test_an_answer_without_a_failure_is_what_http_says(said: object) -> None:
    assert VENDOR.status(answered(200, said)) == 200
    assert VENDOR.status(answered(502, said)) == 502


@pytest.mark.slow
async def test_a_failure_beside_rows_is_a_failure() -> None:
    def answer(asked: Any) -> Any:
        whole = api.answer(asked, ROWS)
        assert isinstance(whole.body, dict)
        if asked.query["page"] == ["2"]:
            whole.body["code"] = 20001
        return whole

    async with (
        served([]) as there,
        serve_api(answer) as (origin, _),
        open_case(CASE, there, TIKTOK_BASE_URL=f"{origin}/open_api/v1.3") as catalog,
    ):
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert not result.complete
    assert result.matched == 108  # the third page came all the same


@pytest.mark.parametrize("text", ["12a", "1" * 21, "../1"])
def test_an_advertiser_is_a_number(text: str) -> None:
    variables = {"TIKTOK_ACCESS_TOKEN": "made-up-token", "TIKTOK_ADVERTISER_ID": text}
    (source,) = load_configuration(variables, [VENDOR]).sources
    assert source.problem is not None
    assert "TIKTOK_ADVERTISER_ID" in source.problem.message


def list_by_the_sdk(origin: str, token: str, page: int) -> Any:
    """What TikTok's own SDK makes of a page: the value of `data`."""
    configuration = Configuration()
    configuration.host = origin
    audiences: Any = AudienceApi(ApiClient(configuration))
    return audiences.dmp_custom_audience_list(api.ADVERTISER, token, page=page, page_size=100)["data"]


async def test_tiktoks_own_sdk_makes_the_same_requests_and_reads_the_same_audiences() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=1_000))).audiences
        sent = [(each.method, each.path, each.query) for each in there.asked]
        before = len(there.asked)
        origin = there.environment["TIKTOK_BASE_URL"].removesuffix("/open_api/v1.3")
        theirs = [await run_sync(list_by_the_sdk, origin, api.KEY, page) for page in (1, 2, 3)]
    assert sorted(map(json.dumps, sent)) == sorted(
        json.dumps((each.method, each.path, {name: each.query[name] for name in sent[0][2]}))
        for each in there.asked[before:]
    )
    sizes = {each["audience_id"]: each["cover_num"] or None for data in theirs for each in data["list"]}
    assert {audience.id: audience.size for audience in ours} == sizes
    assert len(sizes) == len(ROWS)


async def test_tiktoks_own_sdk_is_refused_by_its_code_as_the_adapter_is() -> None:
    async with served(ROWS) as there:
        origin = there.environment["TIKTOK_BASE_URL"].removesuffix("/open_api/v1.3")
        with pytest.raises(TiktokSDKError) as caught:
            await run_sync(list_by_the_sdk, origin, "another-token", 1)
    assert "40105" in str(caught.value)


@needs_documents
async def test_requests_and_answers_are_as_in_the_document_made_of_tiktoks_sdk() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
    checked = exchanged("tiktok", there.asked, lambda asked: api.answer(asked, ROWS))
    assert set(checked) == {api.PATH}


@needs_documents
def test_every_code_of_tiktoks_sdk_is_a_failure_but_0() -> None:
    document = json.loads((FOLDER / "tiktok.json").read_text(encoding="utf-8"))
    schema = document["paths"][api.PATH]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for code in schema["properties"]["code"]["x-names"]:
        assert (VENDOR.status(answered(200, {"code": int(code)})) == 200) is (code == "0")
