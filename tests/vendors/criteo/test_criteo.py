"""Criteo: two searches in bodies, sizes in batches, and failures that are a good answer's errors."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import pytest
from anyio.to_thread import run_sync

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Answer, Asked
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.criteo import Criteo
from audience_mcp.vendors.request import Purpose
from tests.vendors.bodies import NOW, account, answered, first_requests, talk_of_one
from tests.vendors.criteo import api
from tests.vendors.criteo.case import CASE, ROWS, served
from tests.vendors.documents import Document, exchanged, needs_documents

pytestmark = pytest.mark.anyio

VENDOR = Criteo()
ACCOUNT = account(VENDOR, CRITEO_ADVERTISER_ID="2711")
ALL = {"client_id": "c", "client_secret": "s"}
KNOWN = [each for each in ROWS if each.get("type") != "SomethingNew"]
"""The rows that Criteo's own models take: they refuse words that they do not know."""


def attributes(request: Any) -> object:
    return request.json["data"]["attributes"]


# --- Bodies -------------------------------------------------------------------------------------------


def test_the_advertiser_stands_in_a_list_of_the_body_and_nothing_where_none_is_set() -> None:
    for request in first_requests(VENDOR, ACCOUNT.values):
        assert attributes(request) == {"advertiserIds": ["2711"]}
        assert request.params == {"limit": "100", "offset": "0"}
    for request in first_requests(VENDOR, ALL):
        assert attributes(request) == {}


def test_one_of_a_sort_is_the_same_search_for_its_id_in_a_list() -> None:
    segment = next(talk_of_one(VENDOR, "segment-400000", ACCOUNT.values))
    assert (segment.path, attributes(segment)) == (
        "audience-segments/search",
        {"advertiserIds": ["2711"], "audienceSegmentIds": ["400000"]},
    )
    audience = next(talk_of_one(VENDOR, "audience-900000", ALL))
    assert (audience.path, attributes(audience)) == ("audiences/search", {"audienceIds": ["900000"]})


async def test_an_app_without_an_advertiser_reads_all_that_it_serves() -> None:
    async with served(ROWS) as there:
        without = {k: v for k, v in there.environment.items() if k != "CRITEO_ADVERTISER_ID"}
        whole = type(there)(without, there.asked)
        async with open_case(CASE, whole) as catalog:
            answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (len(ROWS), True)
    searches = [json.loads(each.body) for each in there.asked if each.path.endswith("search")]
    assert all(body == {"data": {"attributes": {}}} for body in searches)


def test_two_apps_and_two_advertisers_of_one_app_are_sources_of_their_own() -> None:
    variables = {
        "CRITEO_CLIENT_ID": "app-number-one",
        "CRITEO_CLIENT_SECRET": "secret-number-one",
        "CRITEO_CLIENT_ID_TWO": "app-number-two",
        "CRITEO_CLIENT_SECRET_TWO": "secret-number-two",
        "CRITEO_CLIENT_ID_FR": "app-number-one",
        "CRITEO_ADVERTISER_ID_FR": "2712",
    }
    configured = load_configuration(variables, [VENDOR])
    assert [each.name for each in configured.sources] == ["criteo", "criteo-fr", "criteo-two"]
    assert not configured.warnings


# --- Sizes --------------------------------------------------------------------------------------------


async def test_sizes_are_counted_fifty_at_a_time_and_found_by_id_in_any_order() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=500))
    counts = [json.loads(each.body)["data"] for each in there.asked if each.path.endswith("sizes")]
    assert sorted(map(len, counts)) == [2, 36, 50, 50]
    assert all(each.keys() == {"id"} for count in counts for each in count)
    sizes = {audience.ref: audience.size for audience in answer.audiences}
    assert sizes == {f"criteo:{CASE.id_of(each)}": each["size"] for each in ROWS}


async def test_a_size_that_cannot_be_computed_is_unknown_and_nothing_else() -> None:
    async with served(ROWS[:6]) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert (answer.unknown_sizes, answer.complete) == (1, True)
    one = {each.name: each for each in answer.audiences}
    assert (one["Like the buyers"].size, one["Like the buyers"].status) == (None, "unknown")
    assert (one["Nobody"].size, one["Nobody"].status) == (0, None)  # a 0 was computed
    assert len(there.asked) == 3


async def test_only_audiences_with_a_size_are_ready() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        ready = await catalog.list_audiences(ListQuery(status=["ready"], limit=0))
        unknown = await catalog.list_audiences(ListQuery(status=["unknown"], limit=0))
    assert (ready.matched, unknown.matched) == (len(ROWS) - 2, 2)


