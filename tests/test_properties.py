"""Whatever vendors send: nothing is made up, nothing unread is called complete, and every walk ends.

Few examples by default, and the same ones on every run. To look for what nobody has tried yet:
`PROPERTY_EXAMPLES=100000 pytest --hypothesis-profile=new-inputs tests/test_properties.py`.
"""

from __future__ import annotations

import base64
import copy
import json
import string
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import jsonschema
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from mcp import types

from audience_mcp.catalog.display import to_concise, to_full
from audience_mcp.catalog.models import Audience, to_dict
from audience_mcp.catalog.schemas import output_schema
from audience_mcp.core.audience import Row
from audience_mcp.core.errors import PagingStopped, UnexpectedShape, VendorError
from audience_mcp.core.text import CUT, clean, to_json
from audience_mcp.core.values import WHOLE_MAX, as_count
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.responses import LONGEST_HINT_S, find_wait, parse_body, parse_wait
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Fields, Listing, Page, Request, Response, Talk, Vendor
from audience_mcp.vendors.registry import built_in_vendors
from tests.support.clock import FakeClock
from tests.support.examples import examples, examples_of_each_vendor
from tests.support.served import connected, text_of
from tests.vendors.bodies import account

T = TypeVar("T")
VENDORS = [*built_in_vendors().values()]
by_name = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
ACCOUNTS = {vendor.name: account(vendor) for vendor in VENDORS}
AUDIENCE = jsonschema.Draft202012Validator(output_schema(Audience))


# Any sequence of pages, cursors, duplicates and faults


@dataclass
class Served:
    """One page as the vendor of these tests has it; `faults` are raised before it comes."""

    rows: list[Any]
    more: bool
    cursor: str | None
    total: Any
    faults: list[str] = field(default_factory=list)
    shape: bool = True


class Pages(Listing):
    """A listing whose pages are `Served`."""

    def page(self, body: Any, request: Request) -> Page:
        if not body.shape:
            raise UnexpectedShape("it is not as documented")
        following = None if body.cursor is None else Request("list", {"after": body.cursor})
        return Page(body.rows, body.more, following, body.total)


class Scripted(Vendor):
    """A vendor whose rows may break its own code."""

    listings = (Pages("list", rows="rows", fields=Fields("size"), counts="people", ids=".*"),)

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        if raw.get("bad"):
            raise KeyError("name")


class Way:
    """Serves pages by cursor, each fault once; says what was asked and what was served."""

    def __init__(self, pages: Mapping[str | None, Served]) -> None:
        self.pages = {cursor: copy.copy(page) for cursor, page in pages.items()}
        for page in self.pages.values():
            page.faults = list(page.faults)
        self.asked: list[str | None] = []
        self.served: list[Served] = []

    async def fetch(self, request: Request) -> object:
        cursor = request.params.get("after")
        self.asked.append(cursor)
        page = self.pages.get(cursor)
        if page is None:
            raise VendorError("invalid_request", "no such cursor")
        if page.faults:
            raise VendorError(page.faults.pop(0), "a fault")  # type: ignore[arg-type]
        self.served.append(page)
        return page


