"""Each kind of fault that people reported of a vendor, at every vendor that it can reach."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import pytest

from audience_mcp.catalog.query import GetQuery
from audience_mcp.core.errors import ToolError
from audience_mcp.sandbox import Answer, Asked
from audience_mcp.testing import Case
from audience_mcp.vendors import Cursor, Exchange, Listing, NextLink, Offset, PageNumber, Words
from audience_mcp.vendors.pagination import Paging
from tests.contract.cases import CASES
from tests.faults.counts import COUNTS
from tests.faults.reported import Otherwise, report_of, reported

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

COUNTING = [name for name, case in CASES.items() if case.vendor.has_counts]
LISTINGS = {
    f"{name}, {listing.kind or 'all'} {n}": (name, listing)
    for name, case in CASES.items()
    for n, listing in enumerate(case.vendor.listings)
}
BESIDE = {key: each for key, each in LISTINGS.items() if len(CASES[each[0]].vendor.listings) > 1}
"""Listings that are not the only one of their vendor."""
PAGE = "<!DOCTYPE html><html><title>Just a moment...</title></html>"
HOUR_S = 3600
LONG_S = 31_000


def is_token(asked: Asked) -> bool:
    """Whether a token is asked for."""
    return b"grant_type=" in asked.body


def vendors_own(otherwise: Otherwise) -> Otherwise:
    """An answer in place of the vendor's own, whose tokens are given out as ever."""
    return lambda asked: None if is_token(asked) else otherwise(asked)


def is_of(listing: Listing) -> Callable[[Asked], bool]:
    """Tells requests for a page of a listing, by its path and by what is always said in its query or body."""
    path = re.compile(rf".*/{re.sub(r'{[^}]*}', '[^/]+', listing.path.lstrip('/'))}")
    said = {name: text for name, text in listing.params.items() if "{" not in text and not text.isdigit()}

    def tell(asked: Asked) -> bool:
        if asked.method != listing.method or not path.fullmatch(unquote(asked.path)):
            return False
        if listing.method == "POST" and b"AudienceSizes" in asked.body:
            return False
        return all(asked.query.get(name) == [text] for name, text in said.items())

    return tell


def exchanges(case: Case) -> bool:
    """Whether settings of the vendor are exchanged for a token."""
    return isinstance(case.vendor.auth, Exchange)


def is_counted_in_pages(paging: Paging) -> bool:
    """Whether the number of the last page follows from what each page says."""
    return isinstance(paging, PageNumber) and bool(paging.last or paging.per_page)


def put_at(body: Any, path: str, value: object) -> None:
    """Put a value where a path leads, past objects that are not there."""
    *way, last = path.split(".")
    for key in way:
        body = body[int(key)] if isinstance(body, list) else body.setdefault(key, {})
    body[last] = value


def test_every_vendor_that_counts_has_its_counts_told_apart() -> None:
    assert set(COUNTING) == set(COUNTS)


# A look-up has two outcomes, the row and its size

