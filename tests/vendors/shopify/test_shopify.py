"""Shopify: GraphQL, sizes counted many at once, failures under 200, and a token from an app's secret."""

# ruff: noqa: N802, N803 (the schema names its fields and arguments so)

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, graphql_sync, parse, validate

from audience_mcp.catalog.query import ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import ToolError, UnexpectedShape
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing import Answer, Served, serve_api
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Counted, Exchange, Request, Row
from audience_mcp.vendors.shopify import LIST, ONE, Shopify
from tests.vendors.bodies import (
    account,
    answered,
    first_requests,
    page_of,
    row,
    shown,
    sizes_in,
    talk_of_sizes,
)
from tests.vendors.shopify import api
from tests.vendors.shopify.case import CASE, ROWS, served

SHOPIFY = Shopify()
ACCOUNT = account(SHOPIFY, SHOPIFY_SHOP="acme")
(FIRST,) = first_requests(SHOPIFY, ACCOUNT.values)
SCHEMA = Path(__file__).resolve().parents[4] / "shared" / "specs" / "shopify.graphql"
PENDING = [Row(f"gid://shopify/Segment/{n}", "n", size_pending=True) for n in (1, 2, 3)]


def test_the_first_page_is_a_query_with_the_largest_page() -> None:
    assert Request("graphql.json", {}, "POST", {"query": LIST, "variables": {"first": 250}}) == FIRST


def test_the_next_page_is_the_same_query_after_the_cursor_and_has_next_page_decides() -> None:
    info = {"hasNextPage": True, "endCursor": "eyJs"}
    page = page_of(SHOPIFY, {"data": {"segments": {"nodes": [], "pageInfo": info}}}, FIRST)
    assert page.next is not None
    assert page.next.json == {"query": LIST, "variables": {"first": 250, "after": "eyJs"}}
    last = {"hasNextPage": False, "endCursor": "eyJs"}
    assert page_of(SHOPIFY, {"data": {"segments": {"nodes": [], "pageInfo": last}}}, FIRST).more is False


@pytest.mark.parametrize(
    "body", [{}, {"data": None}, {"data": {"segments": None}}, {"data": {"segments": {"nodes": []}}}, []]
)
def test_a_body_that_is_not_whole_is_not_taken_for_an_empty_shop(body: dict[str, Any] | list[Any]) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(SHOPIFY, body, FIRST)


@pytest.mark.parametrize(
    "written",
    ["acme", "ACME", "acme.myshopify.com", "https://acme.myshopify.com", "https://acme.myshopify.com/admin"],
)
def test_a_shop_may_be_written_as_people_see_it(written: str) -> None:
    assert account(SHOPIFY, SHOPIFY_SHOP=written).base_url == "https://acme.myshopify.com/admin/api/2026-10"


@pytest.mark.parametrize(
    "written", ["acme.example", "evil.example/.myshopify.com", "a@b", "-acme", "acme:443"]
)
def test_another_address_is_no_shop_and_the_key_never_goes_there(written: str) -> None:
    variables = {"SHOPIFY_SHOP": written, "SHOPIFY_ACCESS_TOKEN": api.TOKEN}
    (source,) = load_configuration(variables, [SHOPIFY]).sources
    assert source.problem is not None
    assert "SHOPIFY_SHOP must look like acme.myshopify.com" in source.problem.message


def test_a_shop_needs_a_token_or_an_app_with_its_secret() -> None:
    (source,) = load_configuration({"SHOPIFY_SHOP": "acme", "SHOPIFY_CLIENT_ID": "x"}, [SHOPIFY]).sources
    assert source.problem is not None
    assert "SHOPIFY_ACCESS_TOKEN" in source.problem.message
    assert "SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET" in source.problem.message


def test_a_further_shop_with_an_app_of_its_own_does_not_take_the_first_shops_token() -> None:
    first = {"SHOPIFY_SHOP": "acme", "SHOPIFY_ACCESS_TOKEN": "shpat_of-the-first-shop"}
    further = {
        "SHOPIFY_SHOP_FR": "acme-fr",
        "SHOPIFY_CLIENT_ID_FR": "id",
        "SHOPIFY_CLIENT_SECRET_FR": "shpss_fr",
    }
    sources = {source.name: source for source in load_configuration(first | further, [SHOPIFY]).sources}
    account = sources["shopify-fr"].account
    assert account is not None
    assert isinstance(SHOPIFY.auth_for(account.values), Exchange)
    assert account.secrets == ("shpss_fr",)
    without = {name: value for name, value in further.items() if name == "SHOPIFY_SHOP_FR"}
    _, lent = load_configuration(first | without, [SHOPIFY]).sources
    assert lent.account is not None
    assert lent.account.values["access_token"] == "shpat_of-the-first-shop"


