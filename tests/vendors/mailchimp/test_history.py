"""Mailchimp remembers how big a list was at the end of each month."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mailchimp_marketing
import pytest
from anyio.to_thread import run_sync

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.sandbox import mailchimp as api
from audience_mcp.sandbox.answers import answer_as
from audience_mcp.testing import serve_api
from audience_mcp.vendors import Request, Row
from audience_mcp.vendors.mailchimp import Mailchimp
from tests.vendors.mailchimp.case import a_list, a_segment
from tests.vendors.past import asking, past_in, request_for, sizes_then

pytestmark = pytest.mark.anyio

MAILCHIMP = Mailchimp()
HELD = Row("list-0a1b2c3d4e", "Spring readers", kind="list")
MONTHS = ["2026-11", "2026-10", "2026-09", "2026-08"]
ROWS = [
    {**a_list("0a1b2c3d4e", "Spring readers", 418), "date_created": "2025-02-03T04:05:06+00:00"},
    a_segment("0a1b2c3d4e", 880_011, "Bought twice", 35),
]


def a_month(month: str, subscribed: object) -> dict[str, object]:
    """As live answers are: the deprecated figures are 0, the others came and went within the month."""
    flows = {"unsubscribed": 9, "reconfirm": 0, "cleaned": 1, "pending": 3, "deleted": 0, "transactional": 0}
    return {
        "list_id": "0a1b2c3d4e",
        "month": month,
        "existing": 0,
        "imports": 0,
        "optins": 0,
        "subscribed": subscribed,
        **flows,
    }


def imitated(sizes: Sequence[object], rows: Sequence[Any] = ROWS, status: int = 200) -> Any:
    """Mailchimp, whose list had these sizes at the ends of the last months and has the first one in this."""
    path = re.compile(r"/3\.0/lists/([0-9a-f]{10})/growth-history", re.ASCII)

    def answer(asked: Asked) -> Answer:
        if path.fullmatch(asked.path) is None or "authorization" not in asked.headers:
            return answer_as(api, asked, rows)
        if status != 200:
            return Answer(status, {"title": "Forbidden", "status": status})
        count = int(asked.query.get("count", ["10"])[0])
        history = [a_month(month, size) for month, size in zip(MONTHS, sizes, strict=False)]
        return Answer(200, {"history": history[:count], "list_id": "0a1b2c3d4e", "total_items": len(history)})

    return answer


def variables(origin: str) -> Mapping[str, str]:
    return {"MAILCHIMP_API_KEY": api.KEY, "MAILCHIMP_BASE_URL": f"{origin}/3.0"}


def test_all_months_are_asked_for_at_once_and_nothing_but_what_is_used() -> None:
    assert request_for(MAILCHIMP, [HELD], {}) == Request(
        "lists/0a1b2c3d4e/growth-history",
        {"count": "1000", "fields": "history.month,history.subscribed,total_items"},
    )


def test_of_a_month_only_the_subscribed_at_its_end_count() -> None:
    body = {"history": [a_month("2026-10", 412), a_month("2026-09", None)]}
    past = past_in(MAILCHIMP, [HELD], body, {})
    assert past == {"0a1b2c3d4e": [("2026-10", 412), ("2026-09", None)]}
    with pytest.raises(UnexpectedShape):
        past_in(MAILCHIMP, [HELD], {"total_items": 0}, {})


async def test_growth_since_a_month_end_is_known_on_the_first_day(tmp_path: Path) -> None:
    async with asking(MAILCHIMP, tmp_path, imitated([417, 400, 380]), variables) as there:
        answer = await there.compare("2026-10-31", kind="list")
    assert sizes_then(answer) == {"list-0a1b2c3d4e": (400, "vendor", None)}
    assert [each.change for each in answer.audiences] == [18]
    assert answer.sources[0].compared_to == "2026-10-31"


async def test_a_month_end_serves_as_long_as_it_is_near_and_is_named(tmp_path: Path) -> None:
    async with asking(MAILCHIMP, tmp_path, imitated([417, 400, 380]), variables) as there:
        near = await there.compare("2026-11-08", kind="list")
        far = await there.compare("2026-11-18", kind="list")
    assert sizes_then(near) == {"list-0a1b2c3d4e": (400, "vendor", None)}
    assert near.sources[0].compared_to == "2026-10-31"
    assert sizes_then(far) == {"list-0a1b2c3d4e": (None, None, None)}
    assert [note for note in far.notes or () if "its last before is of 2026-10-31" in note]
    assert len(there.paths("growth-history")) == 1


async def test_the_running_month_is_no_month_end(tmp_path: Path) -> None:
    async with asking(MAILCHIMP, tmp_path, imitated([417]), variables) as there:
        answer = await there.compare("2026-11-18", kind="list")
        there.clock.advance(15 * 86_400)  # the 5th of December
        await there.compare("2026-12-01", kind="list", refresh=True)
    assert sizes_then(answer) == {"list-0a1b2c3d4e": (None, None, None)}
    assert not [note for note in answer.notes or () if "2026-11-30" in note]
    assert len(there.paths("growth-history")) == 2  # once a month, when there is another month end


async def test_segments_have_no_record_and_none_is_asked_for(tmp_path: Path) -> None:
    async with asking(MAILCHIMP, tmp_path, imitated([417, 400]), variables) as there:
        answer = await there.compare("2026-10-31")
    assert sizes_then(answer)["segment-0a1b2c3d4e.880011"] == (None, None, None)
    assert len(there.paths("growth-history")) == 1
    assert answer.compared is not None
    assert (answer.compared.from_vendor, answer.compared.unknown) == (1, 1)


async def test_a_record_that_is_refused_is_a_note_and_the_answer_is_complete(tmp_path: Path) -> None:
    async with asking(MAILCHIMP, tmp_path, imitated([417, 400], status=403), variables) as there:
        answer = await there.compare("2026-10-31", kind="list")
    assert (answer.complete, answer.sum_of_sizes, answer.sources[0].error) == (True, 418, None)
    assert [
        note for note in answer.notes or () if "does not give its own record of sizes to this key" in note
    ]


async def test_mailchimps_own_sdk_reads_the_same_month_ends() -> None:
    def theirs(origin: str) -> list[tuple[object, object]]:
        sdk = mailchimp_marketing.Client()
        sdk.set_config({"api_key": api.KEY})
        sdk.api_client.host = f"{origin}/3.0"
        told = sdk.lists.get_list_growth_history("0a1b2c3d4e", count=1000)
        return [(each["month"], each["subscribed"]) for each in told["history"]]

    answer = imitated([417, 400, 380])
    async with serve_api(answer) as (origin, asked):
        read = await run_sync(theirs, origin)
    body = answer(asked[0]).body
    assert past_in(MAILCHIMP, [HELD], body, {}) == {"0a1b2c3d4e": read}
    assert asked[0].path == f"/3.0/{request_for(MAILCHIMP, [HELD], {}).path}"