FAILURES = {
    "401": (Answer(401, {"message": "no"}), ("unauthorized",)),
    "403": (Answer(403, {"message": "not permitted for this API key"}), ("forbidden", "unauthorized")),
    "429": (Answer(429, {"message": "slow down"}, {"Retry-After": "1500"}), ("rate_limited",)),
    "503": (Answer(503, {"message": "maintenance"}), ("unavailable",)),
    "cut off": (Answer(200, b'{"data": [', {"Content-Length": "10"}), ("bad_response", "unavailable")),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("vendor", COUNTING)
async def test_a_size_that_fails_leaves_the_row_and_says_why(vendor: str, failure: str) -> None:
    case, (answer, kinds) = CASES[vendor], FAILURES[failure]
    counts = COUNTS[vendor]
    async with reported(case, case.rows, lambda asked: answer if counts(asked) else None) as there:
        found = await there.get(case.id_of(case.sample))
    (row,) = found.audiences
    assert (row.id, row.size) == (case.id_of(case.sample), None)
    assert row.size_note
    report = report_of(found)
    assert report.error is not None
    assert report.error.kind in kinds
    lasting = failure in ("401", "403")
    assert (report.complete, found.complete) == (lasting, lasting)
    if failure == "429":
        assert report.error.retry_after_s == 1500


# A count that is refused for good


@pytest.mark.parametrize("vendor", COUNTING)
async def test_sizes_that_a_key_may_not_count_are_said_to_be_so_and_asked_for_again_after_an_hour(
    vendor: str,
) -> None:
    case, counts, refused = CASES[vendor], COUNTS[vendor], [True]
    rows = case.some(6)

    def answered(asked: Asked) -> Answer | None:
        return Answer(403, {"message": "not permitted"}) if counts(asked) and refused[0] else None

    async with reported(case, rows, answered, AUDIENCE_MCP_CACHE_S="0") as there:
        for number in range(3):
            answer = await there.list()
            assert (answer.matched, answer.unknown_sizes, answer.sizes_pending) == (6, 6, None)
            assert answer.complete
            error = report_of(answer).error
            assert error is not None
            assert error.kind in ("forbidden", "unauthorized")
            assert all((row.size_note or "").startswith("not counted: ") for row in answer.audiences)
            if number:
                assert not any(counts(asked) for asked in there.since())
        refused[0] = False
        there.clock.advance(HOUR_S + 1)
        answer = await there.list()
        assert (answer.unknown_sizes, answer.complete) == (0, True)


# A pause belongs to the kind of request that got it


@pytest.mark.parametrize("vendor", COUNTING)
async def test_a_pause_of_counts_leaves_the_listings_as_they_are(vendor: str) -> None:
    case, counts = CASES[vendor], COUNTS[vendor]
    paused = Answer(429, {"message": "slow down"}, {"Retry-After": str(LONG_S)})

    def answered(asked: Asked) -> Answer | None:
        return paused if counts(asked) else None

    async with reported(case, case.some(3), answered, AUDIENCE_MCP_CACHE_S="0") as there:
        answer = await there.list()
        assert (answer.matched, answer.unknown_sizes, answer.complete) == (3, 3, False)
        error = report_of(answer).error
        assert error is not None
        assert (error.kind, error.retry_after_s) == ("rate_limited", LONG_S)
        there.clock.advance(60)
        answer = await there.list(refresh=True)
        assert (answer.matched, answer.unknown_sizes, answer.complete) == (3, 3, False)
        requests = [asked for asked in there.since() if not is_token(asked)]
        assert requests
        assert not any(counts(asked) for asked in requests)


# Deletions

DELETED = "2025-05-02T21:00:14.271Z"


@pytest.mark.parametrize("stamp", [DELETED, "2025-05-02 21:00:14", 1746219614000, True, "true", "True"])
@pytest.mark.parametrize("key", [key for key, (_, each) in LISTINGS.items() if each.deleted_at])
async def test_a_deleted_audience_is_in_no_sum_and_has_no_size(key: str, stamp: object) -> None:
    vendor, listing = LISTINGS[key]
    case = CASES[vendor]
    assert listing.deleted_at
    *others, last = case.some(3)
    deleted = {**last, listing.deleted_at: stamp}
    async with reported(case, [*others, deleted]) as there:
        answer = await there.list()
        assert answer.sum_of_sizes == 2001
        notes = [row.size_note for row in answer.audiences if row.size is None]
        if answer.matched == 2:  # PostHog's list leaves deleted ones out
            with pytest.raises(ToolError, match="deleted"):
                await there.get(case.id_of(deleted))
            return
        assert (answer.unknown_sizes, notes) == (1, ["deleted"])
        (row,) = (await there.get(case.id_of(deleted))).audiences
        assert (row.size, row.size_note) == (None, "deleted")


# One listing that fails


@pytest.mark.parametrize("status", [403, 503])
@pytest.mark.parametrize("key", BESIDE)
async def test_a_listing_that_fails_costs_itself_alone_is_named_and_is_asked_for_again(
    key: str, status: int
) -> None:
    vendor, listing = BESIDE[key]
    case, failing = CASES[vendor], [True]
    own = is_of(listing)

    def answered(asked: Asked) -> Answer | None:
        return Answer(status, {"message": "not now"}) if failing[0] and own(asked) else None

    async with reported(case, case.rows) as there:
        whole = await there.list()
    refs = {row.ref for row in whole.audiences}
    lost = {row.ref for row in whole.audiences if is_lost(case, listing, row)}
    async with reported(case, case.rows, answered) as there:
        if lost == refs:  # all others lie within what failed
            with pytest.raises(ToolError):
                await there.list()
        else:
            answer = await there.list()
            left = {row.ref for row in answer.audiences}
            assert left == refs - lost if listing.kind else refs > left
            assert not answer.complete
            error = report_of(answer).error
            assert error is not None
            # A key that is refused, and what fails for one list after another, is no matter of a listing.
            whole_vendor = error.kind == "unauthorized" or (listing.within is not None and status == 503)
            assert whole_vendor or (
                f"{listing.kind or 'audience'}s" in error.message and "could not be read" in error.message
            )
        failing[0] = False
        there.clock.advance(60)
        again = await there.list()
        assert (again.matched, again.complete) == (whole.matched, True)


def is_lost(case: Case, listing: Listing, row: Any) -> bool:
    """Whether a row comes by a listing, or lies within one that does."""
    own = case.vendor.listing_of(row.id)
    return listing.kind is not None and listing in (own, own.within)


# Null for an empty array

NULL_IS_NO_LIST = {"microsoftads"}
"""Vendors at which null tells an empty account from a failure by nothing."""


@pytest.mark.parametrize("vendor", CASES)
async def test_null_for_the_rows_of_an_empty_account_is_an_empty_page(vendor: str) -> None:
    case = CASES[vendor]
    played = []

    def altered(asked: Asked, answer: Answer) -> Answer:
        listing = next((each for each in case.vendor.listings if is_of(each)(asked)), None)
        if listing is None or not listing.rows or answer.status != 200 or is_token(asked):
            return answer
        body = copy.deepcopy(answer.body)
        put_at(body, listing.rows, None)
        played.append(asked)
        return Answer(200, body)

    async with reported(case, [], altered=altered) as there:
        if vendor in NULL_IS_NO_LIST:
            with pytest.raises(ToolError, match="not in the documented format"):
                await there.list()
            return
        answer = await there.list()
        assert (answer.matched, answer.complete) == (0, True)
    assert played or not all(listing.rows for listing in case.vendor.listings)


# Statuses that pass, and pages of what stands in front


@pytest.mark.parametrize("vendor", CASES)
async def test_a_status_of_what_stands_in_front_passes(vendor: str) -> None:
    case, left = CASES[vendor], [520, 522]

    def answered(asked: Asked) -> Answer | None:
        return Answer(left.pop(), PAGE) if left else None

    async with reported(case, case.rows, answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (len(case.rows), True)


async def told_of_a_page(vendor: str, status: int) -> str:
    """The error of a vendor in whose place web pages come with this status."""
    case = CASES[vendor]
    async with reported(case, case.rows, vendors_own(lambda asked: Answer(status, PAGE))) as there:
        with pytest.raises(ToolError) as caught:
            await there.list()
    return str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
@pytest.mark.parametrize("vendor", CASES)
async def test_a_web_page_is_no_word_of_the_vendors(vendor: str, status: int) -> None:
    said = await told_of_a_page(vendor, status)
    assert f"answered with a web page in place of data (HTTP {status})" in said
    assert "refused the key" not in said
    assert "does not let this key" not in said
    assert "is rate limiting requests" not in said


@pytest.mark.parametrize("status", [400, 404, 405, 511])
@pytest.mark.parametrize("vendor", CASES)
async def test_a_web_page_says_nothing_of_the_key_whatever_its_status(vendor: str, status: int) -> None:
    said = await told_of_a_page(vendor, status)
    assert f"answered with a web page in place of data (HTTP {status}). Check " in said
    assert "refused the key" not in said


LOOKED_UP = [name for name, case in CASES.items() if any(each.one for each in case.vendor.listings)]


@pytest.mark.parametrize("status", [400, 404, 406, 410])
@pytest.mark.parametrize("vendor", LOOKED_UP)
async def test_a_web_page_does_not_say_that_an_audience_is_gone(vendor: str, status: int) -> None:
    case, broken = CASES[vendor], [False]
    no = vendors_own(lambda asked: Answer(status, PAGE) if broken[0] else None)
    async with reported(case, [case.sample], no) as there:
        before = await there.list()
        broken[0] = True
        found = await there.get(case.id_of(case.sample))
        with pytest.raises(ToolError, match="it may be there"):
            await there.get(case.unknown_id)
    assert [row.ref for row in found.audiences] == [row.ref for row in before.audiences]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410])
