"""Batch: a token from page to page, audiences known by their names, and segments that have no size."""

from typing import Any

import pytest

from audience_mcp.catalog.query import GetQuery
from audience_mcp.core.errors import ToolError, UnexpectedShape
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.vendors import Rate, Request
from audience_mcp.vendors.batch import Batch
from tests.contract.cases import CASES
from tests.faults.reported import Otherwise, report_of, reported
from tests.vendors.bodies import (
    account,
    all_shown,
    body,
    error,
    first_requests,
    headers_sent,
    page,
    page_of,
    result_of,
    row,
    shown,
    shown_concisely,
    talk_of_one,
    wait,
)

BATCH = Batch()
AUDIENCES, SEGMENTS = BATCH.listings
FIRST, FIRST_SEGMENTS = first_requests(BATCH, account(BATCH).values)


def test_the_first_page_is_asked_for_with_the_largest_size_and_no_cursor() -> None:
    assert Request("audiences/list", {"limit": "100"}, method="GET", json=None) == FIRST


def test_segments_are_asked_for_and_continued_like_audiences() -> None:
    assert Request("segments/list", {"limit": "100"}, method="GET", json=None) == FIRST_SEGMENTS
    got = page(BATCH, "segments_first_page", FIRST_SEGMENTS, SEGMENTS)
    assert (got.total, got.more) == (2, True)
    assert got.next == Request("segments/list", {"limit": "100", "from": "U0VHTUVOVA=="})


def test_the_next_page_is_asked_for_with_the_cursor_as_it_was_given() -> None:
    following = page(BATCH, "list_first_page", FIRST).next
    assert following == Request("audiences/list", {"limit": "100", "from": "ZXhhbXBsZS1jdXJzb3ItMg=="})


def test_a_cursor_replaces_the_one_before() -> None:
    before = FIRST.with_params(**{"from": "old"})
    following = page(BATCH, "list_first_page", before).next
    assert following is not None
    assert following.params == {"limit": "100", "from": "ZXhhbXBsZS1jdXJzb3ItMg=="}


def test_key_and_project_go_out_in_two_headers() -> None:
    values = account(BATCH, BATCH_REST_API_KEY="rest-key-000", BATCH_PROJECT_KEY="project_1").values
    assert headers_sent(BATCH, values) == {
        "Authorization": "Bearer rest-key-000",
        "X-Batch-Project": "project_1",
    }


def test_a_project_is_asked_once_a_second_unless_set_otherwise() -> None:
    assert account(BATCH).rates == {"": [Rate(1)]}
    assert account(BATCH, BATCH_MAX_RPS="2.5").rates == {"": [Rate(2.5)]}


def test_the_first_page_counts_all_and_later_ones_do_not() -> None:
    assert page(BATCH, "list_first_page").total == 3
    assert page(BATCH, "list_last_page").total is None


@pytest.mark.parametrize(
    ("case", "more", "goes_on"),
    [
        ("list_first_page", True, True),
        ("list_last_page", False, False),
        ("last_page_with_cursor", False, True),  # not followed: `more` decides
        ("more_without_cursor", True, False),
        ("more_with_empty_cursor", True, False),
        ("no_has_more_but_cursor", True, True),
        ("no_has_more_no_cursor", None, False),  # it says neither: only the count tells
        ("empty_page_with_more", True, True),
        ("empty_account", False, False),
    ],
)
def test_has_more_says_whether_pages_follow_and_the_cursor_does_where_it_is_missing(
    case: str, more: bool | None, goes_on: bool
) -> None:
    got = page(BATCH, case, FIRST)
    assert (got.more, got.next is not None) == (more, goes_on)