def test_a_segment_is_a_rule_whose_size_is_still_to_be_counted() -> None:
    raw = {k: v for k, v in ROWS[1].items() if k != "totalCount"}
    read = row(SHOPIFY, raw)
    assert read is not None
    assert (read.size, read.size_pending, read.type) == (None, True, "dynamic")
    one = shown(SHOPIFY, raw)
    assert one["created_at"] == "2026-02-02T10:00:00Z"
    assert "details" not in one  # its rule may hold anything that a customer is known by


def test_sizes_are_counted_with_one_alias_and_one_variable_for_each_segment() -> None:
    request = next(talk_of_sizes(SHOPIFY, PENDING, ACCOUNT.values))
    assert isinstance(request.json, dict)
    assert request.json["variables"] == {f"s{n}": f"gid://shopify/Segment/{n + 1}" for n in range(3)}
    body = {"data": {"n0": {"totalCount": 7}, "n1": {"totalCount": 25_001}, "n2": {}}}
    counts = sizes_in(SHOPIFY, PENDING, body, ACCOUNT.values)
    assert [(c.size, c.note) for c in counts.values()] == [
        (7, None),
        (25_001, "25,001 may be where Shopify stops counting"),
        (None, None),
    ]


@pytest.mark.parametrize("body", [None, [], {}, {"data": None}])
def test_counts_that_are_not_there_are_not_taken_for_zero(body: dict[str, Any] | list[Any] | None) -> None:
    with pytest.raises(UnexpectedShape):
        sizes_in(SHOPIFY, PENDING, body, ACCOUNT.values)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("THROTTLED", "rate_limited"),
        ("ACCESS_DENIED", "forbidden"),
        ("SHOP_INACTIVE", "forbidden"),
        ("NOT_FOUND", "not_found"),
        ("INTERNAL_SERVER_ERROR", "unavailable"),
        ("MAX_COST_EXCEEDED", "invalid_request"),
        ("undefinedField", "invalid_request"),
    ],
)
def test_a_failure_under_200_is_what_its_code_says_also_beside_data(code: str, kind: str) -> None:
    for data in (None, {"segments": {"nodes": [], "pageInfo": {"hasNextPage": False}}}):
        body = api.failed(code, data=data).body
        assert describe_status(SHOPIFY.status(answered(200, body)), ACCOUNT)[0] == kind


@pytest.mark.parametrize(
    "errors", ["[API] Invalid API key", {"base": ["x"]}, [None], [{"message": "m"}], True]
)
def test_errors_of_another_shape_under_200_are_a_failure_all_the_same(errors: object) -> None:
    assert SHOPIFY.status(answered(200, {"errors": errors, "data": {}})) == 400
    assert SHOPIFY.status(answered(401, {"errors": errors})) == 401


@pytest.mark.parametrize(
    ("left", "rate", "seconds"),
    [(0, 10, 4.2), (40, 100.0, 1.0), (None, 100, None), (0, 0, None), (0, "x", None)],
)
def test_the_wait_is_until_there_are_points_enough_and_at_least_a_second(
    left: int | None, rate: float | str, seconds: float | None
) -> None:
    status = {"currentlyAvailable": left, "restoreRate": rate}
    body = api.failed("THROTTLED", throttleStatus=status).body
    assert find_wait(answered(200, body), ACCOUNT) == seconds


def test_a_shop_whose_plan_tells_no_points_says_no_wait() -> None:
    assert find_wait(answered(200, {"errors": [{"extensions": {"code": "THROTTLED"}}]}), ACCOUNT) is None


@pytest.mark.anyio
async def test_a_segment_that_is_gone_when_it_is_counted_costs_the_other_sizes_nothing() -> None:
    gone = str(ROWS[3]["id"])

    def answer(asked: Any) -> Any:
        if gone in json.loads(asked.body)["variables"].values():
            return api.failed("NOT_FOUND", "n3")  # null data: the field is not nullable
        return api.answer(asked, ROWS[:30])

    async with served([]) as there, serve_api(answer) as (origin, asked):
        base = {"SHOPIFY_BASE_URL": f"{origin}/admin/api/2026-10"}
        async with open_case(CASE, there, **base) as catalog:
            result = await catalog.list_audiences(ListQuery(limit=100, detail="full"))
    assert result.complete
    assert result.unknown_sizes == 1
    (odd,) = [a for a in result.audiences if a.size is None]
    assert (odd.id, odd.size_note) == (gone, "the vendor refused to count this audience")
    assert len(asked) < 15  # halves of the batch that has it, and not one by one


