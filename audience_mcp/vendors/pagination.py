"""How a listing goes on from page to page: values without state, each one API's way.

A vendor's listing names one of these. It says, from a page's body, whether more follow and with which
request; the guards against lists that never end are the pager's. None of them takes a short or an empty
page for the end, but those with `full_page=…`, for the few APIs that have no other sign.

Every name of a parameter goes into the query, or into the JSON body with `in_body`, where a dot leads into
an object: `variables.after`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.core.values import as_count
from audience_mcp.vendors.parsing import as_object, cursor_at, flag_at, has_more, is_object, value_at
from audience_mcp.vendors.request import Request

Following = tuple[bool | None, Request | None]
"""Whether more follow (None where the vendor does not say), and the request for it."""


class Paging(Protocol):
    """One API's way from page to page."""

    def start(self, request: Request) -> Request:
        """The request for the first page."""
        ...

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """What comes after the page `body`, which had so many `rows`. Raises UnexpectedShape."""
        ...

    def plan(self, request: Request, body: object, rows: int, total: int | None) -> Sequence[Request]:
        """All further pages, where their places are known from the first one; else nothing."""
        ...


class _OneByOne:
    """What most ways have in common: the first request as it is, and no place known beforehand."""

    def start(self, request: Request) -> Request:
        """The request for the first page."""
        return request

    def plan(self, request: Request, body: object, rows: int, total: int | None) -> Sequence[Request]:
        """Nothing: each page says where the next one is."""
        return ()


@dataclass(frozen=True, slots=True)
class SinglePage(_OneByOne):
    """Everything comes at once."""

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """Nothing follows."""
        return False, None


@dataclass(frozen=True, slots=True)
class Cursor(_OneByOne):
    """Each page has the cursor of the next at the path `at`, sent back as `param`.

    more: the path of a flag that decides where it is given, since a last page may have a cursor too.
    absent_is_end: whether a page without cursor and flag is the last one by the API's own documents.
    """

    at: str
    param: str
    more: str | None = None
    absent_is_end: bool = False
    in_body: bool = False

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """By the flag, else by the cursor."""
        around, dot, _ = self.at.rpartition(".")
        if dot and not self.absent_is_end:
            as_object(value_at(body, around), f"its '{around}'")
        cursor = cursor_at(body, self.at)
        more = has_more(flag_at(body, self.more) if self.more else None, cursor)
        if more is None and self.absent_is_end:
            more = False
        return more, put(request, self.param, cursor, self.in_body) if cursor else None


