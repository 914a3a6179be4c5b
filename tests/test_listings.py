"""Several listings, listings inside rows, pages side by side: what is read, told and held against totals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience_mcp.core.errors import UnexpectedShape, VendorError
from audience_mcp.sources.pager import Pager
from audience_mcp.vendors import Fields, Listing, Offset, One, Request, SinglePage, Talk, Vendor

pytestmark = pytest.mark.anyio

Body = Mapping[str, object]


def declare(path: str, rows: str = "rows", **more: Any) -> Listing:
    """A listing of rows that have a size."""
    return Listing(path, rows=rows, fields=Fields("size"), counts="members", ids=".*", **more)


IN_ACCOUNT = declare(
    "accounts/{account}/lists", "lists", paging=Offset(), params={"limit": "2"}, total="total", kind="list"
)


class Lists(Vendor):
    """Lists, each with segments inside; and tags, which an account may not have."""

    name = "acme"
    title = "Acme"
    settings = ()
    listings = (
        IN_ACCOUNT,
        declare("lists/{parent}/segments", "segments", kind="segment", within=IN_ACCOUNT, total="total"),
        declare("tags", "tags", paging=SinglePage(), kind="tag", absent_on=(403, 404)),
    )

    def __init__(self, at_once: int = 6) -> None:
        vars(self)["at_once"] = at_once


class Api:
    """What the vendor answers, by path and offset; `asked` are the requests, in the order of their coming."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.under_way = 0
        self.most_at_once = 0
        self.late: Callable[[str], int] = lambda asked: 0

    async def fetch(self, request: Request) -> object:
        offset = request.params.get("offset", "0")
        asked = request.path if offset == "0" else f"{request.path}+{offset}"
        self.asked.append(asked)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        for _ in range(1 + self.late(asked)):
            await anyio.lowlevel.checkpoint()
        self.under_way -= 1
        answer = self.answers[asked]
        if isinstance(answer, int):
            raise VendorError(
                "forbidden" if answer == 403 else "not_found", f"acme: HTTP {answer}", status=answer
            )
        return answer


def pager_of(api: Api, at_once: int = 6) -> Pager:
    return Pager("acme", Lists(at_once), {"account": "a/1"}, api.fetch)


async def read(pager: Pager) -> Pager:
    with anyio.fail_after(10):
        while not pager.done:
            await pager.next_page()
    return pager


def rows(*ids: object, size: int = 1) -> Sequence[Body]:
    return [{"id": id, "size": size} for id in ids]


LISTS = "accounts/a%2F1/lists"
WHOLE = {
    LISTS: {"lists": rows(1, 2), "total": 3},
    f"{LISTS}+2": {"lists": rows(3), "total": 3},
    "lists/1/segments": {"segments": rows(7), "total": 1},
    "lists/2/segments": {"segments": rows(7, 8), "total": 2},
    "lists/3/segments": {"segments": [], "total": 0},
    "tags": {"tags": rows(1)},
}


async def test_all_listings_are_read_and_each_id_says_its_kind_and_its_parent() -> None:
    pager = await read(pager_of(Api(WHOLE)))
    assert sorted(pager.rows) == [
        "list-1",
        "list-2",
        "list-3",
        "segment-1.7",
        "segment-2.7",
        "segment-2.8",
        "tag-1",
    ]
    segment = pager.rows["segment-2.7"]
    assert (segment.kind, segment.part_of) == ("segment", "list-2")
    assert (pager.rows["tag-1"].kind, pager.rows["tag-1"].part_of) == ("tag", None)


async def test_the_vendors_own_id_is_told_from_one_with_kind_and_parent() -> None:
    vendor = Lists()
    assert [vendor.own_id(id) for id in ("list-1", "segment-2.7", "other-1", "7")] == [
        "1",
        "7",
        "other-1",
        "7",
    ]


async def test_a_setting_and_a_parent_stand_in_a_path_as_one_segment_of_it() -> None:
    api = Api(WHOLE)
    await read(pager_of(api))
    assert LISTS in api.asked
    nested = Lists.listings[1].request({"account": "1"}, "a/../b")
    assert nested.path == "lists/a%2F..%2Fb/segments"


@pytest.mark.parametrize("status", [403, 404])
async def test_a_listing_that_the_account_does_not_have_is_told_and_the_others_stand(status: int) -> None:
    pager = await read(pager_of(Api({**WHOLE, "tags": status})))
    assert pager.done
    text = f"tags are not listed: the vendor says that this account has no such list (HTTP {status})."
    assert text in pager.notes
    assert len(pager.rows) == 6


