"""Reads the listings of a source to their end, whatever the vendor's way of paging.

A listing ends only where the vendor says that it is over. Where continuing would never end, or could
not be trusted, a guard stops it and says why; what was read until then is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import PagingStopped, UnexpectedShape, VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.core.text import clean
from audience_mcp.core.values import as_count, as_id
from audience_mcp.sources.responses import STALE_CURSOR, TOO_BIG, TOOK_TOO_LONG
from audience_mcp.sources.rows import row_of
from audience_mcp.sources.talk import Fetch
from audience_mcp.sources.walk import ListingProgress, Step, Walk
from audience_mcp.vendors.base import Vendor
from audience_mcp.vendors.parsing import is_object
from audience_mcp.vendors.request import Page
from audience_mcp.vendors.talk import Values

log = logging.getLogger(__name__)

BARREN_PAGES = 20
"""Pages in a row without one new audience, after which a listing ends: its cursors may never do."""
SOURCE_IS_DOWN = 3
"""Pages that fail in passing, over two rounds of requests without a page, after which the others are not
tried."""
KEY_IS_REFUSED = 2
"""Pages in a row for which the key is refused, after others came, until it is taken to be no good any
more."""
MOST_NAMED = 5
"""Parts that could not be read which one note names."""


class Pager:
    """Reads all listings of a source; it can be stopped and resumed after any page.

    rows: what was read, by id, in the vendor's order; sum_of_sizes and unknown_sizes are over them.
    pages: how many were read. invalid: rows that were not audiences. duplicates: rows whose id had come
    before. vendor_total: the vendor's own count, where every listing has one. done: whether the vendor
    said that everything is over.
    """

    def __init__(
        self, source: str, vendor: Vendor, values: Values, fetch: Fetch, redactor: Redactor | None = None
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.pages = 0
        self.sum_of_sizes = 0
        self.unknown_sizes = 0
        self.invalid = 0
        self.duplicates = 0
        self.notes: list[str] = []
        self.done = False
        self._guarded: list[VendorError] = []
        self._failures = self._rounds_without_page = 0
        self._interrupted = False
        self._told: VendorError | None = None
        self._source = source
        self._vendor = vendor
        self._values = values
        self._fetch = fetch
        self._redactor = redactor or Redactor()
        self._walk = Walk(self._stop)
        self._begun = False

    @property
    def started(self) -> bool:
        """Whether any page has come."""
        return self.pages > 0

    @property
    def vendor_total(self) -> int | None:
        """How many rows the vendor says there are, where it says so of every listing."""
        return self._walk.total

    @property
    def at_least(self) -> int:
        """How many rows there are at least, by what was read and by what the vendor says of some listings."""
        return self._walk.at_least

    @property
    def can_resume(self) -> bool:
        """Whether some listings were read while others failed, so that only those are requested again."""
        return bool(self._walk.failed)

    @property
    def trouble(self) -> VendorError | None:
        """Why a page could not be read so far, whether it is to be tried again or not."""
        step = self._walk.troubled
        if step is None or step.error is None:
            return None
        return self._explain(step.progress, step.error)

    @property
    def failures(self) -> list[str]:
        """What could not be read beside what the error is about, a sentence each."""
        if not self.pages:
            return []
        unread = [*self._walk.failed, *(self._walk.queued if self._interrupted else ())]
        said = self._told.message if self._told is not None else ""
        parts = [
            part
            for part in dict.fromkeys(_name_part(step.progress) for step in unread)
            if not said.startswith(f"{self._source}: {part} ")
        ]
        named, more = parts[:MOST_NAMED], len(parts) - MOST_NAMED
        if more > 0:
            named.append("1 other part" if more == 1 else f"{more:,} other parts")
        listed = " and ".join(filter(None, (", ".join(named[:-1]), *named[-1:])))
        told = [f"{self._source}: {listed} could not be read either."] if named else []
        return told + [each.message for each in self._guarded if each is not self._told]

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
        self._walk.listings = [ListingProgress(None, total=total, read=len(rows), invalid=invalid)]
        self.done = self._begun = True

    async def next_page(self) -> None:
        """Read the next page, or several whose places are known.

        Raises VendorError; after a passing one the same page is read next time.
        """
        if not self._begun:
            self._begun = True
            for listing in self._vendor.listings:
                if listing.within is None:
                    self._walk.add_listing(listing, listing.request(self._values))
        resumed, self._interrupted = self._interrupted, False
        if resumed:
            self._walk.retry_failed()
            self._failures = self._rounds_without_page = 0
        wave = self._walk.next_steps(self._vendor.at_once)
        bodies = await self._ask_all(wave) if len(wave) > 1 else [await self._ask(wave[0])]
        answered = list(zip(wave, bodies, strict=True))
        # What failed comes last: it may be requested again in smaller pages, with all that is left of its
        # listing.
        answered.sort(key=lambda pair: isinstance(pair[1], VendorError))
        came = not isinstance(answered[0][1], VendorError)
        self._rounds_without_page = 0 if came else self._rounds_without_page + 1
        problem: VendorError | None = None
        for step, body in answered:
            try:
                self._read_page(step, body)
            except VendorError as e:  # noqa: PERF203 (a wave is a few pages)
                refused = resumed and step.request.further and not e.passing  # its cursor may have expired
                if refused or not self._do_without(step, e):
                    problem = problem or (self._explain(step.progress, e) if self.pages else e)
        if came:
            self._failures = 0
        try:
            if problem is not None:
                raise problem
            self._end_if_over()
        except VendorError as e:
            self._interrupted, self._told = True, e
            raise

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
        given_up = step.progress.given_up  # by a page that was asked for at the same time
        if isinstance(body, VendorError):
            if not given_up:
                self._leave_out_or_raise(step, body)
            return
        page = self._parse(body, step)
        before = step.progress.read
        usable = self._take(page.rows, step)
        self.pages += 1
        if step.progress.total is None and not given_up:
            step.progress.total = as_count(page.total)
        self._add_note(page.note)
        if page.missing:
            self._guard(step.progress, self._stop(self._redactor.text(page.missing)))
        if page.rows and not usable:
            raise self._unclear(
                f"the vendor sent {len(page.rows):,} rows, none of which could be used: its format may have "
                "changed. Update audience-mcp, or report this."
            )
        self.invalid += len(page.rows) - usable
        step.progress.invalid += len(page.rows) - usable
        self._walk.finish(step)
        step.progress.barren = 0 if step.progress.read > before else step.progress.barren + 1
        if not given_up:
            self._continue(step, page)

    def _parse(self, body: object, step: Step) -> Page:
        said = "the vendor's response is not in the documented format: {}. Try again later."
        try:
            page = step.listing.page(body, step.request)
            return page if type(self._vendor).page is Vendor.page else self._vendor.page(page, body)
        except UnexpectedShape as e:
            raise self._unclear(said.format(e)) from None
        except Exception as e:  # a vendor's code (it may be another package's) must not end the server
            log.exception("%s: %s in the vendor's code", self._source, type(e).__name__)
            raise self._unclear(said.format("it could not be understood")) from None

    def _take(self, raws: Sequence[object], step: Step) -> int:
        """Keep a page's audiences; how many of its rows were audiences, known ones included."""
        vendor, listing, parent = self._vendor, step.listing, step.progress.parent
        inside = [each for each in vendor.listings if each.within is listing]
        rows, ids = self.rows, step.ids
        usable, before = 0, len(rows)
        for raw in raws:
            row = row_of(vendor, listing, raw, parent)
            if row is None:
                continue
            usable += 1
            if row.id in rows:
                self.duplicates += 1
                continue
            if row.size_note:
                row.size_note = self._redactor.text(row.size_note)
            rows[row.id] = row
            ids.append(row.id)
            if row.size is None:
                self.unknown_sizes += 1
            else:
                self.sum_of_sizes += row.size
            own = as_id(listing.fields.own_id(raw)) if inside and is_object(raw) else None
            # Only an id as documented is ever put into a path.
            if own is not None and vendor.id_shape.fullmatch(row.id):
                for each in inside:
                    self._walk.add_listing(each, each.request(self._values, own), own, row.name)
        step.progress.read += len(rows) - before
        return usable

    def _continue(self, step: Step, page: Page) -> None:
        """Queue what follows a page. Raises PagingStopped."""
        if page.more and step.progress.barren >= BARREN_PAGES:
            raise self._stop(f"the vendor sent {BARREN_PAGES} pages in a row without one new audience.")
        if step.planned:
            return
        if page.more is None and step.progress.total is None:
            raise self._stop("the vendor does not say whether more audiences follow.")
        if not page.more:
            self._check_total(step.progress)
        elif page.plan:
            self._walk.add_plan(page.plan, step)
        elif page.next is None:
            raise self._stop("the vendor says that more audiences follow, but not how to request them.")
        else:
            self._walk.add_page(page.next, step)

    def _leave_out_or_raise(self, step: Step, error: VendorError) -> None:
        """Do without a listing that the vendor says is not there; raise any other error."""
        listing, progress = step.listing, step.progress
        if error.passing:
            raise error
        if error.status in listing.empty_on:
            note = None
        elif error.status in listing.absent_on:
            kind = listing.kind or "audience"
            note = (
                f"{kind}s are not listed: the vendor says that this account has no such list "
                f"(HTTP {error.status})."
            )
        elif listing.within is not None and error.status == 404:
            parent = _name_parent(progress)
            note = f"{parent} was deleted while it was being read; what lies within it is not listed."
        else:
            raise error
        self._add_note(note)
        if error.status in listing.empty_on or listing.within is not None:
            self.pages += 1
        progress.total = progress.total or progress.read
        self._walk.finish(step)

    def _add_note(self, note: str | None) -> None:
        note = self._redactor.text(note) if note else None
        if note and note not in self.notes:
            self.notes.append(note)

    def _do_without(self, step: Step, error: VendorError) -> bool:
        """Go on without a page that could not be read; whether there is anything to go on with.

        Raises PagingStopped.
        """
        walk, progress = self._walk, step.progress
        if isinstance(error, PagingStopped):
            self._guard(progress, error)
            walk.drop(progress)
            return len(walk.listings) > 1
        if not walk.is_queued(step):
            return True  # smaller pages stand in its place
        if (error.status in TOO_BIG or self._took_too_long(step, error)) and walk.split(progress):
            return True
        stale = error.status == STALE_CURSOR and step.request.further
        if stale or error.kind == "not_configured" or walk.is_alone(step):
            return False
        if error.passing or error.kind == "unauthorized":
            self._failures += 1
            if self._is_of_all(error):
                walk.put_last(step, error)
                return False
            if error.passing and walk.try_again_later(step, error):
                return True
        walk.give_up(step, error)
        return True

    def _is_of_all(self, error: VendorError) -> bool:
        """Whether an error is one that every other page would meet too."""
        if not self._rounds_without_page:
            return False
        if error.kind == "unauthorized":
            return not error.foreign and (not self.pages or self._failures >= KEY_IS_REFUSED)
        if error.kind == "rate_limited":
            return True
        return self._rounds_without_page > 1 and self._failures >= SOURCE_IS_DOWN

    def _guard(self, progress: ListingProgress, error: PagingStopped) -> None:
        """Remember why a listing was not read to its end."""
        named = self._explain(progress, error, "were not read to their end")
        if all(named.message != each.message for each in self._guarded):
            self._guarded.append(named)

    def _took_too_long(self, step: Step, error: VendorError) -> bool:
        """Whether a page of a listing took the vendor too long, for the first time."""
        first = error.status in TOOK_TOO_LONG and not step.progress.split
        step.progress.split |= first
        return first

    def _end_if_over(self) -> None:
        if not self._walk.is_over:
            return
        for each in self._walk.listings:
            try:
                self._check_total(each)
            except PagingStopped as e:  # noqa: PERF203 (a listing)
                self._guard(each, e)
        if self._walk.failed:
            step = self._walk.failed[0]
            if step.error is None:
                raise TypeError("a step was given up without an error")
            raise self._explain(step.progress, step.error)
        if self._guarded:
            raise self._guarded[0]
        if (ids := self._walk.ids_in_order()) is not None:
            self.rows = {id: self.rows[id] for id in ids}
        self.pages = self.pages or 1  # an account that has none of its listings has been read, too
        self.done = True

    def _explain(
        self, progress: ListingProgress, error: VendorError, what: str = "could not be read"
    ) -> VendorError:
        """An error, which says of which part it is where there are several."""
        if len(self._walk.listings) < 2:
            return error
        return error.of_part(self._source, f"{_name_part(progress)} {what}")

    def _check_total(self, progress: ListingProgress) -> None:
        """Stop where the vendor has more than it listed. Raises PagingStopped."""
        read = progress.read + progress.invalid
        if self._walk.has_more_of(progress) or any(step.progress is progress for step in self._walk.failed):
            return  # what is still to come, or why it will not, is told in place of this
        if progress.total is not None and read < progress.total:
            again = f" ({self.duplicates:,} came twice, and others not at all)" if self.duplicates else ""
            raise self._stop(
                f"the vendor reports {progress.total:,} audiences but listed only {read:,}{again}."
            )

    def _stop(self, why: str) -> PagingStopped:
        return PagingStopped(f"{self._source}: {why}")

    def _unclear(self, what: str) -> VendorError:
        return VendorError("bad_response", f"{self._source}: {what}")


def _name_part(progress: ListingProgress) -> str:
    """Which part of a source a listing is: `segments of list 'Newsletter'`."""
    listing = progress.listing
    kinds = f"{listing.kind or 'audience' if listing is not None else 'audience'}s"
    return kinds if listing is None or listing.within is None else f"{kinds} of {_name_parent(progress)}"


def _name_parent(progress: ListingProgress) -> str:
    """The row that a listing lies under: `list 'Newsletter'`."""
    within = progress.listing.within if progress.listing is not None else None
    kind = within.kind if within is not None else None
    return f"{kind or 'audience'} '{clean(progress.within or progress.parent or '')}'"
