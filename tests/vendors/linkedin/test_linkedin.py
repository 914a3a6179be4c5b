"""LinkedIn: a query with a structure of its own, an end that only an empty page tells, a year's versions."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from anyio.to_thread import run_sync

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox import linkedin as imitation
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Served, serve_api
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors.linkedin import LinkedIn
from tests.vendors.bodies import account, answered, first_requests, page_of, result_of, row, talk_of_one
from tests.vendors.linkedin.case import CASE, ROWS, served

pytestmark = pytest.mark.anyio

VENDOR = LinkedIn()
ACCOUNT = account(VENDOR)
(FIRST,) = first_requests(VENDOR, ACCOUNT.values)
LIST = "accounts=List(urn%3Ali%3AsponsoredAccount%3A512345678)"


def segments(number: int) -> list[dict[str, Any]]:
    return [{**ROWS[0], "id": 100 + n, "approximateMemberCount": 1000 + n} for n in range(number)]


async def test_the_parentheses_go_out_as_they_are_and_the_urn_inside_them_encoded() -> None:
    async with served(segments(120)) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
    assert [asked.raw_query for asked in there.asked] == [
        f"q=accounts&count=100&start=0&{LIST}",
        f"q=accounts&count=100&start=100&{LIST}",
    ]


@pytest.mark.parametrize("written", ["512345678", "urn:li:sponsoredAccount:512345678"])
def test_an_ad_account_may_be_written_as_a_number_and_as_a_urn(written: str) -> None:
    values = account(VENDOR, LINKEDIN_AD_ACCOUNT_ID=written).values
    assert first_requests(VENDOR, values) == [FIRST]


# --- The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "starts"), [(0, [0]), (99, [0, 99]), (100, [0, 100]), (150, [0, 100, 150])]
)
async def test_without_a_total_an_empty_page_is_the_end_and_a_short_one_is_not(
    number: int, starts: list[int]
) -> None:
    async with served(segments(number), total=False) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.matched, answer.complete) == (number, True)
    assert [int(asked.query["start"][0]) for asked in there.asked] == starts


def test_a_total_of_0_beside_rows_is_none() -> None:
    rows = [{"id": 1}]
    page = page_of(VENDOR, {"elements": rows, "paging": {"total": 0}}, FIRST)
    assert (page.more, page.total) == (True, None)
    page = page_of(VENDOR, {"elements": rows, "paging": {"total": 1}}, FIRST)
    assert (page.more, page.total) == (False, 1)


async def test_a_segment_that_linkedin_leaves_out_of_a_page_is_told_and_loses_no_page() -> None:
    rows = segments(300)

    def answer(asked: Asked) -> Answer:
        found = answer_as(imitation, asked, rows)
        body: Any = found.body
        if asked.query["start"] == ["100"]:
            body = {**body, "elements": body["elements"][:50] + body["elements"][51:]}
        return replace(found, body=body)

    async with serve_api(answer) as (origin, _):
        there = Served(imitation.environment(origin), [])
        async with open_case(CASE, there) as catalog:
            found = await catalog.list_audiences(ListQuery(limit=0))
    assert (found.matched, found.complete) == (299, False)
    (report,) = found.sources
    assert report.error is not None
    assert "reports 300 audiences but listed only 299" in report.error.message


# --- Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "count", "size", "shown", "note"),
    [
        ("READY", 230_000, 230_000, "ready", None),
        ("READY", 0, 0, "ready", "0 may mean that it has too few members to be shown"),
        ("ARCHIVED", 400, 400, "unknown", "archived: unused for 30 days"),
        (
            "ARCHIVED",
            0,
            0,
            "unknown",
            "archived: unused for 30 days; 0 may mean that it has too few members to be shown",
        ),
        ("BUILDING", 0, None, "processing", None),
        ("BUILDING", 900, 900, "processing", None),
        ("UPDATING", 900, 900, "processing", "may be of before the update under way"),
        ("UPDATING", 0, None, "processing", None),
        ("FAILED", 0, None, "failed", None),
        ("ERROR", 0, None, "failed", None),
        ("EXPIRED", 0, None, "unknown", "expired: unused for 90 days, its data is no longer available"),
        ("EXPIRED", 700, 700, "unknown", "expired: unused for 90 days, its data is no longer available"),
        ("A_NEW_WORD", 0, None, "unknown", None),
        ("READY", None, None, "ready", None),
    ],
)
def test_a_0_is_a_size_only_where_linkedin_has_counted(
    status: str, count: int | None, size: int | None, shown: str, note: str | None
) -> None:
    raw = {"id": 1, "name": "n", "status": status, "approximateMemberCount": count}
    one = row(VENDOR, raw)
    assert one is not None
    assert (one.size, one.status, one.size_note) == (size, shown, note)


async def test_who_made_a_segment_is_never_shown() -> None:
    rows = [{**ROWS[0], "created": {"actor": "urn:li:person:Zk3", "time": 1_700_000_000_000}}]
    answer = await list_rows(CASE, rows)
    assert "urn:li:person" not in repr(answer)
    assert answer.audiences[0].created_at == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("whose", ["urn:li:sponsoredAccount:999", None])
def test_a_segment_that_is_not_known_to_be_of_this_account_is_looked_for_in_its_list(
    whose: str | None,
) -> None:
    answer = {"id": 7, "account": whose}
    assert result_of(talk_of_one(VENDOR, "7", ACCOUNT.values), answer) is None
    ours = {**answer, "account": "urn:li:sponsoredAccount:512345678"}
    assert result_of(talk_of_one(VENDOR, "7", ACCOUNT.values), ours) == ours


# --- Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (401, "EXPIRED_ACCESS_TOKEN", "unauthorized", "60 days"),
        (403, "ACCESS_DENIED", "forbidden", "r_ads"),
        (426, "NONEXISTENT_VERSION", "invalid_request", "LINKEDIN_VERSION"),
        (400, "VERSION_MISSING", "invalid_request", "set LINKEDIN_VERSION to"),
        (400, "ILLEGAL_ARGUMENT", "invalid_request", "HTTP 400"),
    ],
)
def test_an_error_says_what_to_do(status: int, code: str, kind: str, says: str) -> None:
    judged = VENDOR.status(answered(status, {"message": "m", "status": status, "code": code}))
    found, text = describe_status(judged, ACCOUNT)
    assert (found, says in text) == (kind, True)


async def test_a_version_that_has_ended_names_the_variable_to_set() -> None:
    async with served(ROWS) as there, open_case(CASE, there, LINKEDIN_VERSION="202511") as catalog:
        with pytest.raises(ToolError, match="HTTP 426") as caught:
            await catalog.list_audiences(ListQuery())
    assert "LINKEDIN_VERSION" in str(caught.value)


def test_the_limit_of_a_day_ends_at_midnight_in_utc() -> None:
    said = "Resource level throttle {} limit for calls to this resource is reached."
    body = {"message": said.format("APPLICATION DAY"), "serviceErrorCode": 101, "status": 429}
    response = answered(429, body)  # at noon
    assert find_wait(response, ACCOUNT) == 12 * 3600
    assert find_wait(replace(response, now=response.now + 11 * 3600), ACCOUNT) == 3600
    assert find_wait(answered(429, {**body, "message": said.format("MINUTE")}), ACCOUNT) is None
    assert find_wait(answered(429, {**body, "message": None}), ACCOUNT) is None


# --- LinkedIn's own client ----------------------------------------------------------------------------


needs_their_client = pytest.mark.skipif(
    find_spec("linkedin_api") is None, reason="the extra 'oracles' is not installed (linkedin-api-client)"
)


def their_client(there: Served, monkeypatch: pytest.MonkeyPatch) -> Any:
    """LinkedIn's client, led to the imitation."""
    constants = import_module("linkedin_api.common.constants")
    from linkedin_api.clients.restli.client import RestliClient  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(constants, "VERSIONED_BASE_URL", there.environment["LINKEDIN_BASE_URL"])
    client = RestliClient()
    client.session.trust_env = False
    return client