async def test_a_parent_that_was_deleted_while_reading_is_told_and_the_others_stand() -> None:
    pager = await read(pager_of(Api({**WHOLE, "lists/2/segments": 404})))
    assert pager.notes == [
        "list 'list-2' was deleted while it was being read; what lies within it is not listed."
    ]
    assert "list-2" in pager.rows
    assert "segment-1.7" in pager.rows


async def test_a_listing_that_is_refused_loses_no_other_and_the_reading_is_not_complete() -> None:
    pager = pager_of(Api({**WHOLE, "lists/2/segments": 403}))
    with pytest.raises(VendorError, match="HTTP 403"):
        await read(pager)
    assert not pager.done
    assert {"list-1", "list-2", "list-3", "segment-1.7", "tag-1"} == set(pager.rows)


async def test_one_listing_shorter_than_its_own_total_is_told_whatever_the_others_have() -> None:
    pager = pager_of(Api({**WHOLE, "lists/2/segments": {"segments": rows(7), "total": 5}}))
    with pytest.raises(VendorError, match="reports 5 audiences but listed only 1"):
        await read(pager)
    assert len(pager.rows) == 6


async def test_the_total_of_a_source_is_known_only_where_each_listing_has_one() -> None:
    assert (await read(pager_of(Api(WHOLE)))).vendor_total is None
    without_tags = {**WHOLE, "tags": 404}
    assert (await read(pager_of(Api(without_tags)))).vendor_total == 6


MANY = {
    LISTS: {"lists": rows(0, 1), "total": 20},
    **{f"{LISTS}+{n}": {"lists": rows(n, n + 1), "total": 20} for n in range(2, 20, 2)},
    **{f"lists/{n}/segments": {"segments": [], "total": 0} for n in range(20)},
    "tags": {"tags": []},
}


async def test_pages_whose_places_are_known_are_read_side_by_side_and_never_more_than_allowed() -> None:
    api = Api(MANY)
    pager = await read(pager_of(api, at_once=4))
    assert api.most_at_once == 4
    assert len(pager.rows) == 20
    assert len(set(api.asked)) == len(api.asked) == 10 + 20 + 1


async def test_rows_stay_in_the_vendors_order_however_late_a_page_comes() -> None:
    api = Api({**MANY, **{f"lists/{n}/segments": {"segments": [], "total": 0} for n in range(20)}})
    api.late = lambda asked: 9 if asked == f"{LISTS}+4" else 0
    pager = await read(pager_of(api))
    assert list(pager.rows) == [f"list-{n}" for n in range(20)]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_page_that_fails_in_passing_is_tried_again_after_the_rest_and_no_other_page_is_read_twice(
    times: int,
) -> None:
    answers: dict[str, object] = {**MANY}
    api = Api(answers)
    faults = [VendorError("unavailable", "acme: HTTP 503", status=503) for _ in range(times)]

    async def fetch(request: Request) -> object:
        if request.params.get("offset") == "6" and faults:
            raise faults.pop()
        return await api.fetch(request)

    pager = Pager("acme", Lists(), {"account": "a/1"}, fetch)
    if times > 1:
        with pytest.raises(VendorError, match="lists could not be read"):
            await read(pager)
        assert len(pager.rows) == 18
    await read(pager)
    assert len(pager.rows) == 20
    assert len(set(api.asked)) == len(api.asked)


async def test_a_row_on_two_pages_side_by_side_counts_once_and_what_is_missing_is_told() -> None:
    pager = pager_of(Api({**MANY, f"{LISTS}+4": {"lists": rows(1, 5), "total": 20}}))
    with pytest.raises(VendorError, match=r"20 audiences but listed only 19 \(1 came twice"):
        await read(pager)
    assert pager.duplicates == 1


@pytest.mark.parametrize(
    ("body", "rows"), [({"items": [1]}, [1]), ({"mask": "x"}, []), ({}, []), ({"mask": "x", "n": 0}, None)]
)
def test_an_array_that_may_be_left_out_is_empty_only_beside_what_such_a_body_may_have(
    body: object, rows: list[object] | None
) -> None:
    listing = declare("list", "items", rows_may_lack=("mask",))
    if rows is None:
        with pytest.raises(UnexpectedShape):
            listing.page(body, listing.request({}))
    else:
        assert listing.page(body, listing.request({})).rows == rows


