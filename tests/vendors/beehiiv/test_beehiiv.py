"""beehiiv: two meanings of one field, sizes of the calculation before, and lists that a plan may lack."""

from __future__ import annotations

from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.sources.responses import find_wait
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.beehiiv import Beehiiv
from tests.vendors.beehiiv import api
from tests.vendors.beehiiv.case import CASE, ROWS, a_list, a_segment, served
from tests.vendors.bodies import NOW, account, answered, error, first_requests, page_of, row
from tests.vendors.documents import exchanged, needs_documents

pytestmark = pytest.mark.anyio

BEEHIIV = Beehiiv()
SEGMENTS, LISTS = BEEHIIV.listings
FIRST, _ = first_requests(BEEHIIV, {"publication": api.PUBLICATION})


def test_of_the_envelope_total_results_is_a_number_of_segments_and_of_a_row_its_size() -> None:
    body = {"data": [a_segment(1, "S", 1204)], "total_results": 250, "total_pages": 3}
    page = page_of(BEEHIIV, body, FIRST)
    found = row(BEEHIIV, page.rows[0])
    assert found is not None
    assert (page.total, found.size) == (250, 1204)
    assert [each.params["page"] for each in page.plan] == ["2", "3"]


@pytest.mark.parametrize("pages", [0, 1])
def test_an_empty_publication_may_have_no_page_or_one(pages: int) -> None:
    page = page_of(BEEHIIV, {"data": [], "total_results": 0, "total_pages": pages}, FIRST)
    assert page.more is False


CALCULATED: dict[str, Any] = {"last_calculated": 1_795_849_200}
NOT_YET, BEFORE = "not calculated yet", "of the last calculation that ended"


@pytest.mark.parametrize(
    ("status", "size", "more", "expected"),
    [
        ("completed", 0, CALCULATED, (0, None, "ready")),
        ("pending", 12, CALCULATED, (None, NOT_YET, "processing")),
        ("processing", 12, CALCULATED, (12, BEFORE, "processing")),
        ("processing", 0, CALCULATED, (None, NOT_YET, "processing")),
        ("processing", 12, {}, (None, NOT_YET, "processing")),
        ("failed", 12, CALCULATED, (12, BEFORE, "failed")),
        ("failed", 0, CALCULATED, (None, NOT_YET, "failed")),
        ("thawing", 12, CALCULATED, (12, BEFORE, "unknown")),
        ("completed", 5, {"active": False}, (5, "inactive: no longer recalculated", "ready")),
    ],
)
def test_a_size_is_of_a_calculation_that_ended_or_unknown(
    status: str, size: int, more: dict[str, Any], expected: tuple[object, ...]
) -> None:
    raw = {"id": a_segment(1, "", 0)["id"], "name": "S", "status": status, "total_results": size, **more}
    found = row(BEEHIIV, raw)
    assert found is not None
    assert (found.size, found.size_note, found.status) == expected


async def test_a_publication_without_newsletter_lists_is_read_in_full() -> None:
    async with served([a_segment(1, "S", 5)], has_lists=False) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery())
    assert answer.complete
    assert [found.name for found in answer.audiences] == ["S"]
    assert any("lists are not listed" in note for note in answer.notes or [])


def test_dates_of_lists_are_unix_seconds() -> None:
    found = row(BEEHIIV, api.sent(a_list(1, "Weekly", 880)), LISTS)
    assert found is not None
    assert (found.size, found.created, found.kind) == (880, 1_767_225_600, "list")


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("30", 30), (str(int(NOW.timestamp()) + 12), 12), ("0", 0), ("soon", None), ("-1", None)],
)
def test_a_reset_is_a_moment_or_a_number_of_seconds(reset: str, seconds: float | None) -> None:
    limited = answered(429, {}, headers={"ratelimit-reset": reset})
    assert find_wait(limited, account(BEEHIIV)) == seconds


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (401, "unauthorized", "BEEHIIV_API_KEY"),
        (403, "forbidden", "segments:read"),
        (404, "not_found", "BEEHIIV_PUBLICATION_ID"),
    ],
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = error(BEEHIIV, status, {"status": status})
    assert (found, says in text) == (kind, True)


@needs_documents
async def test_requests_and_answers_are_as_the_facts_have_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        for kind, id in (("segment", ROWS[0]["id"]), ("list", ROWS[-1]["id"])):
            await catalog.get_audience(GetQuery(audience=f"beehiiv:{kind}-{id}"))
    checked = exchanged("beehiiv", there.asked, lambda asked: api.answer(asked, ROWS))
    assert len(set(checked)) == 4
