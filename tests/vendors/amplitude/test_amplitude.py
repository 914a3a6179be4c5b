"""Amplitude: cohorts that were never computed, those in training, and people's addresses in every row."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.core.text import to_json
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import list_rows, open_case
from audience_mcp.vendors import Request
from audience_mcp.vendors.amplitude import Amplitude
from tests.vendors.amplitude import api
from tests.vendors.amplitude.case import CASE, ROWS, a_cohort, served
from tests.vendors.bodies import account, first_requests, page_of, shown

AMPLITUDE = Amplitude()


def test_everything_is_asked_for_at_once_without_what_cohorts_are_synced_to() -> None:
    assert first_requests(AMPLITUDE, {}) == [Request("api/3/cohorts")]
    assert page_of(AMPLITUDE, {"cohorts": []}).more is False


@pytest.mark.parametrize("body", [{}, {"cohorts": {}}, {"error": "…"}, [], None])
def test_a_body_without_cohorts_is_not_taken_for_an_empty_project(body: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(AMPLITUDE, body)


@pytest.mark.parametrize(
    ("region", "base"),
    [
        (None, "https://amplitude.com"),
        ("US", "https://amplitude.com"),
        ("eu", "https://analytics.eu.amplitude.com"),
    ],
)
def test_the_region_says_where_the_project_is(region: str | None, base: str) -> None:
    variables = {"AMPLITUDE_REGION": region} if region else {}
    assert account(AMPLITUDE, **variables).base_url == base


def test_two_secrets_of_one_project_are_one_source() -> None:
    variables = {"AMPLITUDE_API_KEY": api.KEY, "AMPLITUDE_SECRET_KEY": api.SECRET}
    more = {"AMPLITUDE_SECRET_KEY_B": "another-made-up-secret-key"}
    (source,) = load_configuration({**variables, **more}, [AMPLITUDE]).sources
    assert source.name == "amplitude"


@pytest.mark.parametrize(
    ("more", "size", "status", "note"),
    [
        ({"size": 7}, 7, "ready", None),
        ({"size": 0}, 0, "ready", None),
        ({"size": 0, "lastComputed": 0}, None, "unknown", "not computed yet"),
        ({"size": 0, "lastComputed": None}, None, "unknown", "not computed yet"),
        ({"size": None, "lastComputed": None}, None, "unknown", "not computed yet"),
        ({"size": None}, None, "unknown", "the vendor gives no usable count"),
        ({"size": 7, "lastComputed": None}, 7, "ready", None),
        ({"size": 0, "is_predictive": True, "finished": False}, None, "processing", "not computed yet"),
        (
            {"size": 7, "is_predictive": True, "finished": False},
            7,
            "processing",
            "still in training; the size is from an earlier computation",
        ),
        ({"size": 0, "is_predictive": True}, 0, "ready", None),
        ({"size": 7, "finished": False}, 7, "ready", None),
    ],
)
def test_a_zero_that_was_never_computed_is_no_size(
    more: dict[str, object], size: int | None, status: str, note: str | None
) -> None:
    row = shown(AMPLITUDE, {**a_cohort("k3v9x2a", "Trial", 1), **more})
    assert (row.get("size"), row["status"], row.get("size_note")) == (size, status, note)


def test_a_row_has_dates_and_what_was_said_of_it() -> None:
    assert shown(AMPLITUDE, a_cohort("z9y8x7w", "Put away", 512, archived=True, description="Old")) == {
        "id": "z9y8x7w",
        "name": "Put away",
        "size": 512,
        "type": "unknown",
        "status": "ready",
        "description": "Old",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
        "details": {
            "lastComputed": 1_767_398_400,
            "archived": True,
            "hidden": False,
            "published": True,
            "is_predictive": False,
        },
    }


@pytest.mark.anyio
async def test_whose_a_cohort_is_and_its_definition_are_never_shown() -> None:
    text = to_json((await list_rows(CASE, ROWS)).model_dump())
    for word in ("example.com", "owners", "viewers", "definition", "andClauses", "redshift"):
        assert word not in text


@pytest.mark.anyio
async def test_one_cohort_costs_the_list_and_starts_no_download() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        for ref, size in (("amplitude:k3v9x2a", 4_210), ("amplitude:z9y8x7w", 512)):
            (one,) = (await catalog.get_audience(GetQuery(audience=ref))).audiences
            assert one.size == size
    assert [(asked.method, asked.path) for asked in there.asked] == [("GET", "/api/3/cohorts")]


@pytest.mark.anyio
async def test_archived_cohorts_are_counted_and_those_without_a_size_are_not() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(limit=0))
    assert (answer.complete, answer.matched) == (True, 9)
    assert (answer.sum_of_sizes, answer.unknown_sizes) == (4_210 + 31 + 512 + 88 + 640, 3)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(401, "unauthorized", "AMPLITUDE_REGION"), (402, "forbidden", "plan"), (403, "forbidden", "plan")],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(AMPLITUDE))
    assert (found, says in text) == (kind, True)
