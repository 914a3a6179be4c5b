"""Each way of paging as a value: what is sent first, what follows, when it ends, what is known before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.vendors import Cursor, NextLink, Offset, PageNumber, Request, SinglePage
from audience_mcp.vendors.pagination import Paging, put
from audience_mcp.vendors.parsing import values_at

GET = Request("list", {"limit": "2"})
POST = Request("list", method="POST", json={"query": "q", "variables": {"first": 2}})


def follow(paging: Paging, request: Request, body: object, rows: int = 2, total: int | None = None) -> Any:
    """Whether more follow, and what the next request says beside the first one."""
    more, following = paging.follow(request, body, rows, total)
    if following is None:
        return more, None
    if request.method == "GET":
        return more, {k: v for k, v in following.params.items() if request.params.get(k) != v}
    return more, following.json


def test_a_single_page_is_the_end() -> None:
    assert SinglePage().start(GET) == GET
    assert follow(SinglePage(), GET, {"next": "x"}) == (False, None)
    assert SinglePage().plan(GET, {}, 2, 100) == ()


# Cursors


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"more": True, "next": "b"}, (True, {"after": "b"})),
        ({"more": False, "next": "b"}, (False, {"after": "b"})),  # the flag decides
        ({"more": True}, (True, None)),  # more, but not how: the pager stops there
        ({"next": "b"}, (True, {"after": "b"})),
        ({"next": 7}, (True, {"after": "7"})),
        ({"more": None, "next": None}, (None, None)),  # silent: not the end
        ({"next": ""}, (None, None)),
    ],
)
def test_a_cursor_goes_on_by_its_flag_and_else_by_itself(body: object, expected: object) -> None:
    assert follow(Cursor("next", "after", more="more"), GET, body) == expected


@pytest.mark.parametrize("body", [{}, {"next": None}, {"next": ""}])
def test_an_absent_cursor_is_the_end_only_where_the_api_says_so(body: object) -> None:
    assert follow(Cursor("next", "after"), GET, body) == (None, None)
    assert follow(Cursor("next", "after", absent_is_end=True), GET, body) == (False, None)


def test_a_cursor_goes_into_the_body_at_a_path_and_leaves_the_rest_of_it_alone() -> None:
    paging = Cursor("page.end", "variables.after", more="page.more", in_body=True)
    more, json = follow(paging, POST, {"page": {"end": "b", "more": True}})
    assert (more, json) == (True, {"query": "q", "variables": {"first": 2, "after": "b"}})
    assert POST.json == {"query": "q", "variables": {"first": 2}}


def test_a_cursor_whose_surroundings_are_missing_is_another_shape_and_not_the_end() -> None:
    with pytest.raises(UnexpectedShape, match="'page'"):
        Cursor("page.end", "after").follow(GET, {}, 2, None)
    assert Cursor("page.end", "after", absent_is_end=True).follow(GET, {}, 2, None) == (False, None)


@pytest.mark.parametrize(
    "wrong", [{"next": ["b"]}, {"next": True}, {"next": {}}, {"more": "yes"}, {"more": 1}]
)
def test_a_cursor_or_flag_of_another_type_is_refused(wrong: object) -> None:
    with pytest.raises(UnexpectedShape):
        Cursor("next", "after", more="more").follow(GET, wrong, 2, None)


def test_a_cursors_pages_are_never_known_beforehand() -> None:
    assert Cursor("next", "after").plan(GET, {"next": "b"}, 2, 100) == ()


# Offsets


def test_an_offset_is_sent_first_unless_the_api_wants_none() -> None:
    assert Offset().start(GET).params == {"limit": "2", "offset": "0"}
    assert Offset(sent_first=False).start(GET) == GET
    assert Offset("from", in_body=True).start(POST).json == {
        "query": "q",
        "variables": {"first": 2},
        "from": 0,
    }


@pytest.mark.parametrize(
    ("rows", "total", "expected"),
    [
        (2, 5, (True, {"offset": "2"})),
        (2, 2, (False, {"offset": "2"})),
        (0, 5, (True, None)),  # an empty page before the end leads nowhere, and is not the end
        (2, 1, (False, {"offset": "2"})),
        (2, None, (None, {"offset": "2"})),  # no total and no flag: silent
    ],
)
def test_an_offset_goes_on_until_the_total_is_reached(rows: int, total: int | None, expected: object) -> None:
    assert follow(Offset(), Offset().start(GET), {}, rows, total) == expected


@pytest.mark.parametrize(
    ("rows", "total", "expected"),
    [
        (2, None, (True, {"offset": "2"})),
        (0, None, (False, None)),
        (0, 5, (True, None)),  # where there is a total, it decides
        (2, 2, (False, {"offset": "2"})),
        (2, 0, (True, {"offset": "2"})),
        (0, 0, (False, None)),
    ],
)
def test_an_empty_page_is_an_offsets_end_where_the_api_says_so_and_gives_no_total(
    rows: int, total: int | None, expected: object
) -> None:
    paging = Offset(empty_is_end=True)
    assert follow(paging, paging.start(GET), {}, rows, total) == expected


def test_an_offset_counts_the_rows_that_came_and_not_those_asked_for() -> None:
    first = Offset().start(GET)
    _, second = Offset().follow(first, {}, 1, 9)
    assert second is not None
    assert second.params["offset"] == "1"


@pytest.mark.parametrize(("flag", "more"), [(True, True), (False, False), (None, None)])
def test_an_offsets_flag_decides_over_the_total(flag: bool | None, more: bool | None) -> None:
    got, _ = Offset(more="more").follow(Offset().start(GET), {"more": flag}, 2, 2)
    assert got is more


def test_an_offset_that_the_body_says_is_sent_back_in_the_body() -> None:
    paging = Offset("offset", more="more", at="offset", in_body=True)
    more, json = follow(paging, POST, {"more": True, "offset": 250})
    assert (more, json) == (True, {"query": "q", "variables": {"first": 2}, "offset": 250})
    with pytest.raises(UnexpectedShape, match="'offset'"):
        paging.follow(POST, {"more": True, "offset": "soon"}, 2, None)


@pytest.mark.parametrize(
    ("body", "more"), [({"next": "https://x"}, True), ({"next": None}, False), ({}, None), ([], None)]
)
def test_the_absence_of_a_link_is_the_end_of_an_offset_only_where_the_link_is_told(
    body: object, more: bool | None
) -> None:
    got, _ = Offset(link="next").follow(Offset().start(GET), body, 2, None)
    assert got is more


def test_all_offsets_are_known_after_the_first_page_where_the_total_is() -> None:
    first = Offset().start(GET)
    plan = Offset().plan(first, {}, 2, 7)
    assert [request.params["offset"] for request in plan] == ["2", "4", "6"]
    assert all(request.params["limit"] == "2" for request in plan)


@pytest.mark.parametrize(
    ("paging", "rows", "total"),
    [
        (Offset(), 2, None),
        (Offset(), 0, 7),
        (Offset(), 2, 2),
        (Offset(more="more"), 2, 7),
        (Offset(at="at"), 2, 7),
    ],
)
def test_no_offsets_are_known_beforehand_where_something_else_decides(
    paging: Offset, rows: int, total: int | None
) -> None:
    assert list(paging.plan(paging.start(GET), {}, rows, total)) == []


@pytest.mark.parametrize(
    ("rows", "counted", "more"),
    [
        (300, 300, True),
        (300, 900, True),
        (20, 20, False),
        (20, 320, False),
        (0, 300, False),
        (20, 900, True),
        (300, None, True),
        (20, None, False),
        (20, "x", False),
    ],
)
def test_a_number_that_may_be_of_the_page_alone_never_ends_an_offset_after_a_full_page(
    rows: int, counted: object, more: bool
) -> None:
    paging = Offset(full_page="limit", counted="n")
    got, _ = paging.follow(GET.with_params(offset="300", limit="300"), {"n": counted}, rows, None)
    assert got is more
    assert list(paging.plan(GET, {"n": counted}, rows, 900)) == []


def test_offsets_in_a_body_are_planned_there() -> None:
    paging = Offset("page.offset", in_body=True)
    plan = paging.plan(paging.start(POST), {}, 2, 5)
    assert [request.json["page"] for request in plan] == [{"offset": 2}, {"offset": 4}]  # type: ignore[index]


# Page numbers


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_page_has_its_number(first: int) -> None:
    assert PageNumber(first=first).start(GET).params["page"] == str(first)


@pytest.mark.parametrize(
    ("body", "expected"),
    [({"last": 3}, True), ({"last": "3"}, True), ({"last": 1}, False), ({}, None), ({"last": "x"}, None)],
)
def test_a_page_number_goes_on_until_the_last_one(body: object, expected: bool | None) -> None:
    paging = PageNumber(last="last")
    more, following = paging.follow(paging.start(GET), body, 2, None)
    assert more is expected
    assert following is not None
    assert following.params["page"] == "2"


@pytest.mark.parametrize(("rows", "more"), [(0, False), (1, None), (100, None)])
def test_a_page_beyond_the_last_one_ends_a_list_only_where_it_has_no_rows(
    rows: int, more: bool | None
) -> None:
    for paging, total in ((PageNumber(last="last"), None), (PageNumber(per_page="n"), 0)):
        request = paging.start(GET.with_params(n="100"))
        assert paging.follow(request, {"last": 0}, rows, total)[0] is more


@pytest.mark.parametrize(("rows", "more"), [(100, True), (101, True), (99, False), (0, False)])
def test_a_full_page_is_asked_after_only_where_an_api_has_no_other_sign(rows: int, more: bool) -> None:
    for paging in (PageNumber(full_page=100), PageNumber(full_page="size")):
        assert paging.follow(paging.start(GET.with_params(size="100")), {}, rows, None)[0] is more
    silent = PageNumber()
    assert silent.follow(silent.start(GET), {}, rows, None)[0] is None


def test_page_numbers_are_known_after_the_first_page_where_the_last_one_is() -> None:
    paging = PageNumber(last="meta.last")
    plan = paging.plan(paging.start(GET), {"meta": {"last": 4}}, 2, None)
    assert [request.params["page"] for request in plan] == ["2", "3", "4"]
    assert list(PageNumber(full_page=2).plan(paging.start(GET), {}, 2, 9)) == []


@pytest.mark.parametrize(("total", "last"), [(0, 1), (1, 1), (100, 1), (101, 2), (260, 3), (None, None)])
def test_the_last_page_follows_from_the_total_where_an_api_says_that_alone(
    total: int | None, last: int | None
) -> None:
    for first in (0, 1):
        paging = PageNumber(first=first, per_page="n")
        start = paging.start(GET.with_params(n="100"))
        plan = paging.plan(start, {}, 100, total)
        assert [each.params["page"] for each in plan] == [str(first + n) for n in range(1, last or 1)]
        more, _ = paging.follow(start, {}, 0, total)
        assert more is (None if last is None else last > 1)


def test_page_numbers_go_into_a_body_too() -> None:
    paging = PageNumber(last="last", in_body=True)
    assert follow(paging, paging.start(POST), {"last": 2})[1] == {
        "query": "q",
        "variables": {"first": 2},
        "page": 2,
    }


# Next links


@pytest.mark.parametrize("body", [{}, {"next": None}, {"next": ""}])
def test_the_absence_of_a_link_is_the_end(body: object) -> None:
    assert NextLink("next", "after").follow(GET, body, 2, None) == (False, None)


@pytest.mark.parametrize(
    "link",
    ["https://other.example/list?key=canary&after=b%2Fc", "/list?after=b%2Fc", "http://x:99999/?after=b%2Fc"],
)
def test_of_a_link_the_cursor_alone_is_taken_and_its_host_and_key_are_left(link: str) -> None:
    more, following = NextLink("next", "after").follow(GET, {"next": link}, 2, None)
    assert (more, following) == (True, GET.with_params(after="b/c"))


@pytest.mark.parametrize(
    "link", ["https://other.example/list", "https://[x", "https://other.example/?after="]
)
def test_a_link_without_a_cursor_says_that_more_follow_but_not_how(link: str) -> None:
    assert NextLink("next", "after").follow(GET, {"next": link}, 2, None) == (True, None)


def test_a_cursor_beside_the_link_is_taken_in_place_of_the_one_in_it() -> None:
    paging = NextLink("paging.next", "after", cursor="paging.cursors.after")
    body = {"paging": {"next": "https://x.example/?token=canary&after=a", "cursors": {"after": "b"}}}
    assert paging.follow(GET, body, 2, None) == (True, GET.with_params(after="b"))
    assert paging.follow(GET, {"paging": {"cursors": {"after": "b"}}}, 2, None) == (False, None)
    assert paging.follow(GET, {"paging": {"next": "https://x.example/?after=a"}}, 2, None) == (True, None)


def test_a_link_is_followed_as_it_is_only_where_no_parameter_is_named() -> None:
    first = Request("list", pace="slow")
    _, following = NextLink("next").follow(first, {"next": "https://x.example/p2"}, 2, None)
    assert following == Request("https://x.example/p2")
    assert following is not None
    assert (following.purpose, following.pace) == ("list", "slow")


# Ranges of places, and requests


def test_a_parameter_that_is_put_into_a_request_leaves_the_request_as_it_was() -> None:
    assert put(GET, "offset", 2, in_body=False).params == {"limit": "2", "offset": "2"}
    assert put(GET, "a.b", 2, in_body=True).json == {"a": {"b": 2}}
    assert GET.params == {"limit": "2"}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", [{"x": [1, 2]}]),
        ("*.x.*", [1, 2]),
        ("a.x.1", [2]),
        ("a.*", [[1, 2]]),
        ("a.y", []),
        ("*.*.*.*", []),
    ],
)
def test_a_star_in_a_path_stands_for_every_key_and_place(path: str, found: list[object]) -> None:
    body: Mapping[str, object] = {"a": {"x": [1, 2]}}
    assert list(values_at(body, path)) == found
