"""Batch: a token from page to page, and audiences known by their name."""

from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Request
from audience_mcp.vendors.batch import Batch
from tests.vendors.bodies import account, all_shown, body, error, page, shown, shown_concisely, wait

BATCH = Batch()
FIRST = BATCH.list_request(account(BATCH).values)


def test_the_first_page_is_asked_for_with_the_largest_size_and_no_cursor() -> None:
    assert Request("audiences/list", {"limit": "100"}, method="GET", json=None) == FIRST


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
    assert BATCH.headers(values) == {"Authorization": "Bearer rest-key-000", "X-Batch-Project": "project_1"}


def test_a_project_is_asked_once_a_second_unless_set_otherwise() -> None:
    assert BATCH.requests_per_second(account(BATCH).values) == 1
    assert BATCH.requests_per_second(account(BATCH, BATCH_MAX_RPS="2.5").values) == 2.5


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


@pytest.mark.parametrize("wrong", [{"has_more": "false"}, {"has_more": 0}, {"next_from": ["x"]},
                                   {"next_from": {}}, {"next_from": True}, {"audiences": {}},
                                   {"audiences": None}, {"audiences": ""}])  # fmt: skip
def test_a_page_of_other_types_is_refused_rather_than_guessed_at(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedShape):
        BATCH.page({"audiences": [], "has_more": True, "next_from": "x", **wrong}, FIRST)


@pytest.mark.parametrize("answer", [[], None, "", {}, {"custom_audiences": [], "has_more": False}])
def test_an_answer_of_another_shape_is_not_taken_for_an_empty_list(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        BATCH.page(answer, FIRST)


def test_null_flags_and_cursors_count_as_missing() -> None:
    got = BATCH.page({"audiences": [], "has_more": None, "next_from": None, "count": None}, FIRST)
    assert (got.more, got.next, got.total) == (None, None, None)


def test_a_page_is_shown_with_names_sizes_states_and_dates() -> None:
    first, second = all_shown(BATCH, "list_first_page")
    assert first == {
        "id": "spring_sale_nl",
        "name": "Lenteactie 🌷",
        "size": 48210,
        "type": "static",
        "status": "ready",
        "created_at": "2026-03-02T09:12:44Z",
        "updated_at": "2026-03-30T21:00:05Z",
        "details": {"indexing_state": "APPLIED", "type": "CUSTOM_ID"},
    }
    assert (second["name"], second["size"], second["status"]) == ("Dormant-180d", 0, "processing")


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
    assert ready.keys() == {"ref", "name", "size"}
    assert processing.keys() == {"ref", "name", "size", "status"}


@pytest.mark.parametrize("name", [None, "", 7.5, False, [], "a\r\nb"])
def test_a_row_without_a_name_is_broken_even_with_an_id(name: object) -> None:
    assert row_of(BATCH, {"id": "1", "name": name, "display_name": "D", "nb_ids": 1}) is None


def test_one_audience_is_asked_for_by_its_name_in_its_case() -> None:
    request = BATCH.get_request("Dormant-180d", account(BATCH).values)
    assert request == Request("audiences/view", {"name": "Dormant-180d"}, method="GET", json=None)


def test_the_one_audience_comes_bare_in_no_envelope() -> None:
    (raw,) = BATCH.parse_one(body(BATCH, "view"))
    assert shown(BATCH, raw)["name"] == "Dormant for 180 days"
    assert shown(BATCH, raw)["size"] == 7450


@pytest.mark.parametrize("answer", [None, [], "", 7])
def test_one_audience_that_is_no_object_is_refused(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        BATCH.parse_one(answer)


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


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request"), (404, "not_found"),
                                              (429, "rate_limited"), (500, "unavailable"),
                                              (503, "unavailable")])  # fmt: skip
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