@pytest.mark.parametrize(
    "wrong",
    [
        {"has_more": "false"},
        {"has_more": 0},
        {"next_from": ["x"]},
        {"next_from": {}},
        {"next_from": True},
        {"audiences": {}},
        {"audiences": None},
        {"audiences": ""},
    ],
)
def test_a_page_of_other_types_is_refused_rather_than_guessed_at(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(BATCH, {"audiences": [], "has_more": True, "next_from": "x", **wrong}, FIRST)


@pytest.mark.parametrize("answer", [[], None, "", {}, {"custom_audiences": [], "has_more": False}])
def test_an_answer_of_another_shape_is_not_taken_for_an_empty_list(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(BATCH, answer, FIRST)


def test_null_flags_and_cursors_count_as_missing() -> None:
    got = page_of(BATCH, {"audiences": [], "has_more": None, "next_from": None, "count": None}, FIRST)
    assert (got.more, got.next, got.total) == (None, None, None)


def test_a_page_is_shown_with_names_sizes_states_and_dates() -> None:
    first, second = all_shown(BATCH, "list_first_page")
    assert first == {
        "id": "spring_sale_nl",
        "name": "Lenteactie 🌷",
        "kind": "audience",
        "size": 48210,
        "type": "static",
        "status": "ready",
        "created_at": "2026-03-02T09:12:44Z",
        "updated_at": "2026-03-30T21:00:05Z",
        "details": {"indexing_state": "APPLIED", "type": "CUSTOM_ID"},
    }
    assert (second["name"], second["status"]) == ("Dormant-180d", "processing")
    # What is still indexed says 0, which is no size yet.
    assert (second.get("size"), second["size_note"]) == (None, "not counted yet")


def test_a_replaced_audience_is_ready_and_its_state_is_in_the_details() -> None:
    (replaced,) = all_shown(BATCH, "list_last_page")
    assert (replaced["status"], replaced["details"]["indexing_state"]) == ("ready", "REPLACED")


def test_states_are_mapped_and_other_words_are_unknown() -> None:
    seen = {row["id"]: (row["status"], row.get("details")) for row in all_shown(BATCH, "states")}
    assert seen == {
        "applied": ("ready", {"indexing_state": "APPLIED"}),
        "replaced": ("ready", {"indexing_state": "REPLACED"}),
        "in_progress": ("processing", {"indexing_state": "IN_PROGRESS"}),
        "new_word": ("unknown", {"indexing_state": "ARCHIVED"}),
        "lower_case": ("unknown", {"indexing_state": "applied"}),
        "number": ("unknown", {"indexing_state": 3}),
        "null": ("unknown", None),
        "absent": ("unknown", None),
    }


def test_the_display_name_is_the_name_and_the_key_stands_in_for_it() -> None:
    assert {row["id"]: row["name"] for row in all_shown(BATCH, "names")} == {
        "both": "Both",
        "No-Display_Name": "No-Display_Name",
        "empty": "empty",
        "null": "null",
        "number": "number",
        "unseen": "unseen",
    }


def test_a_size_that_is_not_given_is_unknown_and_not_zero() -> None:
    (row,) = all_shown(BATCH, "no_size")
    assert "size" not in row
    assert row["size_note"] == "the vendor gives no usable count"


def test_dates_without_a_zone_are_utc_and_unreadable_ones_are_absent() -> None:
    dated, undated = all_shown(BATCH, "dates")
    assert dated["created_at"] == "2026-03-02T09:12:44.500000Z"
    assert dated["updated_at"] == "2018-06-29T14:59:03Z"
    assert undated.keys().isdisjoint({"created_at", "updated_at"})


def test_only_what_is_remarkable_is_in_a_concise_row() -> None:
    ready, processing = (shown_concisely(BATCH, raw) for raw in page(BATCH, "list_first_page").rows)
    assert ready.keys() == {"ref", "name", "size", "kind"}
    assert processing.keys() == {"ref", "name", "size_note", "status", "kind"}


@pytest.mark.parametrize("name", [None, "", 7.5, False, [], "a\r\nb"])
def test_a_row_without_a_name_is_broken_even_with_an_id(name: object) -> None:
    assert row(BATCH, {"id": "1", "name": name, "display_name": "D", "nb_ids": 1}) is None


def test_one_audience_is_asked_for_by_its_name_in_its_case() -> None:
    request = next(talk_of_one(BATCH, "Dormant-180d", account(BATCH).values))
    assert request == Request("audiences/view", {"name": "Dormant-180d"}, method="GET", json=None)


def test_the_one_audience_comes_bare_in_no_envelope() -> None:
    raw = result_of(talk_of_one(BATCH, "view", {}), body(BATCH, "view"))
    assert shown(BATCH, raw)["name"] == "Dormant for 180 days"
    assert shown(BATCH, raw)["size"] == 7450


@pytest.mark.parametrize("answer", [None, [], "", 7])
def test_one_audience_that_is_no_object_is_refused(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        result_of(talk_of_one(BATCH, "view", {}), answer)


def test_a_segment_is_dynamic_and_has_its_code_its_name_its_dates_and_no_size() -> None:
    raw, unnamed = page(BATCH, "segments_first_page", FIRST_SEGMENTS, SEGMENTS).rows
    assert shown(BATCH, raw, SEGMENTS) == {
        "id": "segment-LAPSED-90D",
        "name": "Lapsed for 90 days",
        "kind": "segment",
        "type": "dynamic",
        "size_note": "Batch gives no count of a segment",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-10-30T08:15:00Z",
    }
    assert shown(BATCH, unnamed, SEGMENTS)["name"] == "segment-NO_NAME"
    assert BATCH.size_counts == {"audience": "custom user ids", "segment": "not counted"}


@pytest.mark.parametrize("id", ["VIP", "a-b_9", "x" * 255])
def test_an_id_is_letters_digits_dashes_and_underscores(id: str) -> None:
    assert BATCH.id_shape.fullmatch(id)


@pytest.mark.parametrize("text", ["", "x" * 256, "a b", "..", "é", "a\n", "a&limit=1"])
def test_other_text_is_no_id_and_never_asked_for(text: str) -> None:
    assert not BATCH.id_shape.fullmatch(text)


def test_a_401_may_be_the_project_so_both_variables_are_named() -> None:
    kind, said = error(BATCH, 401, body(BATCH, "unauthorized"))
    assert kind == "unauthorized"
    assert "BATCH_REST_API_KEY" in said
    assert "BATCH_PROJECT_KEY" in said


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (404, "not_found"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (503, "unavailable"),
    ],
)
def test_the_status_alone_says_what_failed(status: int, kind: str) -> None:
    assert error(BATCH, status, {"error_code": "X", "error_message": "prose"})[0] == kind


def test_a_rate_limit_gives_no_hint_of_how_long_to_wait() -> None:
    assert wait(BATCH, "rate_limited") is None


@pytest.mark.parametrize(
    ("code", "kind"), [("AUTHENTICATION_INVALID", "unauthorized"), ("SERVER_ERROR", "unavailable")]
)
def test_an_error_inside_a_200_counts_even_beside_an_empty_list(code: str, kind: str) -> None:
    answer = {"error_code": code, "error_message": "…", "audiences": [], "has_more": False}
    assert error(BATCH, 200, answer)[0] == kind


A, B, C = (
    {"name": name, "nb_ids": size, "indexing_state": "APPLIED"}
    for name, size in (("segment-x", 1), ("audience-segment-x", 20), ("x", 300))
)
OF_CODE_X = {"kind": "segment", "code": "x", "display_name": "Of code x"}


@pytest.mark.anyio
async def test_audiences_that_are_called_like_segments_and_the_segments_are_each_got_by_their_refs() -> None:
    refs = {
        "audience-segment-x": ("segment-x", 1),
        "audience-audience-segment-x": ("audience-segment-x", 20),
        "x": ("x", 300),
        "segment-x": ("Of code x", None),
    }
    async with reported(CASES["batch"], [A, B, C, OF_CODE_X]) as there:
        answer = await there.list(sort="name")
        assert {row.id: (row.name, row.size) for row in answer.audiences} == refs
        assert (answer.complete, answer.unknown_sizes) == (True, 1)
    for id, (own, size) in refs.items():
        async with reported(CASES["batch"], [A, B, C, OF_CODE_X]) as there:  # nothing read before
            match = await there.get(id)
        (row,) = match.audiences
        assert (match.matched_by, match.complete) == ("ref", True)
        assert (row.ref, row.size, row.kind) == (
            f"batch:{id}",
            size,
            "segment" if size is None else "audience",
        )
        asked = [(each.path.partition("/2.11/")[2], each.query.get("name")) for each in there.asked]
        assert asked == (
            [("audiences/list", None), ("segments/list", None)]
            if size is None
            else [("audiences/view", [own])]
        )


@pytest.mark.anyio
async def test_an_own_id_finds_the_audience_and_the_segment_that_have_it() -> None:
    async with reported(CASES["batch"], [A, B, C, OF_CODE_X]) as there:
        found = await there.catalog.get_audience(GetQuery(audience="x"))
        assert {row.ref for row in found.audiences} == {"batch:x", "batch:segment-x"}
        found = await there.catalog.get_audience(GetQuery(audience="segment-x"))
        assert {row.ref for row in found.audiences} == {"batch:segment-x", "batch:audience-segment-x"}


@pytest.mark.anyio
async def test_audiences_are_read_first_and_no_two_pages_of_a_project_at_once() -> None:
    rows = [*CASES["batch"].some(101), *({**OF_CODE_X, "code": f"c{n}"} for n in range(101))]
    async with reported(CASES["batch"], rows, BATCH_MAX_RPS="1") as there:
        began = there.clock.now()
        assert (await there.list(limit=0)).matched == 202
        paths = [asked.path.rpartition("/2.11/")[2] for asked in there.asked]
        assert paths == ["audiences/list", "segments/list", "audiences/list", "segments/list"]
        assert there.clock.now() - began == pytest.approx(3)


@pytest.mark.anyio
async def test_a_version_without_segments_keeps_its_audiences_and_says_so() -> None:
    rows = CASES["batch"].some(2)
    async with reported(CASES["batch"], rows, segments_say(404)) as there:
        answer = await there.list()
        assert (answer.matched, answer.complete) == (2, True)
        assert answer.notes is not None
        note = (
            "batch: segments are not listed: the vendor says that this account has no such list (HTTP 404)."
        )
        assert note in answer.notes
        assert (await there.get("segment_1")).complete


@pytest.mark.anyio
@pytest.mark.parametrize("status", [403, 500])
async def test_segments_that_cannot_be_read_cost_no_audience_and_are_named(status: int) -> None:
    async with reported(CASES["batch"], CASES["batch"].some(2), segments_say(status)) as there:
        answer = await there.list()
    assert (answer.matched, answer.sum_of_sizes, answer.complete) == (2, 2001, False)
    error = report_of(answer).error
    assert error is not None
    assert error.message.startswith("batch: segments could not be read. Batch (")


@pytest.mark.anyio
async def test_where_nothing_of_batch_is_found_the_base_url_is_named() -> None:
    def answered(asked: Asked) -> Answer:
        return Answer(404, {"error_code": "NOT_FOUND", "error_message": "…"})

    async with reported(CASES["batch"], [], answered) as there:
        with pytest.raises(ToolError, match=r"audiences could not be read\..*Check BATCH_BASE_URL"):
            await there.list()


def segments_say(status: int) -> Otherwise:
    """The list of segments is refused."""
    refusal = Answer(status, {"error_code": "X", "error_message": "…"})
    return lambda asked: refusal if asked.path.endswith("/segments/list") else None
