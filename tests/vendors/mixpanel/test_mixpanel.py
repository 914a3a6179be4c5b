"""Mixpanel: one POST that reads, three regions, data views, and dates in a zone that nobody tells."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.mixpanel import Mixpanel
from tests.vendors.bodies import account, first_requests, page_of, shown, shown_concisely
from tests.vendors.documents import Document, exchanged, needs_documents
from tests.vendors.mixpanel import api
from tests.vendors.mixpanel.case import CASE, ROWS, a_cohort, served

MIXPANEL = Mixpanel()
VARIABLES = {
    "MIXPANEL_SERVICE_ACCOUNT_USERNAME": api.USER,
    "MIXPANEL_SERVICE_ACCOUNT_SECRET": api.SECRET,
    "MIXPANEL_PROJECT_ID": api.PROJECT,
}


def test_a_data_view_is_named_where_one_is_set_and_never_otherwise() -> None:
    project = {"project_id": api.PROJECT}
    assert first_requests(MIXPANEL, project) == [Request("cohorts/list", project, "POST")]
    view = {**project, "workspace_id": api.VIEW}
    assert first_requests(MIXPANEL, view) == [Request("cohorts/list", view, "POST")]


@pytest.mark.parametrize(
    ("region", "base"),
    [
        (None, "https://mixpanel.com/api/query"),
        ("us", "https://mixpanel.com/api/query"),
        ("EU", "https://eu.mixpanel.com/api/query"),
        ("in", "https://in.mixpanel.com/api/query"),
    ],
)
def test_the_region_says_where_the_project_is(region: str | None, base: str) -> None:
    variables = {"MIXPANEL_REGION": region} if region else {}
    assert account(MIXPANEL, **variables).base_url == base


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MIXPANEL_REGION", "au", "one of us, eu, in"),
        ("MIXPANEL_PROJECT_ID", "my-project", "2195193"),
        ("MIXPANEL_WORKSPACE_ID", "3456789&x=1", "3456789"),
    ],
)
def test_a_setting_that_cannot_be_right_is_told_before_anything_is_sent(
    variable: str, value: str, says: str
) -> None:
    (source,) = load_configuration({**VARIABLES, variable: value}, [MIXPANEL]).sources
    assert source.problem is not None
    assert variable in source.problem.message
    assert says in source.problem.message


def test_two_accounts_of_one_project_are_one_source_and_two_of_its_views_are_two() -> None:
    def names(**more: str) -> list[str]:
        return [source.name for source in load_configuration({**VARIABLES, **more}, [MIXPANEL]).sources]

    assert names(MIXPANEL_SERVICE_ACCOUNT_SECRET_B="another-made-up-secret") == ["mixpanel"]
    both = names(MIXPANEL_PROJECT_ID_B=api.PROJECT, MIXPANEL_WORKSPACE_ID_B=api.VIEW)
    assert both == ["mixpanel", "mixpanel-b"]


@pytest.mark.parametrize("body", [{"error": "…", "status": "error"}, {"cohorts": []}, {}, None, "[]"])
def test_an_error_under_http_200_is_no_empty_project(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(MIXPANEL, body)


def test_a_time_without_a_zone_is_handed_on_as_it_is_and_is_no_date() -> None:
    row = shown(MIXPANEL, a_cohort(7, "Trial", 150, description="On trial"))
    assert row == {
        "id": "7",
        "name": "Trial",
        "size": 150,
        "type": "unknown",
        "description": "On trial",
        "details": {"created": "2026-01-05 23:49:51", "is_visible": 1},
    }


def test_a_cohort_that_the_web_app_hides_is_a_cohort() -> None:
    row = shown_concisely(MIXPANEL, a_cohort(7, "Hidden", 5, is_visible=0))
    assert row == {"ref": "mixpanel:7", "name": "Hidden", "size": 5, "type": "unknown"}


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (400, "invalid_request", "MIXPANEL_WORKSPACE_ID"),
        (401, "unauthorized", "ACCOUNT_SECRET"),
        (402, "forbidden", "plan"),
        (403, "forbidden", "MIXPANEL_REGION"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(MIXPANEL))
    assert (found, says in text) == (kind, True)


@pytest.mark.anyio
async def test_one_cohort_costs_the_list_and_a_second_one_nothing() -> None:
    async with served(ROWS) as there, open_case(CASE, there, MIXPANEL_WORKSPACE_ID=api.VIEW) as catalog:
        for ref, size in (("mixpanel:1000", 150), ("mixpanel:1003", 77)):
            (one,) = (await catalog.get_audience(GetQuery(audience=ref))).audiences
            assert one.size == size
    assert [(asked.method, asked.path, asked.body) for asked in there.asked] == [
        ("POST", "/api/query/cohorts/list", b"")
    ]
    assert there.asked[0].query == {"project_id": [api.PROJECT], "workspace_id": [api.VIEW]}


@pytest.mark.slow
@pytest.mark.anyio
async def test_half_of_the_hours_queries_are_left_for_other_programs() -> None:
    async with (
        served(ROWS) as there,
        open_case(CASE, there, AUDIENCE_MCP_CACHE_S="0", AUDIENCE_MCP_DEADLINE_S="1") as catalog,
    ):
        for _ in range(30):
            assert (await catalog.list_audiences(ListQuery(limit=0))).complete
        late = await catalog.list_audiences(ListQuery(limit=0))
    assert len(there.asked) == 30
    assert (late.matched, late.complete) == (len(ROWS), False)


def patched(document: Document) -> None:
    """The host is the default one, and not a pattern."""
    document["servers"][0]["url"] = "https://mixpanel.com/api/query"


@pytest.mark.anyio
@needs_documents
async def test_requests_and_answers_are_as_mixpanels_document_has_them() -> None:
    async with served(ROWS) as there:
        for view in ("", api.VIEW):
            async with open_case(CASE, there, MIXPANEL_WORKSPACE_ID=view) as catalog:
                await catalog.list_audiences(ListQuery(limit=0))
    checked = exchanged("mixpanel", there.asked, lambda asked: api.answer(asked, ROWS), patched)
    assert checked == ["/api/query/cohorts/list"] * 2