@pytest.mark.parametrize("vendor", COUNTING)
async def test_a_web_page_does_not_refuse_a_count(vendor: str, status: int) -> None:
    case, counts, blocked = CASES[vendor], COUNTS[vendor], [True]

    def answered(asked: Asked) -> Answer | None:
        return Answer(status, PAGE) if counts(asked) and blocked[0] else None

    async with reported(case, case.some(3), answered) as there:
        answer = await there.list()
        assert (answer.matched, answer.sizes_pending, answer.complete) == (3, 3, False)
        error = report_of(answer).error
        assert error is not None
        assert f"could not be counted. {case.vendor.title} (" in error.message
        assert f"a web page in place of data (HTTP {status})" in error.message
        blocked[0] = False
        there.clock.advance(60)
        assert (await there.list()).complete


@pytest.mark.parametrize("status", [400, 401, 403, 404])
@pytest.mark.parametrize("vendor", [name for name, case in CASES.items() if exchanges(case)])
async def test_a_web_page_does_not_refuse_what_a_token_is_exchanged_for(vendor: str, status: int) -> None:
    case = CASES[vendor]
    page = Answer(status, PAGE)
    async with reported(case, case.rows, lambda asked: page if is_token(asked) else None) as there:
        with pytest.raises(ToolError) as caught:
            await there.list()
    assert f"answered with a web page in place of data (HTTP {status})" in str(caught.value)