def now(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing."""
    with pytest.raises(StopIteration):
        step.send(None)


def failed(pager: Pager) -> VendorError | None:
    """The error of one more step of a walk that is not done."""
    try:
        if not pager.done:
            now(pager.next_page())
    except VendorError as e:
        return e
    return None


def walked(way: Way, bound: int) -> tuple[Pager, VendorError | None]:
    """Walk until it ends or fails for good, within `bound` steps; passing faults are gone on after."""
    pager = Pager("acme", Scripted(), {}, way.fetch)
    for _ in range(bound):
        error = failed(pager)
        if pager.done or (error is not None and not error.passing):
            return pager, error
    raise AssertionError(f"no end after {bound} steps")


PASSING = ["timeout", "unavailable", "rate_limited"]
CURSORS = [None, "a", "b", "c", "d"]
raws = st.fixed_dictionaries(
    {"id": st.sampled_from(["1", "2", "3", "4", 5, "", None, "x\n"]) | st.integers(0, 40)},
    optional={
        "size": st.integers(-1, 10) | st.none() | st.booleans() | st.floats(),
        "bad": st.sampled_from([False, False, False, True]),
    },
)
served = st.builds(
    Served,
    rows=st.lists(raws, max_size=6)
    | st.lists(raws | st.none() | st.integers() | st.text(max_size=3), max_size=6),
    more=st.sampled_from([True, True, False]),
    cursor=st.sampled_from([*CURSORS, *CURSORS[1:], "nowhere", "x" * 70_000]),
    total=st.none() | st.integers(-1, 12) | st.sampled_from(["3", "x", True, 2.5]),
    faults=st.lists(st.sampled_from([*PASSING, *PASSING, "unauthorized"]), max_size=3),
    shape=st.sampled_from([True] * 9 + [False]),
)
listings = st.fixed_dictionaries(dict.fromkeys(CURSORS, served))


@examples
@given(listings)
def test_a_walk_ends_and_says_no_more_than_was_served(pages: dict[str | None, Served]) -> None:
    way = Way(pages)
    faults = sum(len(page.faults) for page in pages.values())

    pager, error = walked(way, bound=len(pages) + faults + 1)

    good = [page for page in way.served if page.shape]
    ids = [row_of(Scripted(), Scripted.listings[0], raw) for page in good for raw in page.rows]
    accepted = {row.id: row for row in reversed(ids) if row is not None}
    assert set(pager.rows) == set(accepted)
    assert {id: row.size for id, row in pager.rows.items()} == {id: row.size for id, row in accepted.items()}
    known = [row.size for row in pager.rows.values() if row.size is not None]
    assert pager.sum_of_sizes == sum(known)
    assert pager.unknown_sizes == len(pager.rows) - len(known)
    assert pager.pages == len(good)
    used = [page for page in good if any(row_of(Scripted(), Scripted.listings[0], raw) for raw in page.rows)]
    assert len(pager.rows) + pager.invalid + pager.duplicates == sum(len(page.rows) for page in used)
    assert (error is None) == pager.done


@pytest.mark.slow
@examples
@given(listings)
def test_a_walk_is_done_only_where_the_vendor_said_that_all_was_served(
    pages: dict[str | None, Served],
) -> None:
    way = Way(pages)

    pager, error = walked(way, bound=100)

    if pager.done:
        assert way.served[-1].more is False
        cursors = [None, *(page.cursor for page in way.served[:-1])]
        assert cursors == list(dict.fromkeys(way.asked))
        assert all(page.more and page.shape for page in way.served[:-1])
        totals = [as_count(page.total) for page in way.served if as_count(page.total) is not None]
        assert not totals or len(pager.rows) + pager.invalid >= (totals[0] or 0)
    else:
        assert error is not None
        assert isinstance(error, PagingStopped) or error.kind in (
            "unauthorized",
            "bad_response",
            "invalid_request",
        )


@examples
@given(listings)
def test_going_on_after_a_passing_fault_reads_no_page_twice(pages: dict[str | None, Served]) -> None:
    way = Way(pages)

    pager, error = walked(way, bound=100)

    assert len(way.served) == len({id(page) for page in way.served})
    if error is None:
        unharmed = {cursor: copy.copy(page) for cursor, page in pages.items()}
        for page in unharmed.values():
            page.faults = []
        other, _ = walked(Way(unharmed), bound=100)
        assert other.rows == pager.rows
        assert (other.invalid, other.duplicates, other.vendor_total) == (
            pager.invalid,
            pager.duplicates,
            pager.vendor_total,
        )


# Any JSON at all in place of a vendor's body

KEYS = [
    "id",
    "_id",
    "name",
    "display_name",
    "data",
    "audiences",
    "page_info",
    "has_next_page",
    "end_cursor",
    "has_more",
    "next_from",
    "count",
    "status",
    "error",
    "errors",
    "message",
    "param",
    "rateLimit",
    "retryAfterSec",
    "retry_after",
    "user_count",
    "nb_ids",
    "memberCount",
    "currentMemberCount",
    "total_rows",
    "matched_rows",
    "type",
    "audience_type",
    "source_type",
    "engagement",
    "auto_refresh",
    "indexing_state",
    "campaigns",
    "hasCampaigns",
    "created",
    "updated",
    "created_at",
    "updated_at",
    "created_time",
    "createdAt",
    "updatedAt",
    "description",
    "match_rates",
    "error_message",
    "platform_audience_ids",
    "lookalike_ratio",
    "filters",
]
WORDS = [
    "Static",
    "dynamic",
    "lookalike",
    "custom",
    "engagement",
    "people_filter",
    "csv_upload",
    "ready",
    "pending",
    "failed",
    "APPLIED",
    "IN_PROGRESS",
    "unauthorized",
    "upgrade your plan",
    "audience_id",
    "200",
    "500",
    "7",
    "",
    "Try again in 12 seconds.",
    "2026-02-11T12:00:00Z",
    "1764547200",
    "adaud_1",
    "0123456789abcdef01234567",
    "VIP",
]
SIZES = ["user_count", "nb_ids", "memberCount", "currentMemberCount", "total_rows", "matched_rows"]
numbers = st.integers() | st.sampled_from([0, 1, 200, 404, 500, 2**53 + 1, 10**400, 1764547200]) | st.floats()
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.sampled_from(WORDS) | st.text(st.characters(), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=6)
        | st.builds(lambda data, info: {"data": data, "page_info": info, "audiences": data}, inner, inner)
    ),
    max_leaves=8,
)
# Rows with a good id, so that the rest of them matters.
ids = st.sampled_from(["7", "VIP", "adaud_1", 31112, 'a"b\\c', "x" * 255, "空"])
further = ["type", "status", "description", "created", "created_at", "createdAt", "campaigns", "match_rates"]
good_rows = st.fixed_dictionaries(
    {"id": ids, "_id": ids, "name": ids | anything},
    optional=dict.fromkeys((*SIZES, "progress_percent"), numbers | anything)
    | dict.fromkeys((*further, "platform_audience_ids", "lookalike_ratio", "error_message"), anything),
)
some_rows = good_rows | st.dictionaries(st.sampled_from(KEYS), anything, max_size=12)
envelopes = st.builds(
    lambda rows, info, more: {"data": rows, "audiences": rows, "page_info": info, **more},
    st.lists(good_rows, max_size=3) | st.lists(some_rows | anything, max_size=4),
    st.fixed_dictionaries({}, optional={"has_next_page": anything, "end_cursor": anything}),
    st.dictionaries(st.sampled_from(KEYS), anything, max_size=4),
)
bodies = anything | some_rows | envelopes


def shaped(read: Callable[[], T]) -> T | None:
    """What was read; None where it has an unexpected shape."""
    try:
        return read()
    except UnexpectedShape:
        return None


def check_rows(vendor: Vendor, listing: Listing, raws: Iterable[object]) -> None:
    """Every row is dropped, or one that can be shown."""
    for raw in raws:
        row = row_of(vendor, listing, raw, "0" if listing.within else None)
        if row is None:
            continue
        assert row.size is None or (type(row.size) is int and 0 <= row.size <= WHOLE_MAX)
        for shown in (to_concise(vendor.name, vendor, row), to_full(vendor.name, vendor, row)):
            answer = to_dict(Audience.model_validate(to_dict(shown)))
            AUDIENCE.validate(json.loads(to_json(answer)))
            assert json.loads(json.dumps(answer, allow_nan=False)) == answer
            to_json(answer).encode("utf-8")
            assert "size" in answer or answer["size_note"]
            assert len(to_json(answer.get("details", {}))) <= 1200


@by_name
@examples_of_each_vendor
@given(body=bodies)
def test_any_body_is_a_page_or_of_an_unexpected_shape(vendor: Vendor, body: object) -> None:
    for listing in vendor.listings:
        request = listing.request(ACCOUNTS[vendor.name].values, "0")
        page = shaped(partial(page_of, vendor, listing, body, request))
        if page is None:
            continue
        assert page.next is None or (page.next.path == request.path and page.next != request)
        assert page.next is None or all(type(v) is str for v in page.next.params.values())
        check_rows(vendor, listing, page.rows)


@by_name
@examples_of_each_vendor
@given(body=bodies)
def test_any_body_is_one_audience_or_of_an_unexpected_shape(vendor: Vendor, body: object) -> None:
    for listing in vendor.listings:
        id = listing.full_id("0", "0" if listing.within else None)
        talk = listing.talk_of_one(id, ACCOUNTS[vendor.name].values)
        if talk is not None:
            raw = shaped(partial(end, talk, body))
            check_rows(vendor, listing, [] if raw is None else [raw])


def page_of(vendor: Vendor, listing: Listing, body: object, request: Request) -> Page:
    return vendor.page(listing.page(body, request), body)


def end(talk: Talk[T], body: object) -> T:
    """What a talk of one request comes to."""
    next(talk)
    with pytest.raises(StopIteration) as ended:
        talk.send(body)
    result: T = ended.value.value
    return result


@by_name
@examples_of_each_vendor
@given(status=st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]), body=bodies)
def test_any_body_amounts_to_a_status_and_to_a_wait_or_none(
    vendor: Vendor, status: int, body: object
) -> None:
    account = ACCOUNTS[vendor.name]
    response = Response(vendor.listings[0].request(account.values), status, {}, body, True, 1_790_000_000)
    amounts_to = vendor.status(response)
    assert type(amounts_to) is int
    assert 200 <= amounts_to <= 599
    assert amounts_to != 200 or status == 200

    wait = find_wait(response, account)
    assert wait is None or 0 <= wait <= LONGEST_HINT_S


@by_name
@examples_of_each_vendor
@given(body=bodies)
def test_any_body_is_read_to_an_end_or_told_as_an_error_of_ours(vendor: Vendor, body: object) -> None:

    async def fetch(request: Request) -> object:
        return body

    class First(type(vendor)):  # type: ignore[misc]
        """The first listing alone."""

        listings = vendor.listings[:1]
        at_once = 1

    pager = Pager(vendor.name, First(), ACCOUNTS[vendor.name].values, fetch)
    error = None
    for _ in range(2):  # the same cursor again is the end
        error = error or failed(pager)
    assert pager.done == (error is None)
    assert error is None or error.kind == "bad_response"
    assert error is None or error.message.startswith(f"{vendor.name}: ")


# Any bytes at all


@examples
@given(st.binary(max_size=40) | bodies.map(lambda body: json.dumps(body).encode()), st.text(max_size=30))
def test_any_bytes_are_json_or_not_and_any_header_is_a_wait_or_none(raw: bytes, header: str) -> None:
    body, readable = parse_body(raw)
    assert readable or body is None

    when = datetime(2026, 11, 20, tzinfo=timezone.utc)
    for text in (header, raw.decode("latin-1")):
        wait = parse_wait(text, text, when)
        assert wait is None or 0 <= wait <= LONGEST_HINT_S


# A caller's guess at a key

ALIKE = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
"""A character of one of these may stand for another of it; any other character stands for itself."""
keys = st.text(f"{''.join(ALIKE)}-_./+=%$&\\'", min_size=8, max_size=120)


@st.composite
def guesses(draw: st.DrawFn) -> tuple[str, str, str]:
    """A key, a text made of a part of it, and another one that looks like that text."""
    key = draw(keys)
    written = draw(
        st.sampled_from([key, key, quote(key, safe=""), base64.b64encode(key.encode()).decode().rstrip("=")])
    )
    start = draw(st.just(0) | st.integers(0, len(written) - 5))
    end = draw(st.just(len(written)) | st.integers(start + 5, len(written)))
    text = written[start:end] + draw(st.sampled_from(["", "", CUT, "..."]))
    classes = [next((each for each in ALIKE if c in each), c) for c in text]
    return key, text, draw(st.tuples(*map(st.sampled_from, classes)).map("".join))


Told = tuple[bool, str, str]
"""Whether it is an error, its text, and its structured content."""


async def answered(key: str, *texts: str) -> list[list[Told]]:
    """What is answered to each text wherever it can stand; in place of the text itself stands `TEXT`."""
    # The vendor repeats the key, as if it were a name; the account with that key is refused.
    rows = {"commbox": [{"id": 1, "name": f"空 {key}", "type": "Static", "user_count": 7}]}
    empty: dict[str, list[object]] = {"batch": [], "smallest": [], "whop": []}
    answers = []
    async with connected(
        {**rows, **empty}, clock=FakeClock(), environment={"COMMBOX_API_KEY_SECOND": key}
    ) as there:
        for text in texts:
            calls = [
                await there.client.call_tool("get_audience", {"audience": text}),
                await there.client.call_tool("list_audiences", {"search": text}),
                await there.client.call_tool("list_audiences", {"sources": [text]}),
                await there.client.call_tool("list_audiences", {text: 1}),
            ]
            answers.append([told(text, each) for each in calls])
    return answers


def told(text: str, result: types.CallToolResult) -> Told:
    """A result without the caller's text."""
    structured = to_json(result.structured_content)
    return result.is_error is True, blanked(text, text_of(result)), blanked(text, structured)


def blanked(text: str, said: str) -> str:
    """`said` without the caller's text, cut or not, as it is and as it stands in JSON."""
    shown = {text, *(clean(text, limit) for limit in (80, 60))}
    forms = {form for each in shown for form in (each, to_json(each)[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        said = said.replace(form, "TEXT")
    return said


# As it was found: each try starts a server, so that making a smaller example of it would take minutes.
@pytest.mark.slow
@pytest.mark.anyio
@settings(examples, phases=[Phase.explicit, Phase.generate])
@given(guesses())
async def test_no_answer_tells_a_guess_at_a_key_from_any_other_text(guess: tuple[str, str, str]) -> None:
    key, text, other = guess
    of_guess, of_other = await answered(key, text, other)
    assume(not any("Did you mean" in said for each in (of_guess, of_other) for _, said, _ in each))
    assert of_guess == of_other
