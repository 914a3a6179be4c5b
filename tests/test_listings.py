"""Several listings, listings inside rows, pages side by side: what is read, told and held against totals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import anyio
import pytest

from audience_mcp.core.errors import UnexpectedShape, VendorError
from audience_mcp.sources.pager import Pager
from audience_mcp.vendors import Listing, Offset, Request, Row, SinglePage, Vendor, as_count

pytestmark = pytest.mark.anyio

Body = Mapping[str, object]


class Lists(Vendor):
    """Lists, each with segments inside; and tags, which an account may not have."""

    name = "acme"
    title = "Acme"
    settings = ()
    size_counts = "members"
    id_shape = re.compile(".*")
    listings = (
        Listing("accounts/{account}/lists", "lists", Offset(), {"limit": "2"}, total="total", kind="list"),
        Listing("lists/{parent}/segments", "segments", kind="segment", within="list", total="total"),
        Listing("tags", "tags", SinglePage(), kind="tag", absent_on=(403, 404)),
    )

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        return Row(id, id, as_count(raw.get("size")))


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
    vendor, values = Lists(), {"account": "a/1"}
    return Pager(
        "acme",
        vendor,
        lambda: vendor.list_requests(values),
        api.fetch,
        lambda kind, id, _: vendor.nested_requests(kind, id, values),
        at_once,
    )


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
        "list-1", "list-2", "list-3", "segment-1.7", "segment-2.7", "segment-2.8", "tag-1",
    ]  # fmt: skip
    segment = pager.rows["segment-2.7"]
    assert (segment.kind, segment.part_of) == ("segment", "list-2")
    assert (pager.rows["tag-1"].kind, pager.rows["tag-1"].part_of) == ("tag", None)


async def test_what_a_thread_goes_through_stays_as_it_is_while_more_is_read() -> None:
    pager = pager_of(Api(WHOLE), at_once=1)
    await pager.next_page()
    present = pager.present_rows()
    assert [row.id for row in present] == ["list-1", "list-2"]
    await read(pager)
    assert [row.id for row in present] == ["list-1", "list-2"]
    assert [row.id for row in pager.present_rows()] == list(pager.rows)


async def test_the_vendors_own_id_is_told_from_one_with_kind_and_parent() -> None:
    vendor = Lists()
    assert [vendor.bare_id(id) for id in ("list-1", "segment-2.7", "other-1", "7")] == [
        "1",
        "7",
        "other-1",
        "7",
    ]


async def test_a_setting_and_a_parent_stand_in_a_path_as_one_segment_of_it() -> None:
    api = Api(WHOLE)
    await read(pager_of(api))
    assert LISTS in api.asked
    (nested,) = Lists().nested_requests("list", "a/../b", {"account": "1"})
    assert nested.path == "lists/a%2F..%2Fb/segments"


@pytest.mark.parametrize("status", [403, 404])
async def test_a_listing_that_the_account_does_not_have_is_told_and_the_others_stand(status: int) -> None:
    pager = await read(pager_of(Api({**WHOLE, "tags": status})))
    assert pager.done
    assert "tags are not listed: the vendor says that this account has none of them." in pager.notes
    assert len(pager.rows) == 6


async def test_a_parent_that_was_deleted_while_reading_is_told_and_the_others_stand() -> None:
    pager = await read(pager_of(Api({**WHOLE, "lists/2/segments": 404})))
    assert pager.notes == [
        "one of the lists was deleted while it was being read; what lies within it is not listed."
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


async def test_a_passing_fault_of_one_page_side_by_side_reads_no_other_page_twice() -> None:
    answers: dict[str, object] = {**MANY}
    api = Api(answers)
    faults = [VendorError("unavailable", "acme: HTTP 503", status=503)]

    async def fetch(request: Request) -> object:
        if request.params.get("offset") == "6" and faults:
            raise faults.pop()
        return await api.fetch(request)

    vendor, values = Lists(), {"account": "a/1"}
    pager = Pager("acme", vendor, lambda: vendor.list_requests(values), fetch, at_once=6)
    with pytest.raises(VendorError, match="503"):
        await read(pager)
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
    listing = Listing("list", "items", rows_may_lack=("mask",))
    if rows is None:
        with pytest.raises(UnexpectedShape):
            listing.page(body, listing.request({}))
    else:
        assert listing.page(body, listing.request({})).rows == rows


@pytest.mark.parametrize(
    ("prefix", "kind", "parent", "full"),
    [
        (None, None, None, "7"),
        (None, "list", None, "list-7"),
        ("l", "list", None, "l-7"),
        (None, "segment", "1", "segment-1.7"),
    ],
)
def test_an_id_begins_with_its_kind_where_there_are_several(
    prefix: str | None, kind: str | None, parent: str | None, full: str
) -> None:
    assert Listing("x", "y", kind=kind, prefix=prefix).full_id("7", parent) == full


def test_one_row_is_asked_for_as_the_listing_declares_to_which_its_id_belongs() -> None:
    query = {"query": "one where id = {id}", "variables": {"id": "{id}", "first": 1}}
    lists = Listing("lists", "lists", kind="list", one=Request("{account}/lists/{id}", {"for": "{account}"}))
    inner = Listing(
        "x", "x", kind="segment", within="list", one=Request("lists/{parent}/{id}", pace="slow", json=query)
    )
    values = {"account": "a/1"}
    assert lists.request_one("list-7", values) == Request("a%2F1/lists/7", {"for": "a/1"})
    assert lists.request_one("segment-7.8", values) is None
    found = inner.request_one("segment-7.8", values)
    assert found is not None
    assert (found.path, found.parent, found.listing, found.pace) == ("lists/7/8", "7", inner, "slow")
    assert found.json == {"query": "one where id = 8", "variables": {"id": "8", "first": 1}}
    assert inner.one is not None
    assert inner.one.json == query
    assert Listing("lists", "lists").request_one("7", values) is None


def test_what_a_listing_says_first_may_hold_settings() -> None:
    listing = Listing("x", "y", params={"account": "{account}", "limit": "5"}, pace="slow")
    request = listing.request({"account": "a b"})
    assert (request.params, request.pace) == ({"account": "a b", "limit": "5"}, "slow")
    with pytest.raises(UnexpectedShape, match="no list 'y'"):
        listing.page({"z": []}, request)
