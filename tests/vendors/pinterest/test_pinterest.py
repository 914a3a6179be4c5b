"""Pinterest: what is owned and what was received, and sizes of audiences that are being filled."""

from __future__ import annotations

import pytest

from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.config import load_configuration
from audience_mcp.sources.responses import describe_status
from audience_mcp.testing.asking import open_case
from audience_mcp.vendors.pinterest import Pinterest
from tests.vendors import bodies
from tests.vendors.bodies import account, first_requests, page_of
from tests.vendors.documents import exchanged, needs_documents
from tests.vendors.pinterest import api
from tests.vendors.pinterest.case import CASE, ROWS, row, served

pytestmark = pytest.mark.anyio

VENDOR = Pinterest()
OWNED, RECEIVED = first_requests(VENDOR, {"account": "1"})


def test_what_is_owned_and_what_was_received_are_two_listings() -> None:
    assert OWNED.path == RECEIVED.path == "ad_accounts/1/audiences"
    assert [each.params["ownership_type"] for each in (OWNED, RECEIVED)] == ["OWNED", "RECEIVED"]


async def test_an_audience_that_was_shared_counts_too_and_says_by_whom() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        answer = await catalog.list_audiences(ListQuery(search="agency", detail="full"))
    (one,) = answer.audiences
    assert answer.complete
    assert (one.size, one.details) == (
        77_000,
        {"audience_type": "CUSTOMER_LIST", "created_by_company_name": "Agency"},
    )


@pytest.mark.parametrize(("bookmark", "more"), [("Y2JV", True), (None, False), ("", False)])
def test_no_bookmark_is_the_end_and_a_short_page_is_not(bookmark: str | None, more: bool) -> None:
    assert page_of(VENDOR, {"items": [{"id": "1"}], "bookmark": bookmark}, OWNED).more is more


def test_a_page_without_a_bookmark_field_is_the_end() -> None:
    assert page_of(VENDOR, {"items": []}, OWNED).more is False


@pytest.mark.parametrize(
    ("status", "size", "shown", "note"),
    [
        ("READY", 0, 0, None),
        ("INITIALIZING", 0, None, "not counted yet; still being filled"),
        ("INITIALIZING", 71, 71, "still being filled"),
        ("TOO_SMALL", 12, 12, "too small to be targeted (under 100)"),
    ],
)
def test_a_zero_while_it_is_being_filled_is_no_size(
    status: str, size: int, shown: int | None, note: str | None
) -> None:
    one = bodies.row(VENDOR, row(1, "n", size, status=status))
    assert one is not None
    assert (one.size, one.size_note) == (shown, note)


@pytest.mark.parametrize(
    ("status", "kind", "says"), [(401, "unauthorized", "30 days"), (403, "forbidden", "ads:read")]
)
def test_an_error_says_what_to_do(status: int, kind: str, says: str) -> None:
    found, text = describe_status(status, account(VENDOR))
    assert (found, says in text) == (kind, True)


@pytest.mark.parametrize("text", ["12a", "1" * 19, "../audiences"])
def test_an_ad_account_is_a_number(text: str) -> None:
    variables = {"PINTEREST_ACCESS_TOKEN": "made-up-token", "PINTEREST_AD_ACCOUNT_ID": text}
    (source,) = load_configuration(variables, [VENDOR]).sources
    assert source.problem is not None
    assert "PINTEREST_AD_ACCOUNT_ID" in source.problem.message


@needs_documents
async def test_requests_and_answers_are_as_pinterests_document_has_them() -> None:
    async with served(ROWS) as there, open_case(CASE, there) as catalog:
        await catalog.list_audiences(ListQuery(limit=0))
        await catalog.get_audience(GetQuery(audience="pinterest:2542620000001", refresh=True))
    checked = exchanged("pinterest", there.asked, lambda asked: api.answer(asked, ROWS))
    assert set(checked) == {
        "/v5/ad_accounts/549755885175/audiences",
        "/v5/ad_accounts/549755885175/audiences/2542620000001",
    }
