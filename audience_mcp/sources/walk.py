"""The queue of pages still to read, with guards against endless paging."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from audience_mcp.core.errors import PagingStopped, VendorError
from audience_mcp.sources.rows import BAD_BYTE
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.request import Request

MAX_PAGES = 10_000
MAX_CURSOR = 64 * 1024
"""Characters of everything that the request for a page says."""
_BAD_BYTE = json.dumps(BAD_BYTE)[1:-1]
"""As JSON writes it. The vendor would not know a cursor with such a byte."""


@dataclass(slots=True, eq=False)
class ListingProgress:
    """One listing being read: which, under which row, how many rows came of it, and the vendor's own count.

    listing: None where what was read before is taken over from the store. parent: the vendor's own id of the
    row that it lies under, None at the top; within: what that row is called. barren: pages in a row that
    brought no audience that had not come before. split: whether its pages were made smaller because one took
    too long. given_up: whether no more of it is to be read.
    """

    listing: Listing | None
    parent: str | None = None
    within: str | None = None
    total: int | None = None
    read: int = 0
    invalid: int = 0
    barren: int = 0
    split: bool = False
    given_up: bool = False


@dataclass(slots=True, eq=False)
class Step:
    """One page to read. planned: whether its place was known beforehand, so that it leads nowhere.

    number: its place in the vendor's order. ids: the audiences that came of it, once it was read. error: why
    it could not be read, the last time.
    """

    request: Request
    progress: ListingProgress
    listing: Listing
    number: float
    planned: bool = False
    ids: list[str] = field(default_factory=list)
    error: VendorError | None = None


class Walk:
    """The pages of all listings of a source, in the order in which they became known.

    stop: makes the error that ends the walk, of a message.
    """

    def __init__(self, stop: Callable[[str], PagingStopped]) -> None:
        self._stop = stop
        self._steps: deque[Step] = deque()
        self._done: list[Step] = []
        self.failed: list[Step] = []
        """Steps that could not be read, and whose listings end there for now."""
        self._requested: set[bytes] = set()
        self.listings: list[ListingProgress] = []

    @property
    def is_over(self) -> bool:
        """Whether no page is left to read."""
        return not self._steps

    @property
    def queued(self) -> Sequence[Step]:
        """The pages that are left to read."""
        return tuple(self._steps)

    @property
    def total(self) -> int | None:
        """How many rows the vendor says there are, where it says so of every listing."""
        totals = [each.total for each in self.listings]
        known = [total for total in totals if total is not None]
        return sum(known) if totals and len(known) == len(totals) else None

    @property
    def at_least(self) -> int:
        """How many rows there are at least: of each listing those read, or the vendor's count if higher."""
        return sum(max(each.read, each.total or 0) for each in self.listings)

    @property
    def troubled(self) -> Step | None:
        """A page that could not be read the last time, whether it is to be tried again or not."""
        return next((each for each in (*self.failed, *self._steps) if each.error is not None), None)

    def next_steps(self, most: int) -> list[Step]:
        """The next pages, at most so many."""
        return [step for step, _ in zip(self._steps, range(most), strict=False)]

    def add_listing(
        self, listing: Listing, request: Request, parent: str | None = None, within: str | None = None
    ) -> None:
        """Read a further listing, from this request on. Raises PagingStopped."""
        self.listings.append(ListingProgress(listing, parent, within))
        self._add(request, self.listings[-1], listing)

    def add_page(self, request: Request, after: Step) -> None:
        """Read the page that follows another one. Raises PagingStopped."""
        self._add(replace(request, further=True), after.progress, after.listing)

    def add_plan(self, requests: Sequence[Request], after: Step) -> None:
        """Read pages whose places are known; only what the last one says counts for what follows."""
        for request in requests:
            self._add(replace(request, further=True), after.progress, after.listing, planned=True)
        if self._steps:
            self._steps[-1].planned = False

    def _add(
        self,
        request: Request,
        progress: ListingProgress,
        listing: Listing,
        *,
        planned: bool = False,
        number: float | None = None,
    ) -> None:
        """Queue a page. Raises PagingStopped where it was read before, or is one too many."""
        said = json.dumps([request.method, request.path, sorted(request.params.items()), request.json])
        if len(said) > MAX_CURSOR:
            raise self._stop("the vendor sent a cursor of more than 64 KiB.")
        if _BAD_BYTE in said:
            raise self._stop("the vendor sent a cursor that is not text.")
        identity = hashlib.blake2b(said.encode(), digest_size=16).digest()
        if identity in self._requested:
            raise self._stop("the vendor sent a cursor that it had sent before, so its list would never end.")
        if len(self._requested) >= MAX_PAGES:
            raise self._stop(f"the vendor has more than {MAX_PAGES:,} pages.")
        self._requested.add(identity)
        place = len(self._requested) if number is None else number
        self._steps.append(Step(request, progress, listing, place, planned))

    def finish(self, step: Step) -> None:
        """Say that a page has been read."""
        if not step.progress.given_up:
            self._steps.remove(step)
        self._done.append(step)

    def try_again_later(self, step: Step, error: VendorError) -> bool:
        """Put a step that failed in passing behind all others, once; whether it was put there."""
        if step.error is not None or len(self._steps) < 2:
            return False
        self.put_last(step, error)
        return True

    def put_last(self, step: Step, error: VendorError) -> None:
        """Leave a page for the next time, when the others go first."""
        step.error = error
        self._steps.remove(step)
        self._steps.append(step)

    def give_up(self, step: Step, error: VendorError) -> None:
        """Do without a page for now, and without those of its listing that it would have led to."""
        step.error = error
        self._steps.remove(step)
        self.failed.append(step)

    def drop(self, progress: ListingProgress) -> None:
        """Read nothing more of a listing, save the pages that have come already."""
        self._steps = deque(step for step in self._steps if step.progress is not progress)
        progress.total, progress.given_up = None, True

    def retry_failed(self) -> None:
        """Queue what was given up once more, before all others."""
        self._steps.extendleft(reversed(self.failed))
        self.failed = []
        for step in self._steps:
            step.error = None

    def is_alone(self, step: Step) -> bool:
        """Whether nothing else was read, nor is to be read."""
        return len(self.listings) < 2 and all(each is step for each in self._steps)

    def split(self, progress: ListingProgress) -> bool:
        """Read what is left of a listing in smaller pages; whether they can be made smaller.

        Raises PagingStopped.
        """
        steps = [step for step in self._steps if step.progress is progress]
        parts = [step.listing.parts_of(step.request, step.planned) for step in steps]
        if not all(parts):
            return False
        for step, requests in zip(steps, parts, strict=True):
            self._steps.remove(step)
            for n, request in enumerate(requests):
                place = step.number + n / len(requests)
                self._add(request, progress, step.listing, planned=step.planned, number=place)
        return True

    def is_queued(self, step: Step) -> bool:
        """Whether a page is still to be read."""
        return step in self._steps

    def has_more_of(self, progress: ListingProgress) -> bool:
        """Whether pages of a listing are still to be read."""
        return any(step.progress is progress for step in self._steps)

    def ids_in_order(self) -> Iterator[str] | None:
        """The audiences in the vendor's order, where pages were read in another; else None."""
        numbers = [step.number for step in self._done]
        if numbers == sorted(numbers):
            return None
        return (id for step in sorted(self._done, key=lambda each: each.number) for id in step.ids)