@pytest.mark.parametrize("data", [None, []])
async def test_a_count_of_which_nothing_can_be_computed_leaves_all_unknown(data: object) -> None:
    def answer(asked: Asked, rows: Sequence[object]) -> Answer:
        if not asked.path.endswith("compute-sizes"):
            return api.answer(asked, rows)
        return Answer(200, {"data": data, "errors": [api.problem("validation")], "warnings": []})

    async with served(ROWS[:6], answer) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.unknown_sizes, result.complete) == (6, True)
    assert len(there.asked) == 3


@pytest.mark.parametrize(("type", "pending"), [("quota", 2), ("availability", 2), ("validation", None)])
async def test_sizes_that_are_missing_beside_an_error_that_passes_are_asked_for_again(
    type: str, pending: int | None
) -> None:
    def answer(asked: Asked, rows: Sequence[object]) -> Answer:
        whole = api.answer(asked, rows)
        if not asked.path.endswith("compute-sizes"):
            return whole
        body: Any = whole.body
        return Answer(200, body | {"data": body["data"][2:], "errors": [api.problem(type)]})

    async with served(CASE.some(6), answer) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.unknown_sizes, result.sizes_pending) == (2, pending)
    assert result.complete is (pending is None)


async def test_a_wish_for_a_size_is_no_size_and_rules_are_not_shown() -> None:
    async with served(ROWS[2:3]) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.list_audiences(ListQuery(detail="full"))).audiences
    assert one.size is None
    assert one.details == {"advertiserId": "2711", "type": "Lookalike"}


# --- Failures inside good answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "kind"),
    [
        ("authorization", "forbidden"),
        ("access-control", "forbidden"),
        ("authentication", "unauthorized"),
        ("quota", "rate_limited"),
        ("availability", "unavailable"),
        ("validation", "invalid_request"),
        ("deprecation", "invalid_request"),
        ("a-new-word", "unavailable"),
    ],
)
@pytest.mark.parametrize("data", [None, []])
def test_a_search_with_errors_and_no_rows_is_a_failure_and_never_an_empty_account(
    type: str, kind: str, data: object
) -> None:
    body = {"data": data, "meta": {"totalItems": 0}, "errors": [api.problem(type)]}
    assert describe_status(VENDOR.status(answered(200, body)), ACCOUNT)[0] == kind


@pytest.mark.parametrize(
    ("purpose", "type", "status"),
    [
        ("one", "validation", 404),
        ("one", "authorization", 403),
        ("count", "validation", 200),
        ("count", "a-new-word", 200),
        ("count", "quota", 429),
        ("count", "authorization", 403),
    ],
)
def test_what_errors_mean_depends_on_what_was_asked(purpose: Purpose, type: str, status: int) -> None:
    body = {"data": [], "errors": [api.problem(type)]}
    assert VENDOR.status(answered(200, body, purpose=purpose)) == status


def changing(change: Callable[[dict[str, Any]], object]) -> Callable[[Asked, Sequence[object]], Answer]:
    """Criteo, with the second page of segments changed."""

    def answer(asked: Asked, rows: Sequence[object]) -> Answer:
        whole = api.answer(asked, rows)
        if asked.path.endswith("audience-segments/search") and asked.query["offset"] == ["100"]:
            assert isinstance(whole.body, dict)
            change(whole.body)
        return whole

    return answer


async def test_errors_beside_rows_keep_the_rows_and_the_answer_is_not_complete() -> None:
    answer = changing(lambda body: body.update(errors=[api.problem("authorization")]))
    async with served(ROWS, answer) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert (result.matched, result.complete) == (len(ROWS), False)
    (source,) = result.sources
    assert source.error is not None
    assert "some may be missing" in source.error.message


async def test_a_page_that_is_shorter_than_asked_for_loses_nothing_unsaid() -> None:
    answer = changing(lambda body: body["data"].pop())
    async with served(ROWS, answer) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert not result.complete or result.matched == len(ROWS)


async def test_a_search_without_data_is_not_an_empty_account() -> None:
    answer = changing(lambda body: body.update(data=None))
    async with served(ROWS, answer) as there, open_case(CASE, there) as catalog:
        result = await catalog.list_audiences(ListQuery(limit=0))
    assert not result.complete


async def test_an_id_that_criteo_does_not_have_is_an_empty_answer_and_not_found() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        with pytest.raises(ToolError, match="No audience has"):
            await catalog.get_audience(GetQuery(audience="criteo:segment-1"))


