"""Lists and their pages, and single audiences."""

import base64
from datetime import datetime, timezone
from typing import Any

import pytest

from audience_mcp.sandbox.batch import is_segment
from audience_mcp.sandbox.data import SMALLEST_UNLISTED, made_up
from tests.sandbox.conftest import Caller

pytestmark = pytest.mark.anyio


async def batch_pages(call: Caller, listed: str = "audiences", **query: Any) -> list[dict[str, Any]]:
    """Every page of a list of Batch, following the cursor for as long as there is more."""
    pages = [(await call.get("batch", f"{listed}/list", **query)).json()]
    while pages[-1]["has_more"]:
        following = {**query, "from": pages[-1]["next_from"]}
        pages.append((await call.get("batch", f"{listed}/list", **following)).json())
    return pages


async def whop_pages(call: Caller, **query: Any) -> list[dict[str, Any]]:
    """Every page of Whop, following the cursor for as long as there is a next page."""
    pages = [(await call.get("whop", "audiences", **query)).json()]
    while pages[-1]["page_info"]["has_next_page"]:
        following = {**query, "after": pages[-1]["page_info"]["end_cursor"]}
        pages.append((await call.get("whop", "audiences", **following)).json())
    return pages


async def test_commbox_sends_everything_in_its_envelope(call: Caller) -> None:
    answer = await call.get("commbox", "audiences")
    body = answer.json()
    assert (answer.status_code, body["status"], body["description"]) == (200, "200", "Audiences retrieved")
    assert body["data"] == made_up()["commbox"]


async def test_smallest_sends_everything_in_its_envelope(call: Caller) -> None:
    assert (await call.get("smallest", "audience")).json() == {"status": True, "data": made_up()["smallest"]}


@pytest.mark.parametrize("limit", ["100", "7"])
async def test_batch_pages_reach_every_audience_once(call: Caller, limit: str) -> None:
    pages = await batch_pages(call, limit=limit)
    audiences = [row for row in made_up()["batch"] if not is_segment(row)]
    assert [row for page in pages for row in page["audiences"]] == audiences
    assert [len(page["audiences"]) for page in pages[:-1]] == [int(limit)] * (len(pages) - 1)


async def test_batch_lists_its_segments_apart_by_code_and_without_a_size(call: Caller) -> None:
    pages = await batch_pages(call, "segments", limit="2")
    rows = [row for page in pages for row in page["segments"]]
    assert [len(page["segments"]) for page in pages] == [2, 2, 1]
    assert pages[0]["count"] == len(rows)
    assert {name for row in rows for name in row} == {"code", "display_name", "created_at", "updated_at"}
    assert [row["code"] for row in rows] == [row["code"] for row in made_up()["batch"] if is_segment(row)]


@pytest.mark.parametrize("first", ["100", "7"])
async def test_whop_pages_reach_every_audience_once(call: Caller, first: str) -> None:
    pages = await whop_pages(call, first=first)
    assert [row for page in pages for row in page["data"]] == made_up()["whop"]
    assert [len(page["data"]) for page in pages[:-1]] == [int(first)] * (len(pages) - 1)


async def test_pages_are_small_unless_asked(call: Caller) -> None:
    assert len((await call.get("batch", "audiences/list")).json()["audiences"]) == 10
    assert len((await call.get("whop", "audiences")).json()["data"]) == 20


async def test_batch_counts_on_its_first_page_and_has_no_cursor_on_its_last(call: Caller) -> None:
    first, *middle, last = await batch_pages(call, limit="100")
    assert first["count"] == 230
    assert all("count" not in page for page in [*middle, last])
    assert "next_from" not in last


@pytest.mark.parametrize("number", [100, 200])
async def test_a_page_that_ends_with_the_last_row_is_the_last(call: Caller, number: int) -> None:
    call.sandbox.rows["batch"] = [*made_up()["batch"][:number]]
    call.sandbox.rows["whop"] = [*made_up()["whop"][:number]]
    assert len(await batch_pages(call, limit="100")) == number / 100
    assert len(await whop_pages(call, first="100")) == number / 100


async def test_a_batch_cursor_is_not_a_row_or_page_number(call: Caller) -> None:
    cursors = [page["next_from"] for page in (await batch_pages(call, limit="100"))[:-1]]
    assert len(set(cursors)) == 2
    for cursor in cursors:
        assert not cursor.isdigit()
        assert not base64.urlsafe_b64decode(cursor).isdigit()


async def test_whop_has_a_cursor_even_on_its_last_page(call: Caller) -> None:
    first, middle, last = [page["page_info"] for page in await whop_pages(call, first="100")]
    assert last["end_cursor"]
    assert [page["has_next_page"] for page in (first, middle, last)] == [True, True, False]
    assert [page["has_previous_page"] for page in (first, middle, last)] == [False, True, True]
    assert first["start_cursor"] == "WyJjdXJzb3IiLDFd"