@pytest.mark.parametrize(
    ("kind", "parent", "full"), [(None, None, "7"), ("list", None, "list-7"), ("segment", "1", "segment-1.7")]
)
def test_an_id_begins_with_its_kind_where_there_are_several(
    kind: str | None, parent: str | None, full: str
) -> None:
    listing = declare("x", kind=kind, within=IN_ACCOUNT if parent else None)
    assert listing.full_id("7", parent) == full
    assert listing.split_id(full) == ("7", parent)
    assert re.fullmatch(listing.id_shape, full)


SEGMENT = declare("segments", kind="segment")
TAG = declare("tags", kind="tag")
BARE = declare("audiences", kind="audience", bare_beside=(SEGMENT, TAG))


class Bare(Vendor):
    """Audiences whose ids stand bare in refs, beside two further kinds."""

    listings = (BARE, SEGMENT, TAG)


WORDS = ("audience-", "segment-", "tag-", "x", "7")
TEXTS = ["".join(words) for length in range(6) for words in product(WORDS, repeat=length)]


def is_read_back(own: str) -> bool:
    """Whether each listing's row with this id of its own is found again by the id in its ref."""
    vendor = Bare()
    ids = [(listing, listing.full_id(own)) for listing in vendor.listings]
    return all(vendor.listing_of(id) is each and each.split_id(id) == (own, None) for each, id in ids)


@given(st.sampled_from(TEXTS), st.text())
def test_any_own_id_has_a_ref_from_which_its_listing_and_itself_are_read_back(before: str, own: str) -> None:
    assert is_read_back(own)
    assert is_read_back(f"{before}{own}")


def test_own_ids_that_begin_like_refs_are_read_back_too() -> None:
    assert [text for text in TEXTS if not is_read_back(text)] == []


def test_no_two_rows_share_an_id() -> None:
    ids = [listing.full_id(own) for listing, own in product(Bare.listings, {*TEXTS})]
    assert len(ids) == len({*ids})


def test_a_text_that_looks_like_an_id_is_the_one_id_of_an_own_one_as_documented() -> None:
    vendor = Bare()
    bare, segment = replace(BARE, ids="[0-9]+|(?:audience-)?segment-[0-9]+"), replace(SEGMENT, ids="[x-]+")
    vars(vendor)["listings"] = bare, segment, TAG
    for text in TEXTS:
        listing = vendor.listing_of(text)
        own, _ = listing.split_id(text)
        meant = bool(re.fullmatch(listing.ids, own)) and listing.full_id(own) == text
        assert bool(vendor.id_shape.fullmatch(text)) is meant, text
        assert vendor.own_id(text) == (own if meant else text), text


@pytest.mark.parametrize(
    ("own", "id"),
    [
        ("vip", "vip"),
        ("audience-vip", "audience-vip"),
        ("segment", "segment"),
        ("segment-x", "audience-segment-x"),
        ("audience-segment-x", "audience-audience-segment-x"),
        ("audience-audience-segment-x", "audience-audience-audience-segment-x"),
    ],
)
def test_a_bare_id_is_the_vendors_own_unless_it_would_be_read_as_another_ones(own: str, id: str) -> None:
    assert BARE.full_id(own) == id


def asked(talk: Talk[object] | None) -> Request:
    """The first request of a talk."""
    assert talk is not None
    return next(talk)


def test_one_row_is_requested_as_the_listing_declares_to_which_its_id_belongs() -> None:
    query = {"query": "one where id = {id}", "variables": {"ids": ["{id}"], "first": 1}}
    lists = declare("lists", kind="list", one=One("{account}/lists/{id}", {"for": "{account}"}))
    one = One("lists/{parent}/{id}", pace="slow", json=query)
    inner = declare("x", kind="segment", within=lists, one=one)
    values = {"account": "a/1"}
    assert asked(lists.talk_of_one("list-7", values)) == Request("a%2F1/lists/7", {"for": "a/1"})
    found = asked(inner.talk_of_one("segment-7.8", values))
    assert (found.path, found.purpose, found.pace) == ("lists/7/8", "one", "slow")
    assert found.json == {"query": "one where id = 8", "variables": {"ids": ["8"], "first": 1}}
    assert one.json == query
    assert declare("lists").talk_of_one("7", values) is None


def test_what_a_listing_says_first_may_hold_settings() -> None:
    params = {"account": "{account}", "limit": "5", "view": "{view}"}
    listing = declare("x", "y", params=params, pace="slow")
    request = listing.request({"account": "a b"})
    assert (request.params, request.pace) == ({"account": "a b", "limit": "5"}, "slow")
    with pytest.raises(UnexpectedShape, match="no list 'y'"):
        listing.page({"z": []}, request)
