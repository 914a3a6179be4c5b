"""Walks a listing to its end, whatever the vendor's way of paging.

A walk stops only where the vendor says that it is over. Where following on would never end, or could
not be trusted, a guard stops it and says why; what was read until then is kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, get_args

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.errors import PagingStopped, UnexpectedShape, VendorError
from audience_mcp.core.values import as_count, as_id
from audience_mcp.vendors.base import Page, Request
from audience_mcp.vendors.parsing import is_object

log = logging.getLogger(__name__)

TYPES = frozenset(get_args(AudienceType))
STATUSES = frozenset(get_args(Status))
MAX_PAGES = 10_000
MAX_CURSOR = 64 * 1024
"""Characters of everything a request for a page says."""

Fetch = Callable[[Request], Awaitable[object]]
"""Answers a request with parsed JSON or raises VendorError."""


class Reads(Protocol):
    """What a walk needs to know of a vendor."""

    def page(self, body: object, request: Request) -> Page: ...  # noqa: D102
    def row_id(self, raw: Mapping[str, object]) -> object: ...  # noqa: D102
    def row(self, raw: Mapping[str, object], id: str) -> Row: ...  # noqa: D102


class Pager:
    """One walk through one listing, a page a step; it can be left and gone on with at any time.

    rows: what was read, by id, in the vendor's order; sum_of_sizes and unknown_sizes are over them.
    pages: how many were read. dropped: rows that were no audiences. repeated: rows whose id had come
    before. counted: the vendor's own count, if it gave one. done: whether the vendor said that it is over.
    """

    def __init__(self, source: str, vendor: Reads, begin: Callable[[], Request], fetch: Fetch) -> None:
        self.rows: dict[str, Row] = {}
        self.pages = 0
        self.sum_of_sizes = 0
        self.unknown_sizes = 0
        self.invalid = 0
        self.duplicates = 0
        self.vendor_total: int | None = None
        self.notes: list[str] = []
        self.done = False
        self._source = source
        self._vendor = vendor
        self._fetch = fetch
        self._begin = begin
        self._request: Request | None = None
        self._asked: set[bytes] = set()

    @property
    def started(self) -> bool:
        """Whether any page has come."""
        return self.pages > 0

    @property
    def falls_short(self) -> bool:
        """Whether fewer audiences came than the vendor counted."""
        return self.vendor_total is not None and len(self.rows) + self.invalid < self.vendor_total

    async def next_page(self) -> None:
        """Read the next page. Raises VendorError; after a passing one the same page is read next time."""
        request = self._request or self._follow(self._begin())
        body = await self._fetch(request)
        try:
            page = self._vendor.page(body, request)
        except UnexpectedShape as e:
            raise self._unclear(str(e)) from None
        except Exception as e:  # a vendor's code (it may be another package's) must not end the server
            log.exception("%s: %s in the vendor's code", self._source, type(e).__name__)
            raise self._unclear("it could not be understood") from None
        self._take(page.rows)
        self.pages += 1
        if self.vendor_total is None:
            self.vendor_total = as_count(page.total)
        if page.note and page.note not in self.notes:
            self.notes.append(page.note)
        if page.more is None and self.vendor_total is None:
            raise self._stopped("does not say whether more audiences follow")
        if not page.more:
            self._end()
        elif page.next is None:
            raise self._stopped("says that more audiences follow, but not how to ask for them")
        else:
            self._follow(page.next)

    def _take(self, raws: Sequence[object]) -> None:
        for raw in raws:
            row = row_of(self._vendor, raw)
            if row is None:
                self.invalid += 1
            elif row.id in self.rows:
                self.duplicates += 1
            else:
                self.rows[row.id] = row
                if row.size is None:
                    self.unknown_sizes += 1
                else:
                    self.sum_of_sizes += row.size

    def _follow(self, request: Request) -> Request:
        said = json.dumps([request.method, request.path, sorted(request.params.items()), request.json])
        if len(said) > MAX_CURSOR:
            raise self._stopped("gave a cursor of more than 64 KiB")
        identity = hashlib.blake2b(said.encode(), digest_size=16).digest()
        if identity in self._asked:
            raise self._stopped("gave a cursor that it had given before, so its list would never end")
        if self.pages >= MAX_PAGES:
            raise self._stopped(f"has more than {MAX_PAGES:,} pages")
        self._asked.add(identity)
        self._request = request
        return request

    def _end(self) -> None:
        if self.falls_short:
            read = len(self.rows) + self.invalid
            again = f" ({self.duplicates:,} came twice, and others not at all)" if self.duplicates else ""
            raise self._stopped(f"counts {self.vendor_total:,} audiences but listed only {read:,}{again}", "")
        self.done = True

    def _stopped(self, what: str, then: str = " The reading ended there.") -> PagingStopped:
        return PagingStopped(f"{self._source}: the vendor {what}.{then}")

    def _unclear(self, what: str) -> VendorError:
        return VendorError(
            "bad_response",
            f"{self._source}: the vendor's answer is not as documented: {what}. Ask again later.",
        )


def row_of(vendor: Reads, raw: object) -> Row | None:
    """A vendor's row as an audience, or None where it is broken: no object, or without a usable id."""
    if not is_object(raw):
        return None
    try:
        id = as_id(vendor.row_id(raw))
        return None if id is None else _sound(vendor.row(raw, id), id)
    except Exception:  # noqa: BLE001 (one row that a vendor's code trips over must not lose the others)
        return None


def _sound(row: Row, id: str) -> Row:
    """A vendor's row with nothing in it that would fail later, far from the vendor."""
    row.id = id
    if row.details is not None and not is_object(row.details):
        row.details = None
    if row.size is not None:
        row.size = as_count(row.size)
    if row.size_max is not None:
        row.size_max = as_count(row.size_max)
    if not isinstance(row.name, str):
        row.name = row.id
    if row.type not in TYPES:
        row.type = "unknown"
    if row.status not in STATUSES:
        row.status = "unknown"
    return row