async def test_going_on_after_whops_last_page_gives_nothing(call: Caller) -> None:
    *_, last = await whop_pages(call, first="100")
    beyond = (await call.get("whop", "audiences", after=last["page_info"]["end_cursor"])).json()
    assert beyond["data"] == []
    assert beyond["page_info"] == {
        "end_cursor": None,
        "start_cursor": None,
        "has_next_page": False,
        "has_previous_page": True,
    }


async def test_an_account_without_audiences_has_empty_lists(call: Caller) -> None:
    for rows in call.sandbox.rows.values():
        rows.clear()
    assert (await call.get("commbox", "audiences")).json()["data"] == []
    assert (await call.get("smallest", "audience")).json()["data"] == []
    assert (await call.get("batch", "audiences/list")).json() == {
        "audiences": [],
        "count": 0,
        "has_more": False,
    }
    assert (await call.get("whop", "audiences")).json()["page_info"]["end_cursor"] is None


async def test_batch_shows_one_audience_by_its_exact_name(call: Caller) -> None:
    row = next(row for row in call.sandbox.rows["batch"] if row["name"] == "VIP")
    assert (await call.get("batch", "audiences/view", name="VIP")).json() == row
    assert (await call.get("batch", "audiences/view", name="VIP", indexing_token="t")).json() == row
    answer = await call.get("batch", "audiences/view", name="vip")
    assert answer.status_code == 404
    assert answer.json().keys() == {"error_code", "error_message"}


async def test_batch_needs_a_name_to_show_an_audience(call: Caller) -> None:
    assert (await call.get("batch", "audiences/view")).status_code == 400
    assert (await call.get("batch", "audiences/view", name="")).status_code == 400


async def test_smallest_shows_one_audience_without_its_size_and_campaigns(call: Caller) -> None:
    row = call.sandbox.rows["smallest"][0]
    body = (await call.get("smallest", f"audience/{row['_id']}")).json()
    assert body["status"] is True
    assert body["data"] == {
        k: v for k, v in row.items() if k not in ("memberCount", "hasCampaigns", "campaigns")
    }


async def test_smallest_knows_an_audience_by_id_that_its_list_lacks(call: Caller) -> None:
    id = SMALLEST_UNLISTED["_id"]
    assert (await call.get("smallest", f"audience/{id}")).json()["data"] == SMALLEST_UNLISTED
    assert id not in [row["_id"] for row in (await call.get("smallest", "audience")).json()["data"]]


@pytest.mark.parametrize(("id", "status"), [("0" * 24, 404), ("VIP", 400), ("F" * 24, 400)])
async def test_smallest_tells_an_unknown_id_from_a_malformed_one(call: Caller, id: str, status: int) -> None:
    answer = await call.get("smallest", f"audience/{id}")
    assert answer.status_code == status
    assert answer.json()["status"] is False


async def test_whop_filters_by_id(call: Caller) -> None:
    row = call.sandbox.rows["whop"][123]
    body = (await call.get("whop", "audiences", audience_id=row["id"])).json()
    assert body["data"] == [row]
    assert body["page_info"]["has_next_page"] is False
    assert (await call.get("whop", "audiences", audience_id="adaud_unknown")).json()["data"] == []


async def test_whop_filters_by_kind_through_all_pages(call: Caller) -> None:
    pages = await whop_pages(call, audience_type="lookalike", first="10")
    found = [row for page in pages for row in page["data"]]
    assert found == [row for row in call.sandbox.rows["whop"] if row["audience_type"] == "lookalike"]
    assert len(pages) > 1


@pytest.mark.parametrize("date", [None, "2025-01-01", "2026-07-08-1"])
async def test_whop_writes_unix_seconds_in_older_versions(call: Caller, date: str | None) -> None:
    body = (await call.get("whop", "audiences", header_api_version_date=date)).json()
    assert body["data"] == call.sandbox.rows["whop"][:20]
    assert all(isinstance(row["created_at"], int) for row in body["data"])


@pytest.mark.parametrize("date", ["2026-07-18", "2026-10-15-1"])
async def test_whop_writes_iso_times_of_the_same_instants_in_newer_versions(call: Caller, date: str) -> None:
    body = (await call.get("whop", "audiences", first="100", header_api_version_date=date)).json()
    for row, held in zip(body["data"], call.sandbox.rows["whop"], strict=False):
        for key in ("created_at", "updated_at"):
            instant = datetime.strptime(row[key], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
            assert instant.timestamp() == held[key]
        assert row.keys() == held.keys()


async def test_rows_of_any_kind_are_served_as_they_are(call: Caller) -> None:
    broken: list[object] = [
        7,
        None,
        "text",
        [],
        {},
        {"id": 12, "name": None},
        {"name": "half a pair \ud83c"},
        {"created_at": "soon"},
    ]
    for vendor in call.sandbox.rows:
        call.sandbox.rows[vendor] = list(broken)
    assert (await call.get("commbox", "audiences")).json()["data"] == broken
    assert (await call.get("smallest", "audience")).json()["data"] == broken
    assert (await call.get("batch", "audiences/list")).json()["audiences"] == broken
    assert (await call.get("whop", "audiences", header_api_version_date="2026-10-15")).json()[
        "data"
    ] == broken
    assert (await call.get("batch", "audiences/view", name="VIP")).status_code == 404
