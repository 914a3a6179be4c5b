"""CommBox: one list without pages."""

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.vendors import Request
from audience_mcp.vendors.commbox import CommBox
from tests.vendors.bodies import (
    account,
    all_shown,
    answered,
    body,
    error,
    first_requests,
    headers_sent,
    page,
    page_of,
    row,
    shown,
    shown_concisely,
    wait,
)

COMMBOX = CommBox()
NO_COUNT = "the vendor gives no usable count"


def test_the_list_is_one_request_without_parameters() -> None:
    assert first_requests(COMMBOX, account(COMMBOX).values) == [
        Request("audiences", {}, method="GET", json=None)
    ]


def test_the_key_goes_out_as_a_bearer_token() -> None:
    values = account(COMMBOX, COMMBOX_API_KEY="k-1-key-000").values
    assert headers_sent(COMMBOX, values) == {"Authorization": "Bearer k-1-key-000"}


def test_a_list_is_everything_with_no_page_after_it() -> None:
    got = page(COMMBOX, "list")
    assert (len(got.rows), got.more, got.next, got.total, got.note) == (2, False, None, None, None)


def test_static_audiences_have_a_size_and_dynamic_ones_say_why_not() -> None:
    assert all_shown(COMMBOX, "list") == [
        {
            "id": "40117",
            "name": "Nordics-newsletter",
            "size": 18344,
            "type": "static",
            "created_at": "2026-02-03T06:15:00Z",
        },
        {
            "id": "40118",
            "name": "Open chats > 3 days",
            "type": "dynamic",
            "size_note": "dynamic: counted when a campaign is launched",
            "created_at": "2026-04-21T16:40:09.771203Z",
        },
    ]


def test_only_what_is_remarkable_is_in_a_concise_row() -> None:
    static, dynamic = (shown_concisely(COMMBOX, raw) for raw in page(COMMBOX, "list").rows)
    assert static.keys() == {"ref", "name", "size"}
    assert dynamic.keys() == {"ref", "name", "type", "size_note"}


def test_an_account_without_audiences_has_an_empty_list() -> None:
    assert page(COMMBOX, "empty_account").rows == []


@pytest.mark.parametrize(("number", "told"), [(99, False), (100, True), (101, False)])
def test_exactly_100_audiences_look_like_a_page_and_that_is_told(number: int, told: bool) -> None:
    got = page_of(COMMBOX, {"status": "200", "data": [{}] * number}, Request("audiences"))
    assert not got.more
    assert bool(got.note and "exactly 100" in got.note) is told


@pytest.mark.parametrize("data", ["", {"errors": []}, 0, False])
def test_data_that_is_no_list_is_not_taken_for_an_empty_one(data: object) -> None:
    with pytest.raises(UnexpectedShape, match="'data'"):
        page_of(COMMBOX, {"status": 200, "data": data}, Request("audiences"))


@pytest.mark.parametrize("answer", [[], None, "ok", {}, {"status": 200}])
def test_an_answer_without_its_envelope_is_not_taken_for_an_empty_list(answer: object) -> None:
    with pytest.raises(UnexpectedShape):
        page_of(COMMBOX, answer, Request("audiences"))


def test_types_are_known_in_any_case_and_other_words_are_unknown() -> None:
    seen = [(row["type"], row.get("size"), row.get("details")) for row in all_shown(COMMBOX, "types")]
    assert seen == [
        ("static", 5, None),
        ("dynamic", None, None),
        ("dynamic", None, None),
        ("unknown", 6, {"type": "Synced"}),
        ("unknown", None, {"type": "Synced"}),
        ("unknown", 7, None),
        ("unknown", 8, None),
        ("unknown", 9, {"type": 2}),
    ]


def test_every_audience_without_a_size_says_why() -> None:
    for case in ("list", "types", "counts"):
        assert all(("size_note" in row) == ("size" not in row) for row in all_shown(COMMBOX, case))


def test_a_name_that_is_missing_or_of_which_nothing_is_seen_is_the_id() -> None:
    names = {row["id"]: row["name"] for row in all_shown(COMMBOX, "names")}
    assert names.pop("16") == "לקוחות מועדון 💙"
    assert all(name == id for id, name in names.items())