@pytest.mark.anyio
async def test_an_apps_id_and_secret_are_exchanged_for_a_token_at_the_shop_itself() -> None:
    def answer(asked: Any) -> Any:
        if asked.path == "/admin/oauth/access_token":
            return api.exchange(asked)
        return api.answer(asked, ROWS[:5], api.EXCHANGED)

    async with serve_api(answer) as (origin, asked):
        variables = {
            "SHOPIFY_SHOP": "acme",
            "SHOPIFY_BASE_URL": f"{origin}/admin/api/2026-10",
            **{f"SHOPIFY_{name.upper()}": value for name, value in api.CLIENT.items()},
        }
        async with open_case(CASE, served_as(variables)) as catalog:
            result = await catalog.list_audiences(ListQuery())
        wrong = {"SHOPIFY_CLIENT_SECRET": "shpss_another-one"}
        async with open_case(CASE, served_as(variables), **wrong) as catalog:
            with pytest.raises(ToolError, match="SHOPIFY_CLIENT_SECRET"):
                await catalog.list_audiences(ListQuery())
    assert result.matched == 5
    assert [each.path for each in asked].count("/admin/oauth/access_token") == 2


def served_as(variables: dict[str, str]) -> Served:
    return Served(variables, [])


schema_there = pytest.mark.skipif(
    not SCHEMA.is_file(), reason="Shopify's schema is not there (../shared/specs)"
)


@schema_there
def test_every_query_is_valid_by_shopifys_own_schema() -> None:
    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    count = next(talk_of_sizes(SHOPIFY, PENDING, ACCOUNT.values)).json
    assert isinstance(count, dict)
    for query in (LIST, ONE, str(count["query"])):
        assert validate(schema, parse(query)) == []
    assert validate(schema, parse(LIST.replace("lastEditDate", "memberCount")))


@pytest.mark.anyio
@schema_there
async def test_shopifys_own_schema_answers_with_the_same_segments_and_sizes() -> None:
    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    rows = ROWS[:45]

    class Root:
        """What the schema's root fields answer."""

        def segments(
            self, info: Any, first: int, sortKey: str, reverse: bool, after: str | None = None
        ) -> dict[str, Any]:
            start = int(after or 0)
            info = {"hasNextPage": start + first < len(rows), "endCursor": str(start + first)}
            return {"nodes": rows[start : start + first], "pageInfo": info}

        def customerSegmentMembers(
            self, info: Any, first: int, segmentId: str, reverse: bool
        ) -> dict[str, Any]:
            return {"totalCount": next(row["totalCount"] for row in rows if row["id"] == segmentId)}

    def answer(asked: Any) -> Any:
        said = json.loads(asked.body)
        result = graphql_sync(schema, said["query"], Root(), variable_values=said["variables"])
        assert not result.errors
        return Answer(200, {"data": result.data})

    async with served([]) as there, serve_api(answer) as (origin, _):
        base = {"SHOPIFY_BASE_URL": f"{origin}/admin/api/2026-10"}
        async with open_case(CASE, there, **base) as catalog:
            ours = await catalog.list_audiences(ListQuery(limit=100, detail="full"))
    assert {a.id: (a.name, a.size) for a in ours.audiences} == {
        row["id"]: (row["name"], row["totalCount"]) for row in rows
    }


@pytest.mark.anyio
async def test_sizes_are_summed_when_all_have_been_counted() -> None:
    answer = await list_rows(CASE, ROWS)
    assert answer.complete
    assert answer.sum_of_sizes == sum(int(str(row["totalCount"])) for row in ROWS)


@pytest.mark.parametrize(
    ("errors", "failed"),
    [
        ([{"path": ["n1"], "extensions": {"code": "THROTTLED"}}], 429),
        ([{"path": ["n1"], "extensions": {"code": "INTERNAL_SERVER_ERROR"}}], 503),
        ([{"path": ["n1", "totalCount"], "extensions": {"code": "ACCESS_DENIED"}}], 403),
        ([{"extensions": {"code": "THROTTLED"}}], 429),
        ([{"path": [{}], "extensions": {"code": "THROTTLED"}}], 429),
        ([{"path": ["n0"], "extensions": {"code": "THROTTLED"}}], None),
        ([{"path": ["n1"], "message": "x"}], 400),
        ("x", None),
        ([None], None),
        (None, None),
    ],
)
def test_a_size_that_is_null_beside_an_error_is_what_the_error_says(
    errors: object, failed: int | None
) -> None:
    body = {"data": {"n0": {"totalCount": 7}, "n1": None}, "errors": errors}
    assert sizes_in(SHOPIFY, PENDING[:2], body, {}) == {
        PENDING[0].id: Counted(7),
        PENDING[1].id: Counted(None, failed=failed),
    }
