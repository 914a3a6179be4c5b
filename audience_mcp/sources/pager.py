"""Reads the listings of a source to their end, whatever the vendor's way of paging.

A listing ends only where the vendor says that it is over. Where following on would never end, or could
not be trusted, a guard stops it and says why; what was read until then is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import anyio

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import PagingStopped, UnexpectedShape, VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.values import as_count, as_id
from audience_mcp.sources.rows import ReadsRows, row_of
from audience_mcp.sources.walk import ListingProgress, Step, Walk
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.parsing import is_object
from audience_mcp.vendors.request import Page, Request

log = logging.getLogger(__name__)

MESSAGES = {
    "no_sign": "the vendor does not say whether more audiences follow.",
    "no_next": "the vendor says that more audiences follow, but not how to ask for them.",
    "short": "the vendor reports {total:,} audiences but listed only {read:,}{again}.",
    "again": " ({count:,} came twice, and others not at all)",
    "unusable": "the vendor sent {count:,} rows, none of which could be used: its format may have changed. "
    "Update audience-mcp, or report this.",
    "unclear": "the vendor's response is not in the documented format: {what}. Try again later.",
    "absent": "{kind}s are not listed: the vendor says that this account has none of them.",
    "gone": "one of the {kind}s was deleted while it was being read; what lies within it is not listed.",
}

Fetch = Callable[[Request], Awaitable[object]]
"""Answers a request with parsed JSON or raises VendorError."""


class Reads(ReadsRows, Protocol):
    """What a pager needs to know of a vendor."""

    def page(self, body: object, request: Request) -> Page: ...  # noqa: D102


Nested = Callable[[str | None, str, str], Sequence[Request]]
"""The first requests of the listings under a row: by its kind, the vendor's own id and that of a ref."""