def test_a_count_that_is_no_count_is_unknown() -> None:
    sizes = {row["name"]: row.get("size") for row in all_shown(COMMBOX, "counts")}
    assert {name: size for name, size in sizes.items() if size is not None} == {
        "zero": 0,
        "digits": 8204,
        "integral float": 8204,
        "largest": 2**53,
    }
    assert {row.get("size_note") for row in all_shown(COMMBOX, "counts") if "size" not in row} == {NO_COUNT}


def test_dates_are_read_in_every_form_and_absent_where_they_cannot_be() -> None:
    assert {row["id"]: row.get("created_at") for row in all_shown(COMMBOX, "dates")} == {
        "seconds": "2025-10-01T09:10:00Z",
        "seven digits": "2025-02-06T07:51:52.258194Z",
        "three digits": "2025-02-06T07:51:52.258000Z",
        "no zone": "2025-02-06T07:51:52Z",
        "offset": "2025-02-06T07:51:52Z",
        "day": "2025-02-06T00:00:00Z",
        "colon before the fraction": None,
        "no such day": None,
        "empty": None,
        "null": None,
        "object": None,
    }


def test_a_numeric_id_is_the_same_id_as_text() -> None:
    assert shown(COMMBOX, {"id": 40117, "name": "n", "user_count": 1, "type": "Static"})["id"] == "40117"


@pytest.mark.parametrize("id", [None, "", True, 1.5, [], {"id": "1"}, "4\n5", "4" * 256, " "])
def test_a_row_without_a_usable_id_is_broken(id: object) -> None:
    assert row(COMMBOX, {"id": id, "name": "n", "user_count": 1, "type": "Static"}) is None


def test_there_is_no_request_for_one_audience() -> None:
    assert COMMBOX.listing_of("40117").talk_of_one("40117", account(COMMBOX).values) is None


@pytest.mark.parametrize("id", ["40117", "0", "9" * 20])
def test_an_id_is_a_number(id: str) -> None:
    assert COMMBOX.id_shape.fullmatch(id)


@pytest.mark.parametrize("text", ["", "-1", "٣", "40117\n", "../x", "VIP", "a1", "9" * 21])
def test_other_text_is_no_id(text: str) -> None:
    assert not COMMBOX.id_shape.fullmatch(text)


def test_a_failure_inside_a_200_counts() -> None:
    kind, said = error(COMMBOX, 200, body(COMMBOX, "failure_inside_200"))
    assert kind == "unauthorized"
    assert "COMMBOX_API_KEY" in said
    assert "rotated" in said


@pytest.mark.parametrize("status", [200, "200", None, "", "OK", True, 200.0, "2e2"])
def test_a_status_in_the_body_that_is_no_failure_is_none(status: object) -> None:
    assert COMMBOX.status(answered(200, {"status": status, "data": []})) == 200


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (404, "not_found"),
        ("403", "forbidden"),
        (429, "rate_limited"),
        ("500", "unavailable"),
        (400, "invalid_request"),
        ("error", "unavailable"),
        ("FAILED", "unavailable"),
        (600, "unavailable"),
    ],
)
def test_the_status_in_the_body_says_what_failed(inner: int | str, kind: str) -> None:
    assert error(COMMBOX, 200, {"status": inner, "description": "…"})[0] == kind


@pytest.mark.parametrize("answer", [None, [], "", {"status": 200}, {"status": "200", "data": []}])
def test_a_failed_status_stays_failed_whatever_the_body_says(answer: object) -> None:
    assert error(COMMBOX, 401, answer)[0] == "unauthorized"
    assert error(COMMBOX, 404, answer)[0] == "not_found"


def test_an_unknown_object_is_a_400_and_its_prose_is_not_repeated() -> None:
    kind, said = error(COMMBOX, 400, body(COMMBOX, "object_not_found"))
    assert kind == "invalid_request"
    assert "stream" not in said.lower()


def test_a_rate_limit_gives_no_hint_of_how_long_to_wait() -> None:
    assert error(COMMBOX, 429, body(COMMBOX, "rate_limited"))[0] == "rate_limited"
    assert wait(COMMBOX, "rate_limited") is None