def test_a_version_that_is_gone_names_the_address_and_is_no_old_cursor() -> None:
    kind, text = describe_status(VENDOR.status(answered(410, None)), ACCOUNT)
    assert (kind, "CRITEO_BASE_URL" in text, "cursor" in text) == ("invalid_request", True, False)


def test_the_wait_is_a_moment_in_a_header() -> None:
    headers = {"x-ratelimit-reset": str(int(NOW.timestamp()) + 7)}
    assert find_wait(answered(429, None, headers=headers), ACCOUNT) == 7


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "CRITEO_CLIENT_SECRET"),
        (403, "forbidden", "Audiences: Read"),
        (400, "invalid_request", "CRITEO_ADVERTISER_ID"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, ACCOUNT)
    assert (found, says in text) == (kind, True)


async def test_an_advertiser_without_consent_is_named() -> None:
    other = {"CRITEO_ADVERTISER_ID": "2712"}
    async with served(ROWS) as there, open_case(CASE, there, **other) as catalog:
        with pytest.raises(ToolError, match="CRITEO_ADVERTISER_ID"):
            await catalog.list_audiences(ListQuery())


# --- Criteo's own document and SDK --------------------------------------------------------------------


@needs_documents
async def test_requests_and_answers_are_as_in_the_document_made_of_criteos_sdk() -> None:
    def bearer(document: Document) -> None:
        """The checker knows no OAuth: the token is a bearer token."""
        schemes = document["components"]["securitySchemes"]
        schemes.update({key: {"type": "http", "scheme": "bearer"} for key in schemes})

    async with served(KNOWN) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="criteo:audience-900001", refresh=True))
    checked = exchanged("criteo", there.asked, lambda asked: api.answer(asked, KNOWN), bearer)
    assert {each.removeprefix(api.BASE) for each in checked} == {
        f"/{sort}/{what}" for sort in api.WORDS for what in ("search", "compute-sizes")
    }


needs_the_sdk = pytest.mark.skipif(
    find_spec("criteo_api_marketingsolutions_v2026_07") is None,
    reason="the extra 'oracles' is not installed (criteo-api-marketingsolutions-sdk)",
)


def read_by_the_sdk(origin: str, secret: str) -> tuple[dict[str, str], dict[str, int]]:
    """Names and sizes of all segments by id, as Criteo's own SDK reads them."""
    sdk: Any = importlib.import_module("criteo_api_marketingsolutions_v2026_07")
    from criteo_api_marketingsolutions_v2026_07.api.audience_api import (  # pyright: ignore[reportMissingImports]
        AudienceApi,
    )
    from criteo_api_marketingsolutions_v2026_07.api_client_builder import (  # pyright: ignore[reportMissingImports]
        ApiClientBuilder,
    )

    models: Any = importlib.import_module(f"{sdk.__name__}.models")
    build: Any = ApiClientBuilder.WithClientCredentials
    audiences: Any = AudienceApi(build(api.CLIENT["client_id"], secret, host=origin))
    filters = models.AudienceSegmentSearchEntityV1Resource(
        attributes=models.AudienceSegmentSearchEntityV1(advertiser_ids=[api.ADVERTISER])
    )
    search = models.AudienceSegmentSearchInputV1(data=filters)
    pages = [audiences.search_audience_segments(search, limit=100, offset=offset) for offset in (0, 100)]
    names = {each.id: each.attributes.name for page in pages for each in page.data}
    sizes: dict[str, int] = {}
    ids = [*names]
    for start in range(0, len(ids), 50):
        wanted = [models.AudienceSegmentComputeSizeEntityV1Resource(id=id) for id in ids[start : start + 50]]
        body = models.AudienceSegmentComputeSizesInputV1(data=wanted)
        found = audiences.compute_audience_segments_sizes(body).data
        sizes |= {each.id: each.attributes.size for each in found}
    return names, sizes


@needs_the_sdk
@pytest.mark.filterwarnings("ignore")
async def test_criteos_own_sdk_reads_the_same_segments_and_sizes() -> None:
    async with served(KNOWN) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full", limit=500))
        origin = there.environment["CRITEO_BASE_URL"].removesuffix(api.BASE)
        names, sizes = await run_sync(read_by_the_sdk, origin, api.CLIENT["client_secret"])
    segments = [each for each in answer.audiences if each.kind == "segment"]
    ours = {str(each.id).removeprefix("segment-"): each for each in segments}
    assert {id: each.name for id, each in ours.items()} == names
    assert {id: each.size for id, each in ours.items()} == {id: sizes.get(id) for id in names}
    assert len(names) == len(KNOWN) - 2
