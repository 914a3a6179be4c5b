"""What people reported of real vendors, in the bytes that came: what is shown, what is requested again, what
is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from audience_mcp.catalog.models import AudienceList
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Answer, Asked
from tests.contract.cases import CASES
from tests.faults.counts import COUNTS
from tests.faults.reported import Otherwise, report_of, reported
from tests.vendors.brevo.case import a_list as a_brevo_list
from tests.vendors.klaviyo.case import a_list as a_klaviyo_list
from tests.vendors.klaviyo.case import a_segment as a_klaviyo_segment
from tests.vendors.mailchimp.case import a_list, a_segment

pytestmark = pytest.mark.anyio

COUNTING = [name for name, case in CASES.items() if case.vendor.has_counts]
CAPTCHA = "<!DOCTYPE html><html><title>Just a moment...</title></html>"


def otherwise(answer: Answer, *ends: str, times: int = -1, **query: str) -> Otherwise:
    """This answer for requests whose path ends so, and with these parameters; so many times."""
    left = [times]

    def answered(asked: Asked) -> Answer | None:
        if not asked.path.endswith(ends) or any(asked.query.get(k) != [v] for k, v in query.items()):
            return None
        if not left[0]:
            return None
        left[0] -= 1
        return answer

    return answered


# A look-up has two outcomes, the row and its size


@pytest.mark.parametrize("vendor", [name for name in COUNTING if name in ("customerio", "braze", "shopify")])
@pytest.mark.parametrize(
    ("answer", "kind", "complete"),
    [
        (Answer(403, {"message": "not permitted for this API key"}), "forbidden", True),
        (Answer(429, {"message": "slow down"}, {"Retry-After": "1500"}), "rate_limited", False),
        (Answer(503, {"message": "maintenance"}), "unavailable", False),
    ],
    ids=["403", "429", "503"],
)
async def test_a_size_that_fails_leaves_the_row_that_came_and_says_why(
    vendor: str, answer: Answer, kind: str, complete: bool
) -> None:
    case = CASES[vendor]
    counts = COUNTS[case.vendor.name]
    async with reported(case, case.rows, lambda asked: answer if counts(asked) else None) as there:
        found = await there.get(case.id_of(case.sample))
    (row,) = found.audiences
    assert (row.id, row.size) == (case.id_of(case.sample), None)
    assert row.size_note
    report = report_of(found)
    assert report.error is not None
    assert (report.error.kind, report.complete, found.complete) == (kind, complete, complete)
    if kind == "rate_limited":
        assert report.error.retry_after_s == 1500


# A count that is refused for good, and what it leaves alone


@pytest.mark.parametrize("refused", ["lists", "segments"])
@pytest.mark.parametrize(("status", "kind"), [(401, "unauthorized"), (403, "forbidden")])
async def test_sizes_that_this_key_may_not_count_are_not_asked_for_again_and_starve_no_others(
    status: int, kind: str, refused: str
) -> None:
    case = CASES["klaviyo"]
    lists = [a_klaviyo_list(f"L{n}", f"List {n}", 10 * n) for n in range(1, 11)]
    segments = [a_klaviyo_segment(f"S{n}", f"Segment {n}", 100 * n) for n in range(1, 4)]
    refusal = {
        "errors": [{"status": 403, "code": "permission_denied", "detail": "missing scopes: lists:write"}]
    }

    def is_refused(asked: Asked) -> bool:
        of_lists = "additional-fields[list]" in asked.query
        return of_lists if refused == "lists" else asked.path.endswith("/segment-values-reports")

    def answered(asked: Asked) -> Answer | None:
        return Answer(status, refusal) if is_refused(asked) else None

    left = (600, 10) if refused == "lists" else (550, 3)
    async with reported(case, [*lists, *segments], answered, AUDIENCE_MCP_CACHE_S="0") as there:
        answers = [await there.list() for _ in range(3)]
        counts = [asked for asked in there.asked if is_refused(asked)]
    for answer in answers:
        assert (answer.sum_of_sizes, answer.unknown_sizes, answer.sizes_pending) == (*left, None)
        assert answer.complete
        error = report_of(answer).error
        assert error is not None
        assert error.kind == kind
        assert f"sizes of {refused} could not be counted" in error.message
        assert all(
            (row.size_note or "").startswith("not counted: ") for row in answer.audiences if row.size is None
        )
    assert len(counts) <= case.vendor.at_once


async def test_a_refused_count_is_tried_again_after_an_hour() -> None:
    case = CASES["customerio"]
    counts = COUNTS[case.vendor.name]
    refused = [True]

    def answered(asked: Asked) -> Answer | None:
        return Answer(403, {}) if counts(asked) and refused[0] else None

    async with reported(case, case.some(6), answered, AUDIENCE_MCP_CACHE_S="0") as there:
        assert (await there.list()).unknown_sizes == 6
        refused[0] = False
        assert (await there.list()).unknown_sizes == 6
        there.clock.advance(3601)
        assert (await there.list()).unknown_sizes == 0


async def test_one_audience_whose_count_is_refused_leaves_the_others_their_sizes() -> None:
    case = CASES["customerio"]
    rows = case.some(8)
    refusing = otherwise(Answer(403, {}), f"/{case.new_id(3)}/customer_count")
    async with reported(case, rows, refusing) as there:
        answer = await there.list()
    assert (answer.unknown_sizes, answer.complete) == (1, True)


# A pause belongs to the kind of request that got it


async def test_a_pause_of_one_endpoint_leaves_the_others_as_they_are() -> None:
    case = CASES["klaviyo"]
    rows = [a_klaviyo_list("L1", "List", 10), a_klaviyo_segment("S1", "Segment", 20)]
    paused = Answer(429, {"errors": []}, {"Retry-After": "31000"})
    async with reported(
        case, rows, otherwise(paused, "segment-values-reports"), AUDIENCE_MCP_CACHE_S="0"
    ) as there:
        answer = await there.list()
        assert {row.name: row.size for row in answer.audiences} == {"List": 10, "Segment": None}
        error = report_of(answer).error
        assert error is not None
        assert (error.kind, error.retry_after_s, answer.complete) == ("rate_limited", 31000, False)
        there.clock.advance(60)
        again = await there.list(refresh=True)
        assert {row.name: row.size for row in again.audiences} == {"List": 10, "Segment": None}
        assert any(asked.path.endswith("/lists") for asked in there.since())
        assert (await there.get("list-L1")).audiences[0].size == 10


# Deleted audiences


async def test_a_deleted_list_is_not_found_and_the_vendor_says_when_it_was_deleted() -> None:
    case = CASES["hubspot"]
    deleted = {
        "list": {
            "listId": "68",
            "listVersion": 1,
            "createdAt": "2025-04-29T19:55:17.427Z",
            "updatedAt": "2025-05-02T21:00:14.271Z",
            "deletedAt": "2025-05-02T21:00:14.271Z",
            "processingStatus": "PROCESSING",
            "processingType": "MANUAL",
            "objectTypeId": "0-1",
            "name": "Test List",
        }
    }
    async with reported(case, case.rows, otherwise(Answer(200, deleted), "/68")) as there:
        with pytest.raises(ToolError, match="deleted on 2025-05-02"):
            await there.get("68")


async def test_a_listed_row_that_was_deleted_has_no_size_and_is_in_no_sum() -> None:
    case = CASES["hubspot"]
    rows = [*case.some(2), {**case.some(3)[2], "deletedAt": "2025-05-02T21:00:14.271Z"}]
    async with reported(case, rows, lambda asked: None) as there:
        answer = await there.list()
    assert (answer.sum_of_sizes, answer.unknown_sizes) == (2001, 1)
    assert [row.size_note for row in answer.audiences if row.size is None] == ["deleted"]


# One listing that fails


def readers_of_ten_lists() -> list[dict[str, object]]:
    lists = [a_list(f"{n:010x}", f"List {n}", 100) for n in range(10)]
    return [*lists, *(a_segment(f"{n:010x}", 10 * n + m, f"S{n}{m}", 5) for n in range(10) for m in range(3))]


GATEWAY = Answer(504, "<html>504 Gateway Time-out</html>")


async def test_a_listing_that_fails_in_passing_costs_only_itself_and_is_named() -> None:
    case = CASES["mailchimp"]
    async with reported(case, readers_of_ten_lists(), otherwise(GATEWAY, "/0000000001/segments")) as there:
        answer = await there.list(limit=0)
        assert (answer.matched, answer.complete) == (37, False)
        error = report_of(answer).error
        assert error is not None
        assert error.kind == "unavailable"
        assert "segments of list 'List 1' could not be read" in error.message
        assert "HTTP 504" in error.message
        before = len(there.asked)
        again = await there.list(limit=0)
        assert again.matched == 37
        assert {asked.path for asked in there.asked[before:]} == {"/3.0/lists/0000000001/segments"}


async def test_a_page_that_took_too_long_is_requested_in_smaller_ones() -> None:
    case = CASES["mailchimp"]

    def answered(asked: Asked) -> Answer | None:
        large = asked.query.get("count") == ["1000"] and asked.path.endswith("/0000000001/segments")
        return GATEWAY if large else None

    async with reported(case, readers_of_ten_lists(), answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (40, True)


async def test_a_listing_that_was_refused_is_requested_again_by_the_next_call_and_nothing_else_is() -> None:
    case = CASES["mailchimp"]
    refused = [True]

    def answered(asked: Asked) -> Answer | None:
        return (
            Answer(403, {"status": 403})
            if refused[0] and asked.path.endswith("/0000000001/segments")
            else None
        )

    async with reported(case, readers_of_ten_lists(), answered) as there:
        assert (await there.list(limit=0)).matched == 37
        refused[0] = False
        whole = await there.list(limit=0)
        assert (whole.matched, whole.complete) == (40, True)
        assert [asked.path for asked in there.since()] == ["/3.0/lists/0000000001/segments"]


async def test_a_source_that_is_down_is_not_asked_for_every_page() -> None:
    case = CASES["mailchimp"]
    async with reported(case, readers_of_ten_lists(), otherwise(Answer(503, {}), "/segments")) as there:
        answer = await there.list(limit=0)
    assert answer.matched == 10
    assert len(there.asked) < 20


def segments_of(*numbers: int) -> Callable[[Asked], bool]:
    """Tells the requests for the segments of these lists."""
    ends = tuple(f"/{n:010x}/segments" for n in numbers)
    return lambda asked: asked.path.endswith(ends)


@pytest.mark.parametrize("status", [500, 503, 504, 524])
@pytest.mark.parametrize("lost", [(0, 1, 2), (7, 8, 9), (0, 1, 2, 3, 4), (1, 3, 5, 7, 9)])
async def test_however_many_listings_fail_in_passing_the_others_are_read_and_each_is_named(
    lost: Sequence[int], status: int
) -> None:
    of_those = segments_of(*lost)

    def answered(asked: Asked) -> Answer | None:
        return Answer(status, {}) if of_those(asked) else None

    async with reported(CASES["mailchimp"], readers_of_ten_lists(), answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (40 - 3 * len(lost), False)
    error = report_of(answer).error
    assert error is not None
    said = " ".join((error.message, *(answer.notes or ())))
    assert f"could not be read. Mailchimp (127.0.0.1) is temporarily unavailable (HTTP {status})" in said
    for n in range(10):
        assert (f"segments of list 'List {n}'" in said) is (n in lost)


async def lose_segments_of_list_4(status: int, body: object) -> tuple[AudienceList, str]:
    """The answer where these alone are answered so, and the words of its error."""
    one = segments_of(4)

    def answered(asked: Asked) -> Answer | None:
        return Answer(status, body) if one(asked) else None

    async with reported(CASES["mailchimp"], readers_of_ten_lists(), answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (37, False)
    error = report_of(answer).error
    assert error is not None
    assert "segments of list 'List 4' could not be read" in error.message
    return answer, error.message


@pytest.mark.parametrize("body", [{"title": "no"}, CAPTCHA], ids=["JSON", "a web page"])
@pytest.mark.parametrize("status", [401, 429])
async def test_one_listing_that_is_refused_or_throttled_alone_costs_no_other(
    status: int, body: object
) -> None:
    await lose_segments_of_list_4(status, body)


@pytest.mark.parametrize("status", [401, 429])
async def test_a_key_that_is_refused_or_throttled_in_mid_reading_is_not_tried_page_by_page(
    status: int,
) -> None:
    async with reported(
        CASES["mailchimp"], readers_of_ten_lists(), otherwise(Answer(status, {}), "/segments")
    ) as there:
        answer = await there.list(limit=0)
        assert (answer.matched, answer.complete) == (10, False)
        assert len({asked.path for asked in there.asked}) <= 5  # the lists, and as many as go out at once
    error = report_of(answer).error
    assert error is not None
    assert "segments of list 'List " in error.message
    assert any("5 other parts" not in note and "4 other parts" in note for note in answer.notes or ())


@pytest.mark.parametrize("status", [400, 404, 405, 410])
async def test_a_web_page_does_not_say_that_a_list_was_deleted(status: int) -> None:
    answer, said = await lose_segments_of_list_4(status, CAPTCHA)
    assert f"a web page in place of data (HTTP {status}). Check MAILCHIMP_BASE_URL" in said
    assert "deleted" not in str(answer)


@pytest.mark.parametrize(
    ("vendor", "end"), [("activecampaign", "/api/3/audiences"), ("beehiiv", "/newsletter_lists")]
)
async def test_a_web_page_does_not_say_that_an_account_has_no_such_listing(vendor: str, end: str) -> None:
    case = CASES[vendor]
    async with reported(case, case.some(3), otherwise(Answer(404, CAPTCHA), end)) as there:
        assert not (await there.list()).complete
    async with reported(case, case.some(3), otherwise(Answer(404, {}), end)) as there:
        assert (await there.list()).complete


async def test_listings_that_are_shorter_than_they_say_are_each_named() -> None:
    short = segments_of(2, 5)

    def altered(asked: Asked, answer: Answer) -> Answer:
        body: Any = answer.body
        return Answer(200, body | {"total_items": 9}) if short(asked) else answer

    async with reported(CASES["mailchimp"], readers_of_ten_lists(), altered=altered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (40, False)
    error = report_of(answer).error
    assert error is not None
    said = " ".join((error.message, *(answer.notes or ())))
    for n in (2, 5):
        assert f"segments of list 'List {n}' were not read to their end. The vendor" in said


async def test_a_page_that_cannot_be_used_is_not_counted_twice_when_it_is_requested_again() -> None:
    one, spoiled = segments_of(4), [True]

    def altered(asked: Asked, answer: Answer) -> Answer:
        body: Any = answer.body
        if not one(asked) or not spoiled[0]:
            return answer
        return Answer(200, body | {"segments": [{"name": row["name"]} for row in body["segments"]]})

    async with reported(CASES["mailchimp"], readers_of_ten_lists(), altered=altered) as there:
        answer = await there.list(limit=0)
        assert (answer.matched, answer.complete) == (37, False)
        error = report_of(answer).error
        assert error is not None
        assert "segments of list 'List 4' could not be read. The vendor sent 3 rows, none of" in error.message
        spoiled[0] = False
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (40, True)
    assert not any("skipped" in note for note in answer.notes or ())


# Null for an empty array


@pytest.mark.parametrize(
    ("vendor", "end", "body"),
    [
        ("brevo", "/segments", {"count": 0, "segments": None}),
        ("customerio", "/segments", {"segments": None}),
        ("batch", "/audiences/list", {"audiences": None, "has_more": False, "count": 0}),
        ("sendgrid", "/segments/2.0", {"results": None, "_metadata": {}}),
        ("braze", "/segments/list", {"message": "success", "segments": None}),
    ],
)
async def test_null_for_the_rows_is_an_empty_page_where_the_vendor_says_that_nothing_follows(
    vendor: str, end: str, body: object
) -> None:
    async with reported(CASES[vendor], [], otherwise(Answer(200, body), end)) as there:
        answer = await there.list()
    assert (answer.matched, answer.complete) == (0, True)


async def test_null_beside_a_count_of_rows_is_an_error() -> None:
    body = {"count": 7, "segments": None}
    async with reported(
        CASES["brevo"], [a_brevo_list(1, "L", 5)], otherwise(Answer(200, body), "/segments")
    ) as there:
        answer = await there.list()
    assert (answer.matched, answer.complete) == (1, False)
    error = report_of(answer).error
    assert error is not None
    assert error.kind == "bad_response"
    assert "segments could not be read" in error.message


# Statuses that pass, and pages of what stands in front


@pytest.mark.parametrize("status", [520, 522, 525, 530])
async def test_a_status_of_what_stands_in_front_passes(status: int) -> None:
    passing = otherwise(Answer(status, CAPTCHA), "/lists", times=1)
    async with reported(CASES["brevo"], CASES["brevo"].rows, passing) as there:
        assert (await there.list()).complete


@pytest.mark.parametrize("vendor", ["onesignal", "mailchimp", "brevo", "hubspot"])
async def test_a_web_page_under_403_is_no_word_of_the_vendors_about_the_key(vendor: str) -> None:
    case = CASES[vendor]
    async with reported(case, case.rows, lambda asked: Answer(403, CAPTCHA)) as there:
        with pytest.raises(ToolError) as caught:
            await there.list()
    said = str(caught.value)
    assert "answered with a web page in place of data (HTTP 403)" in said
    assert "the key may be right" in said
    assert "refused the key" not in said


# Bytes


@pytest.mark.parametrize(
    ("odd", "shown"),
    [(b"\xc3", "K\ufffdufer"), (b"\xe4", "K\ufffdufer"), (b"\x0b", "K ufer"), (b"\t", "K ufer")],
)
async def test_one_bad_byte_in_a_name_costs_a_letter_and_no_page(odd: bytes, shown: str) -> None:
    rows = [a_brevo_list(n, "Käufer" if n == 1 else f"List {n}", 10) for n in (1, 2, 3)]
    body = json.dumps({"lists": rows, "count": 3}, ensure_ascii=False).encode()
    body = body.replace("ä".encode(), odd)
    async with reported(CASES["brevo"], [], otherwise(Answer(200, body), "/lists")) as there:
        answer = await there.list(sort="name")
    assert sorted(row.name for row in answer.audiences) == sorted([shown, "List 2", "List 3"])
    assert answer.complete


async def test_a_cursor_that_holds_a_bad_byte_is_not_sent() -> None:
    body = b'{"results": [{"listId": "1", "name": "A"}], "paging": {"next": {"after": "Mj\xff"}}}'
    async with reported(CASES["hubspot"], [], lambda asked: Answer(200, body)) as there:
        answer = await there.list()
        assert (answer.matched, answer.complete) == (1, False)
        assert len(there.asked) == 1
    error = report_of(answer).error
    assert error is not None
    assert "sent a cursor that is not text" in error.message


async def test_an_id_that_holds_a_bad_byte_is_a_broken_row_and_that_is_told() -> None:
    rows = b'{"id": "a\xc3b", "name": "odd", "count": 1}, {"id": "7f", "name": "ok", "count": 2}'
    body = b'{"segments": [' + rows + b"]}"
    async with reported(CASES["intercom"], [], otherwise(Answer(200, body), "/segments")) as there:
        answer = await there.list()
    assert [row.id for row in answer.audiences] == ["7f"]
    assert any("1 row without a usable id" in note for note in answer.notes or [])


# Too big


async def test_a_page_that_is_too_big_is_halved_at_once_and_the_rest_keeps_the_size_that_worked() -> None:
    case = CASES["meta"]
    rows = case.some(130)

    def answered(asked: Asked) -> Answer | None:
        error = {
            "code": 1,
            "message": "Please reduce the amount of data you're asking for, then retry your request",
        }
        return Answer(500, {"error": error}) if int(asked.query.get("limit", ["0"])[0]) > 50 else None

    async with reported(case, rows, answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (130, True)
    sizes = [int(asked.query["limit"][0]) for asked in there.asked]
    assert sizes == [200, 100, 50, 50, 50]


@pytest.mark.parametrize(
    "body",
    [
        {"message": "The limit is fine.", "errors": {"page": ["The page must be an integer."]}},
        {"message": "The page is not there.", "query": {"limit": "250", "page": "1"}},
    ],
)
async def test_an_invalid_request_that_is_not_refused_for_its_size_is_not_asked_for_in_parts(
    body: object,
) -> None:
    case = CASES["mailerlite"]
    async with reported(case, case.some(3), otherwise(Answer(422, body), "/segments")) as there:
        answer = await there.list()
    assert (answer.matched, answer.complete) == (3, False)
    error = report_of(answer).error
    assert error is not None
    assert "segments could not be read" in error.message
    assert "rejected the request (HTTP 422)" in error.message
    assert sum(asked.path.endswith("/segments") for asked in there.asked) == 1


async def test_counts_that_never_fit_into_a_shops_bucket_are_asked_for_in_smaller_batches() -> None:
    case = CASES["shopify"]

    def answered(asked: Asked) -> Answer | None:
        number = asked.body.count(b": ID!")
        if b"AudienceSizes" not in asked.body or number <= 13:
            return None
        cost = {
            "requestedQueryCost": 3 * number,
            "throttleStatus": {"maximumAvailable": 40.0, "currentlyAvailable": 40, "restoreRate": 2.0},
        }
        throttled = [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]
        return Answer(200, {"data": None, "errors": throttled, "extensions": {"cost": cost}})

    async with reported(case, case.some(20), answered) as there:
        answer = await there.list()
    assert (answer.unknown_sizes, answer.complete) == (0, True)


# 0 while it is still processed


async def test_a_0_that_is_still_processed_is_not_a_size() -> None:
    case = CASES["hubspot"]
    row = {**case.sample, "processingStatus": "PROCESSING", case.size: 0}
    async with reported(case, [row], lambda asked: None) as there:
        answer = await there.list()
        assert (await there.list(max_size=10)).matched == 0
    (shown,) = answer.audiences
    assert (shown.size, shown.status) == (None, "processing")
    assert shown.size_note


# A cursor that is always new


async def test_a_cursor_that_is_always_new_over_the_same_rows_ends_after_twenty_pages() -> None:
    case = CASES["pinterest"]
    pages = iter(range(1000))

    def answered(asked: Asked) -> Answer | None:
        if asked.query.get("ownership_type") != ["OWNED"]:
            return None
        return Answer(200, {"items": case.some(3), "bookmark": f"c{next(pages)}"})

    async with reported(case, [], answered) as there:
        answer = await there.list()
    assert (answer.matched, answer.complete) == (3, False)
    assert len(there.asked) == 1 + 21
    error = report_of(answer).error
    assert error is not None
    assert "20 pages in a row without one new audience" in error.message