# What could not be counted says so


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("vendor", COUNTING)
async def test_an_error_of_counts_says_that_it_is_one(vendor: str, failure: str) -> None:
    case, counts, (answer, _) = CASES[vendor], COUNTS[vendor], FAILURES[failure]
    async with reported(case, case.some(3), lambda asked: answer if counts(asked) else None) as there:
        error = report_of(await there.list()).error
        assert error is not None
        what = r"(\d sizes|sizes|the size of '.*')( of \w+)? could not be counted\. [A-Z]"
        assert re.match(f"{vendor}: {what}", error.message)
        assert "read audiences" not in error.message


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize(
    "vendor",
    [
        v
        for v in COUNTING
        if all(each.count is None or each.count.splits for each in CASES[v].vendor.listings)
    ],
)
async def test_a_count_that_is_refused_for_one_audience_is_told_once_with_its_name(
    vendor: str, status: int
) -> None:
    case, counts = CASES[vendor], COUNTS[vendor]
    rows = [{**row, case.name: f"Number {n}"} for n, row in enumerate(case.some(5))]
    own = case.vendor.own_id(case.id_of(rows[2]))

    def answered(asked: Asked) -> Answer | None:
        of_it = own in unquote(asked.path) + str(asked.query) + asked.body.decode()
        return Answer(status, {"message": "no"}) if counts(asked) and of_it else None

    async with reported(case, rows, answered) as there:
        for limit in (10, 9):
            answer = await there.list(limit=limit)
            assert (answer.unknown_sizes, answer.sizes_pending, answer.complete) == (1, None, True)
            error = report_of(answer).error
            assert error is not None
            assert "the size of 'Number 2' could not be counted" in error.message
            account = there.configured.sources[0].account
            assert account is not None
            assert status != 404 or account.variables["base_url"] not in error.message
        assert not any(counts(asked) for asked in there.since())
        if status != 404:  # by which a vendor says of some look-ups that there is no such audience
            found = await there.get(case.id_of(rows[2]))
            error = report_of(found).error
            assert error is not None
            assert (found.complete, "the size of 'Number 2' could not" in error.message) == (True, True)