@needs_their_client
async def test_linkedins_own_client_sends_the_same_query_and_reads_the_same_segments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(CASE.rows) as there, open_case(CASE, there) as catalog:
        client = their_client(there, monkeypatch)

        def read() -> list[Any]:
            found: list[Any] = []
            while True:
                page = client.finder(
                    resource_path="/adSegments",
                    finder_name="accounts",
                    query_params={
                        "accounts": [f"urn:li:sponsoredAccount:{imitation.ACCOUNT}"],
                        "count": 100,
                        "start": len(found),
                    },
                    access_token=imitation.TOKEN,
                    version_string="202607",
                )
                assert page.paging.total == len(CASE.rows)
                found += page.elements
                if len(found) >= page.paging.total:
                    return found

        theirs = await run_sync(read)
        their_queries = [sorted(asked.raw_query.split("&")) for asked in there.asked]
        ours = (await catalog.list_audiences(ListQuery(detail="full", limit=10_000))).audiences
        our_queries = [sorted(asked.raw_query.split("&")) for asked in there.asked[len(their_queries) :]]
    assert our_queries == their_queries
    expected = {str(each["id"]): (each["name"], CASE.facts(each).size) for each in theirs}
    assert {a.id: (a.name, a.size) for a in ours} == expected


@needs_their_client
async def test_linkedins_own_client_gets_one_segment_with_the_same_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = ROWS[0]["id"]
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        client = their_client(there, monkeypatch)
        answer = await run_sync(
            lambda: client.get(
                resource_path="/adSegments/{id}",
                path_keys={"id": id},
                access_token=imitation.TOKEN,
                version_string="202607",
            )
        )
        match = await catalog.get_audience(GetQuery(audience=f"linkedin:{id}"))
    theirs, ours = there.asked
    assert (theirs.path, theirs.raw_query) == (ours.path, ours.raw_query)
    names = ("authorization", "linkedin-version", "x-restli-protocol-version")
    assert [theirs.headers[name] for name in names] == [ours.headers[name] for name in names]
    assert (answer.entity["name"], answer.entity["approximateMemberCount"]) == (
        match.audiences[0].name,
        match.audiences[0].size,
    )