@dataclass(frozen=True, slots=True)
class Offset:
    """The next page begins where this one ended; the end is the vendor's total, or its flag at `more`.

    at: the path of the next offset in the body, for APIs that say it. link: the path of a next link, which
    is not followed but whose absence is the end. sent_first: whether 0 is sent with the first request.
    empty_is_end: whether an empty page is the end where there is no total.
    full_page, counted: for an API whose number at `counted` may be of the page alone or of all: as many rows
    as the parameter `full_page` asks for mean that it must be asked again, whatever the number is.
    """

    param: str = "offset"
    more: str | None = None
    at: str | None = None
    link: str | None = None
    sent_first: bool = True
    in_body: bool = False
    empty_is_end: bool = False
    full_page: str | None = None
    counted: str | None = None

    def start(self, request: Request) -> Request:
        """The first page, at 0."""
        return put(request, self.param, 0, self.in_body) if self.sent_first else request

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """By the flag or the link, else by the total; silent where none of them is there."""
        start = as_count(found(request, self.param, self.in_body)) or 0
        offset = start + rows
        more: bool | None = None
        if self.more is not None:
            more = flag_at(body, self.more)
        elif self.link is not None and is_object(body) and self.link.split(".")[0] in body:
            more = value_at(body, self.link) is not None
        elif self.full_page is not None:
            counted = as_count(value_at(body, self.counted)) if self.counted else None
            full = _number_in(request, self.full_page, self.in_body)
            more = full is None or rows >= full or offset < (counted or 0)
        elif total is not None:
            # 0 beside rows is not a count (some ActiveCampaign accounts): an empty page is the end then.
            more = offset < total or (total == 0 and rows > 0)
        elif self.empty_is_end:
            more = rows > 0
        if self.at is not None and more:
            said = as_count(value_at(body, self.at))
            if said is None:
                raise UnexpectedShape(f"'{self.at}' is not an offset")
            offset = said
        # An empty page leads nowhere: the same request would bring it again.
        return more, put(request, self.param, offset, self.in_body) if offset != start else None

    def plan(self, request: Request, body: object, rows: int, total: int | None) -> Sequence[Request]:
        """Every further page, where the total is known and no flag or offset in the body decides."""
        if total is None or not rows or self.more is not None or self.at is not None or self.full_page:
            return ()
        start = as_count(found(request, self.param, self.in_body)) or 0
        offsets = range(start + rows, total, rows)
        return [put(request, self.param, offset, self.in_body) for offset in offsets]


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages are numbered from `first`; `last` is the path of the last one's number.

    per_page: where the API gives the listing's total in place of that number, the parameter that asks for so
    many rows on a page. full_page: where it gives neither, so many rows (or as many as this parameter asks
    for) mean that it must be asked again; only for an API that has no other sign of the end.
    """

    param: str = "page"
    first: int = 1
    last: str | None = None
    per_page: str | None = None
    full_page: int | str | None = None
    in_body: bool = False

    def start(self, request: Request) -> Request:
        """The first page, by its number."""
        return put(request, self.param, self.first, self.in_body)

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """By the last page's number, else by whether this one was full."""
        number, last = self.number_of(request), self._last(request, body, total)
        more = None if last is None else number < last
        if last is not None and last < number and rows:
            more = None  # a page beyond the last one has no rows: its number is not one
        if self.full_page is not None:
            full = self.full_page
            size = full if isinstance(full, int) else _number_in(request, full, self.in_body)
            more = size is None or rows >= size
        return more, put(request, self.param, number + 1, self.in_body)

    def plan(self, request: Request, body: object, rows: int, total: int | None) -> Sequence[Request]:
        """Every further page, where the last one's number is known."""
        numbers = range(self.number_of(request) + 1, (self._last(request, body, total) or 0) + 1)
        return [put(request, self.param, number, self.in_body) for number in numbers]

    def _last(self, request: Request, body: object, total: int | None) -> int | None:
        """The last page's number, where the vendor says it; 0 where it says that there are none."""
        if self.last is not None:
            return as_count(value_at(body, self.last))
        size = _number_in(request, self.per_page, self.in_body) if self.per_page else None
        if not size or total is None:
            return None
        return self.first - 1 + -(-total // size)

    def number_of(self, request: Request) -> int:
        """The number of the page that a request asks for."""
        number = as_count(found(request, self.param, self.in_body))
        return self.first if number is None else number


@dataclass(frozen=True, slots=True)
class NextLink(_OneByOne):
    """Each page has the address of the next at the path `at`; none is the end.

    param: the parameter of it that is the cursor. It alone is taken, and the request is rebuilt at the base
    URL: a link may name another host, and may hold the key. Without `param` the link is followed as it is,
    where it leads to the same origin. cursor: the path of the cursor beside the link, for APIs whose link
    must not be taken apart.
    """

    at: str
    param: str | None = None
    cursor: str | None = None

    def follow(self, request: Request, body: object, rows: int, total: int | None) -> Following:
        """By whether there is a link."""
        link = cursor_at(body, self.at)
        if link is None:
            return False, None
        if self.param is None:
            return True, Request(link, purpose=request.purpose, pace=request.pace)
        if self.cursor is not None:
            taken = cursor_at(body, self.cursor)
        else:
            try:
                taken = next(iter(parse_qs(urlsplit(link).query).get(self.param, ())), None)
            except ValueError:
                taken = None
        return True, put(request, self.param, taken, False) if taken else None


def split_page(paging: Paging, request: Request, param: str, planned: bool) -> Sequence[Request]:
    """Requests for smaller pages, which together have exactly the rows of the page that `request` asks for.

    param: the parameter with the size of a page. planned: whether all of them are needed; else the first,
    since each page leads to the next. Nothing where a page cannot be split: its size is 1 or unknown, or
    tells the end.
    """
    in_body = param not in request.params
    size = as_count(found(request, param, in_body))
    if size is None or size < 2:
        return ()
    parts = next(n for n in range(2, size + 1) if size % n == 0)
    smaller = put(request, param, size // parts, in_body)
    pieces = range(parts if planned else 1)
    if isinstance(paging, PageNumber):
        first = (paging.number_of(request) - paging.first) * parts + paging.first
        return [put(smaller, paging.param, first + n, paging.in_body) for n in pieces]
    if isinstance(paging, Offset) and planned:
        start = as_count(found(request, paging.param, paging.in_body)) or 0
        return [put(smaller, paging.param, start + n * (size // parts), paging.in_body) for n in pieces]
    return [smaller]


def found(request: Request, param: str, in_body: bool) -> object:
    """What a request says for a parameter."""
    return value_at(request.json, param) if in_body else request.params.get(param)


def _number_in(request: Request, param: str, in_body: bool) -> int | None:
    """The number that a request says for a parameter."""
    return as_count(found(request, param, in_body))


def put(request: Request, param: str, value: object, in_body: bool) -> Request:
    """The request with a parameter added or replaced."""
    if not in_body:
        return request.with_params(**{param: str(value)})
    return replace(request, json=_with(request.json, param.split("."), value))


def _with(body: object, path: Sequence[str], value: object) -> Mapping[str, object]:
    inner: Mapping[str, object] = body if is_object(body) else {}
    key, *rest = path
    return {**inner, key: _with(inner.get(key), rest, value) if rest else value}