# Bytes


@pytest.mark.parametrize(
    ("odd", "shown"), [(b"\xe4", "K\ufffdufer"), (b"\x0b", "K ufer")], ids=["no UTF-8", "a control character"]
)
@pytest.mark.parametrize("vendor", CASES)
async def test_one_bad_byte_in_a_name_costs_a_letter_and_no_page(vendor: str, odd: bytes, shown: str) -> None:
    case = CASES[vendor]
    first, *rest = case.some(3)

    def altered(asked: Asked, answer: Answer) -> Answer:
        body = answer.body
        if not isinstance(body, (dict, list)):
            return answer
        data = json.dumps(body, ensure_ascii=False).encode().replace("ä".encode(), odd)
        return Answer(answer.status, data, answer.headers)

    async with reported(case, [{**first, case.name: "Käufer"}, *rest], altered=altered) as there:
        answer = await there.list()
    assert answer.matched == 3
    assert shown in {row.name for row in answer.audiences}
    assert answer.complete


# Signs of the end


@pytest.mark.parametrize(
    "vendor", [name for name, case in CASES.items() if is_counted_in_pages(case.vendor.listings[0].paging)]
)
async def test_zeros_where_rows_are_counted_do_not_end_a_list(vendor: str) -> None:
    case = CASES[vendor]
    listing = case.vendor.listings[0]
    paging = listing.paging
    assert isinstance(paging, PageNumber)
    own = is_of(listing)

    def altered(asked: Asked, answer: Answer) -> Answer:
        if not own(asked) or is_token(asked):
            return answer
        body = copy.deepcopy(answer.body)
        for path in filter(None, (paging.last, listing.total)):
            put_at(body, path, 0)
        return Answer(200, body)

    async with reported(case, case.some(2 * case.page_size), altered=altered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (case.page_size, False)
    error = report_of(answer).error
    assert error is not None
    assert "the vendor does not say whether more audiences follow" in error.message.lower()


# Gone


@pytest.mark.parametrize("vendor", [name for name in LOOKED_UP if CASES[name].vendor.version is None])
async def test_one_audience_that_is_gone_for_good_is_not_found(vendor: str) -> None:
    case, gone = CASES[vendor], [False]
    no = vendors_own(lambda asked: Answer(410, {"message": "gone"}) if gone[0] else None)
    async with reported(case, case.rows, no) as there:
        await there.list()
        gone[0] = True
        with pytest.raises(ToolError) as caught:
            await there.get(case.id_of(case.sample))
    assert str(caught.value).startswith("No audience has the ref")
    assert "it may be there" not in str(caught.value)


# Too big


def too_big(name: str) -> Answer:
    """A refusal by size."""
    return Answer(413, {"message": "too large"})


def invalid_key(name: str) -> Answer:
    """A validation error in Laravel's form."""
    return Answer(422, {"message": "…", "errors": {name: [f"The {name} must not be greater than 5."]}})


def invalid_place(name: str) -> Answer:
    """A validation error that says where the parameter stood."""
    return Answer(400, {"detail": [{"loc": ["query", name], "msg": "…", "type": "less_than_equal"}]})


@pytest.mark.parametrize("refuse", [too_big, invalid_key, invalid_place])
@pytest.mark.parametrize("key", [key for key, (_, each) in LISTINGS.items() if each.page_size])
async def test_a_page_that_is_too_big_is_halved_from_the_same_place(
    key: str, refuse: Callable[[str], Answer]
) -> None:
    vendor, listing = LISTINGS[key]
    case, own = CASES[vendor], is_of(listing)
    assert listing.page_size is not None
    name, refused = listing.page_size, list[int]()
    limit = 125 if vendor == "snapchat" else 5  # Snapchat takes no page of less than fifty

    def size_of(asked: Asked) -> int:
        if name in asked.query:
            return int(asked.query[name][0])
        body = json.loads(asked.body)
        for part in name.split("."):
            body = body[part]
        return int(body)

    def answered(asked: Asked) -> Answer | None:
        if own(asked) and size_of(asked) > limit:
            refused.append(size_of(asked))
            return refuse(name)
        return None

    async with reported(case, case.rows, answered) as there:
        answer = await there.list(limit=0)
    assert (answer.matched, answer.complete) == (len(case.rows), True)
    assert refused
    # Each list has segments of its own, and each of those listings finds its size by itself.
    assert listing.within is not None or refused == sorted(set(refused), reverse=True)


@pytest.mark.parametrize(
    "vendor",
    [
        name
        for name in COUNTING
        if any(each.count and each.count.batch > 1 for each in CASES[name].vendor.listings)
    ],
)
async def test_a_batch_of_sizes_that_is_too_big_is_halved(vendor: str) -> None:
    case, counts = CASES[vendor], COUNTS[vendor]
    ids = [case.new_id(n) for n in range(12)]

    def answered(asked: Asked) -> Answer | None:
        many = counts(asked) and sum(id.encode() in asked.body for id in ids) > 5
        return Answer(413, {"message": "too large"}) if many else None

    sample = next(row for row in case.rows if batched(case, row))
    rows = [{**sample, case.id: id, case.size: 10 + n} for n, id in enumerate(ids)]
    async with reported(case, rows, answered) as there:
        answer = await there.list()
    assert (answer.matched, answer.unknown_sizes, answer.complete) == (12, 0, True)


def batched(case: Case, row: Mapping[str, object]) -> bool:
    """Whether a row of known size is counted with others."""
    count = case.vendor.listing_of(case.id_of(row)).count
    return count is not None and count.batch > 1 and bool(case.facts(row).size)


# 0 while it is still processed


def processing_words() -> Sequence[tuple[str, str, object]]:
    """Vendor, field and word of each word that means that an audience is being processed."""
    found = []
    for name, case in CASES.items():
        status = case.vendor.listings[0].fields.status
        if isinstance(status, Words):
            words = [word for word, means in status.means.items() if means == "processing"]
            found += [(name, status.at.rpartition(".")[2], word) for word in words]
    return found


@pytest.mark.parametrize(("vendor", "field", "word"), processing_words())
async def test_a_0_that_is_still_processed_is_not_a_size(vendor: str, field: str, word: object) -> None:
    case = CASES[vendor]
    row = {**case.sample, field: word, case.size: 0}
    async with reported(case, [row]) as there:
        answer = await there.list()
        assert (await there.list(max_size=10)).matched == 0
    (shown,) = answer.audiences
    assert (shown.size, shown.status) == (None, "processing")
    assert shown.size_note


# A list that never ends, over the same rows


class Endless:
    """Answers each page of a listing with its first one, and a way to the next that is always new."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._own = is_of(listing)
        self._first: Any = None
        self.number = 0

    def alter(self, asked: Asked, answer: Answer) -> Answer:
        """The first page, with a way on."""
        if not self._own(asked) or is_token(asked):
            return answer
        assert answer.status == 200
        self._first = copy.deepcopy(answer.body)
        return self.answer(asked) or answer

    def answer(self, asked: Asked) -> Answer | None:
        """The first page again."""
        if self._first is None or not self._own(asked):
            return None
        self.number += 1
        body, listing, paging = copy.deepcopy(self._first), self._listing, self._listing.paging
        mark, many = f"made-up-{self.number}", 3_000
        if isinstance(paging, Cursor):
            put_at(body, paging.at, mark)
            if paging.more:
                put_at(body, paging.more, True)
        elif isinstance(paging, NextLink):
            put_at(
                body, paging.at, f"http://{asked.headers['host']}{asked.path}?{paging.param or 'page'}={mark}"
            )
            if paging.cursor:
                put_at(body, paging.cursor, mark)
        elif isinstance(paging, Offset):
            for path, value in ((paging.more, True), (paging.link, mark), (paging.at, many * self.number)):
                if path:
                    put_at(body, path, value)
        last = paging.last if isinstance(paging, PageNumber) else None
        for path in filter(None, (last, listing.total)):
            put_at(body, path, many)
        return Answer(200, body)


ENDLESS = [
    key
    for key, (_, each) in LISTINGS.items()
    if isinstance(each.paging, (Cursor, NextLink, Offset, PageNumber)) and each.within is None
]


@pytest.mark.parametrize("key", ENDLESS)
async def test_a_list_without_end_over_the_same_rows_ends_after_twenty_pages(key: str) -> None:
    vendor, listing = LISTINGS[key]
    case = CASES[vendor]
    like = next(row for row in case.rows if case.vendor.listing_of(case.id_of(row)).kind == listing.kind)
    full = getattr(listing.paging, "full_page", None) or 30
    full = int(listing.params[full]) if isinstance(full, str) else full
    rows = [{**like, case.id: case.new_id(n)} for n in range(full)]
    endless = Endless(listing)
    async with reported(case, rows, endless.answer, endless.alter) as there:
        answer = await there.list(limit=0)
    assert answer.matched <= len(rows)
    assert not answer.complete
    assert endless.number <= 21 + case.vendor.at_once
    error = report_of(answer).error
    assert error is not None
    assert "20 pages in a row without one new audience" in error.message


# Versions that have ended

ENDING = {name: case for name, case in CASES.items() if case.vendor.version is not None}


@pytest.mark.parametrize("vendor", ENDING)
async def test_what_is_not_found_after_the_end_of_a_version_is_told_as_that_end(vendor: str) -> None:
    case = CASES[vendor]
    version = case.vendor.version
    assert version is not None
    after = datetime.combine(version.served_until, time(12), timezone.utc) + timedelta(days=1)
    gone = vendors_own(lambda asked: Answer(404, {"message": "not here"}))
    async with reported(case, case.rows, gone) as there:
        with pytest.raises(ToolError) as before:
            await there.list()
        there.clock.advance((after - there.clock.utc()).total_seconds())
        with pytest.raises(ToolError) as caught:
            await there.list()
    if version.falls_forward:
        assert version.name not in str(caught.value)
        return
    assert "no longer serves" not in str(before.value)
    assert f"no longer serves the API version {version.name}" in str(caught.value)


# A look-up by name beside sizes that are still to come


@pytest.mark.parametrize("vendor", COUNTING)
async def test_sizes_that_are_still_to_come_are_not_sources_that_were_not_read(vendor: str) -> None:
    case, counts = CASES[vendor], COUNTS[vendor]
    busy = Answer(503, {"message": "busy"})
    async with reported(case, case.rows, lambda asked: busy if counts(asked) else None) as there:
        name = str(case.facts(case.sample).name)
        found = await there.catalog.get_audience(GetQuery(audience=name))
    assert case.id_of(case.sample) in {row.id for row in found.audiences}
    assert not any("Not every source was read in full" in note for note in found.notes or ())
