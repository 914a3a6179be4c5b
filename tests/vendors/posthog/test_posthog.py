"""PostHog: counts that stay old, links that name another host, and cohorts that were deleted."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import ToolError
from audience_mcp.sources.responses import describe_status, find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.posthog import PostHog
from tests.vendors import bodies
from tests.vendors.bodies import account, answered, first_requests, page_of
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.posthog import api
from tests.vendors.posthog.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = PostHog()
SET = {"POSTHOG_PERSONAL_API_KEY": "made-up-key", "POSTHOG_PROJECT_ID": "77"}
(FIRST,) = first_requests(VENDOR, {"project": "77"})


def held(raw: object) -> Row:
    found = bodies.row(VENDOR, raw)
    assert found is not None
    return found


def test_pages_are_found_by_their_offsets_and_no_link_is_followed() -> None:
    assert FIRST.path == "api/projects/77/cohorts/"
    assert FIRST.params == {"limit": "200", "basic": "true", "offset": "0"}
    body = {
        "count": 450,
        "next": "http://x.example/?limit=1&offset=1",
        "results": [{"id": n} for n in range(200)],
    }
    page = page_of(VENDOR, body, FIRST)
    assert page.more is True
    assert [each.params["offset"] for each in page.plan] == ["200", "400"]


@pytest.mark.parametrize(
    ("facts", "status", "note"),
    [
        ({}, "ready", None),
        ({"is_calculating": True}, "processing", "being recalculated"),
        ({"is_calculating": True, "count": None}, "processing", None),
        ({"errors_calculating": 1}, "ready", "the last calculation failed; the size is from an earlier one"),
        ({"errors_calculating": 20, "count": None}, "failed", "the last 20 calculations failed"),
        ({"count": None}, "unknown", None),
    ],
)
def test_a_count_that_is_old_or_missing_says_so(
    facts: dict[str, object], status: str, note: str | None
) -> None:
    one = held(row(1, "n", 5) | facts)
    assert (one.size, one.status, one.size_note) == (facts.get("count", 5), status, note)


async def test_a_cohort_that_was_never_calculated_is_of_unknown_size() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        (one,) = (await catalog.get_audience(GetQuery(audience="posthog:4104"))).audiences
    assert (one.size, one.size_note) == (None, "never calculated")


async def test_nobody_who_made_a_cohort_is_shown() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(detail="full", limit=1_000))
    assert answer.matched == len(ROWS)
    assert "someone@example.com" not in answer.model_dump_json()


async def test_a_deleted_cohort_that_is_still_answered_is_not_found() -> None:
    rows = [*ROWS, row(6000, "Gone", 9, deleted=True)]
    async with served(rows) as there, open_case(CASE, there) as catalog:
        with pytest.raises(ToolError, match="No audience has the ref"):
            await catalog.get_audience(GetQuery(audience="posthog:6000"))


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, "https://us.posthog.com"),
        ("https://eu.posthog.com", "https://eu.posthog.com"),
        ("https://eu.i.posthog.com", "https://eu.posthog.com"),
        ("us.i.posthog.com", "https://us.posthog.com"),
        ("https://posthog.example.com", "https://posthog.example.com"),
    ],
)
def test_the_address_that_takes_events_is_not_the_apis(host: str | None, base: str) -> None:
    (source,) = load_configuration(SET | ({"POSTHOG_HOST": host} if host else {}), [VENDOR]).sources
    assert source.account is not None
    assert source.account.base_url == base


def test_the_base_url_wins() -> None:
    hosts = {"POSTHOG_HOST": "https://eu.posthog.com", "POSTHOG_BASE_URL": "https://posthog.example.com"}
    (source,) = load_configuration(SET | hosts, [VENDOR]).sources
    assert source.account is not None
    assert source.account.base_url == "https://posthog.example.com"


def test_a_project_is_a_number() -> None:
    (source,) = load_configuration(SET | {"POSTHOG_PROJECT_ID": "my/project"}, [VENDOR]).sources
    assert source.problem is not None
    assert "POSTHOG_PROJECT_ID" in source.problem.message


@pytest.mark.parametrize(
    ("status", "kind", "says"), [(401, "unauthorized", "phx_"), (403, "forbidden", "cohort:read")]
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(VENDOR))
    assert (found, says in text) == (kind, True)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"detail": "Request was throttled. Expected available in 17 seconds."}, 17),
        ({"detail": 4}, None),
        ([], None),
    ],
)
def test_the_wait_is_in_a_sentence(body: object, seconds: int | None) -> None:
    assert find_wait(answered(429, body), account(VENDOR)) == seconds


@needs_documents
async def test_requests_and_answers_are_as_posthogs_serializer_has_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="posthog:4102", refresh=True))
    checked = exchanged("posthog", there.asked, lambda asked: api.answer(asked, ROWS))
    assert set(checked) == {"/api/projects/77/cohorts/", "/api/projects/77/cohorts/4102/"}