class Pager:
    """Reads all listings of a source; it can be left and gone on with after any page.

    rows: what was read, by id, in the vendor's order; sum_of_sizes and unknown_sizes are over them.
    pages: how many were read. invalid: rows that were no audiences. duplicates: rows whose id had come
    before. vendor_total: the vendor's own count, where every listing has one. done: whether the vendor
    said that everything is over. failed: why a listing could not be read while others were.
    """

    def __init__(
        self,
        source: str,
        vendor: Reads,
        begin: Callable[[], Request | Sequence[Request]],
        fetch: Fetch,
        nested: Nested | None = None,
        at_once: int = 1,
        redactor: Redactor | None = None,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.pages = 0
        self.sum_of_sizes = 0
        self.unknown_sizes = 0
        self.invalid = 0
        self.duplicates = 0
        self.notes: list[str] = []
        self.done = False
        self.failed: VendorError | None = None
        self._source = source
        self._vendor = vendor
        self._fetch = fetch
        self._nested = nested
        self._at_once = at_once
        self._redactor = redactor or Redactor()
        self._walk = Walk(begin, self._stop_for)

    @property
    def started(self) -> bool:
        """Whether any page has come."""
        return self.pages > 0

    @property
    def vendor_total(self) -> int | None:
        """How many rows the vendor says there are, where it says so of every listing."""
        return self._walk.total

    def present_rows(self) -> Collection[Row]:
        """The audiences read so far, for another thread to go through; copied only while more may come."""
        return self.rows.values() if self.done else list(self.rows.values())

    def restore(
        self,
        rows: Sequence[Row],
        *,
        pages: int,
        total: int | None,
        invalid: int,
        duplicates: int,
        notes: Sequence[str],
    ) -> None:
        """Take over what was read to the end before, in place of reading it."""
        self.rows = {row.id: row for row in rows}
        self.unknown_sizes = sum(row.size is None for row in rows)
        self.sum_of_sizes = sum(row.size or 0 for row in rows)
        self.pages, self.invalid, self.duplicates, self.notes = pages, invalid, duplicates, list(notes)
        self._walk.listings = [ListingProgress(total, len(rows), invalid)]
        self.done = True

    async def next_page(self) -> None:
        """Read the next page, or several whose places are known.

        Raises VendorError; after a passing one the same page is read next time.
        """
        wave = self._walk.next_steps(self._at_once)
        bodies = await self._ask_all(wave) if len(wave) > 1 else [await self._ask(wave[0])]
        problem: VendorError | None = None
        for step, body in zip(wave, bodies, strict=True):
            try:
                self._read_page(step, body)
            except VendorError as e:  # noqa: PERF203 (a wave is a few pages)
                if not self._give_up(step.listing, e):
                    problem = problem or e
        if problem is not None:
            raise problem
        self._end_if_over()

    async def _ask(self, step: Step) -> object:
        try:
            return await self._fetch(step.request)
        except VendorError as e:
            return e

    async def _ask_all(self, wave: Sequence[Step]) -> list[object]:
        bodies: list[object] = [None] * len(wave)

        async def ask(place: int) -> None:
            bodies[place] = await self._ask(wave[place])

        async with anyio.create_task_group() as tasks:
            for place in range(len(wave)):
                tasks.start_soon(ask, place)
        return bodies

    def _read_page(self, step: Step, body: object) -> None:
        if isinstance(body, VendorError):
            self._leave_out_or_raise(step, body)
            return
        page = self._parse(body, step.request)
        usable = self._take(page.rows, step)
        self.pages += 1
        if step.listing.total is None:
            step.listing.total = as_count(page.total)
        note = self._redactor.text(page.note) if page.note else None
        if note and note not in self.notes:
            self.notes.append(note)
        self._walk.finish(step)
        if page.rows and not usable:
            raise VendorError("bad_response", self._say("unusable", count=len(page.rows)))
        self._go_on(step, page)

    def _parse(self, body: object, request: Request) -> Page:
        try:
            return self._vendor.page(body, request)
        except UnexpectedShape as e:
            raise self._unclear(str(e)) from None
        except Exception as e:  # a vendor's code (it may be another package's) must not end the server
            log.exception("%s: %s in the vendor's code", self._source, type(e).__name__)
            raise self._unclear("it could not be understood") from None

    def _take(self, raws: Sequence[object], step: Step) -> int:
        """Keep a page's audiences; how many of its rows were audiences, known ones included."""
        usable = 0
        for raw in raws:
            row = row_of(self._vendor, raw, step.request)
            if row is None:
                self.invalid += 1
                step.listing.invalid += 1
                continue
            usable += 1
            if row.id in self.rows:
                self.duplicates += 1
                continue
            if row.size_note:
                row.size_note = self._redactor.text(row.size_note)
            self.rows[row.id] = row
            step.ids.append(row.id)
            step.listing.read += 1
            if row.size is None:
                self.unknown_sizes += 1
            else:
                self.sum_of_sizes += row.size
            self._add_nested(raw, row, step.request.listing)
        return usable

    def _add_nested(self, raw: object, row: Row, listing: Listing | None) -> None:
        if self._nested is None or listing is None or not is_object(raw):
            return
        own = as_id(self._vendor.row_id(raw))
        for request in self._nested(listing.kind, own, row.id) if own is not None else ():
            self._walk.add_listing(request)

    def _go_on(self, step: Step, page: Page) -> None:
        """Queue what follows a page. Raises PagingStopped."""
        if step.planned:
            return
        if page.more is None and step.listing.total is None:
            raise self._stop("no_sign")
        if not page.more:
            self._check_total(step.listing)
        elif page.plan:
            self._walk.add_plan(page.plan, step.listing)
        elif page.next is None:
            raise self._stop("no_next")
        else:
            self._walk.add(page.next, step.listing)

    def _leave_out_or_raise(self, step: Step, error: VendorError) -> None:
        """Do without a listing that the vendor says is not there; raise any other error."""
        listing = step.request.listing
        if listing is None or error.passing:
            raise error
        if error.status in listing.empty_on:
            note = ""
        elif error.status in listing.absent_on:
            note = MESSAGES["absent"].format(kind=listing.kind or "audience")
        elif listing.within is not None and error.status == 404:
            note = MESSAGES["gone"].format(kind=listing.within)
        else:
            raise error
        if note and note not in self.notes:
            self.notes.append(note)
        self.pages += 1
        step.listing.total = step.listing.total or step.listing.read
        self._walk.finish(step)

    def _give_up(self, listing: ListingProgress, error: VendorError) -> bool:
        """Read the other listings, where there are any and the error is this one's alone."""
        if error.passing or error.kind in ("unauthorized", "not_configured") or len(self._walk.listings) < 2:
            return False
        self._walk.drop(listing)
        self.failed = self.failed or VendorError(error.kind, error.message, status=error.status, final=True)
        return True

    def _end_if_over(self) -> None:
        if not self._walk.is_over:
            return
        if self.failed is not None:
            raise self.failed
        for each in self._walk.listings:
            self._check_total(each)
        if (ids := self._walk.ids_in_order()) is not None:
            self.rows = {id: self.rows[id] for id in ids}
        self.done = True

    def _check_total(self, listing: ListingProgress) -> None:
        """Stop where the vendor has more than it listed. Raises PagingStopped."""
        read = listing.read + listing.invalid
        if self._walk.has_more_of(listing):
            return
        if listing.total is not None and read < listing.total:
            again = MESSAGES["again"].format(count=self.duplicates) if self.duplicates else ""
            raise self._stop("short", total=listing.total, read=read, again=again)

    def _say(self, message: str, **facts: object) -> str:
        return f"{self._source}: {MESSAGES[message].format_map(facts)}"

    def _stop(self, message: str, **facts: object) -> PagingStopped:
        return self._stop_for(MESSAGES[message].format_map(facts))

    def _stop_for(self, why: str) -> PagingStopped:
        return PagingStopped(f"{self._source}: {why}")

    def _unclear(self, what: str) -> VendorError:
        return VendorError("bad_response", self._say("unclear", what=what))
