"""The way through a source's listings: the pages still to be read, and guards against a way without end."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from audience_mcp.core.errors import PagingStopped
from audience_mcp.vendors.request import Request

MAX_PAGES = 10_000
MAX_CURSOR = 64 * 1024
"""Characters of everything a request for a page says."""

MESSAGES = {
    "long_cursor": "the vendor sent a cursor of more than 64 KiB.",
    "loop": "the vendor sent a cursor that it had sent before, so its list would never end.",
    "too_many": f"the vendor has more than {MAX_PAGES:,} pages.",
}


@dataclass(slots=True, eq=False)
class ListingProgress:
    """One listing being read: how many rows came of it, and what the vendor says there are."""

    total: int | None = None
    read: int = 0
    invalid: int = 0


@dataclass(slots=True, eq=False)
class Step:
    """One page to read. planned: whether its place was known beforehand, so that it leads nowhere.

    ids: the audiences that came of it, once it was read.
    """

    request: Request
    listing: ListingProgress
    number: int
    planned: bool = False
    ids: list[str] = field(default_factory=list)


class Walk:
    """The pages of all listings of a source, in the order in which they became known.

    begin: the first requests, one per listing. stop: makes the error that ends the walk, of a message.
    """

    def __init__(
        self, begin: Callable[[], Request | Sequence[Request]], stop: Callable[[str], PagingStopped]
    ) -> None:
        self._begin: Callable[[], Request | Sequence[Request]] | None = begin
        self._stop = stop
        self._steps: deque[Step] = deque()
        self._done: list[Step] = []
        self._requested: set[bytes] = set()
        self.listings: list[ListingProgress] = []

    @property
    def is_over(self) -> bool:
        """Whether no page is left to read."""
        return not self._steps

    @property
    def total(self) -> int | None:
        """How many rows the vendor says there are, where it says so of every listing."""
        totals = [each.total for each in self.listings]
        known = [total for total in totals if total is not None]
        return sum(known) if totals and len(known) == len(totals) else None

    def next_steps(self, most: int) -> list[Step]:
        """The next pages, at most so many. Raises PagingStopped."""
        if self._begin is not None:
            first, self._begin = self._begin(), None
            for request in [first] if isinstance(first, Request) else first:
                self.add_listing(request)
        return [step for step, _ in zip(self._steps, range(most), strict=False)]

    def add_listing(self, request: Request) -> None:
        """Read a further listing, from this request on. Raises PagingStopped."""
        self.listings.append(ListingProgress())
        self.add(request, self.listings[-1])

    def add(self, request: Request, listing: ListingProgress, *, planned: bool = False) -> None:
        """Read a further page. Raises PagingStopped where it was read before, or is one too many."""
        said = json.dumps([request.method, request.path, sorted(request.params.items()), request.json])
        if len(said) > MAX_CURSOR:
            raise self._stop(MESSAGES["long_cursor"])
        identity = hashlib.blake2b(said.encode(), digest_size=16).digest()
        if identity in self._requested:
            raise self._stop(MESSAGES["loop"])
        if len(self._requested) >= MAX_PAGES:
            raise self._stop(MESSAGES["too_many"])
        self._requested.add(identity)
        self._steps.append(Step(request, listing, len(self._requested), planned))

    def add_plan(self, requests: Sequence[Request], listing: ListingProgress) -> None:
        """Read pages whose places are known; only what the last one says counts for what follows."""
        for request in requests:
            self.add(request, listing, planned=True)
        if self._steps:
            self._steps[-1].planned = False

    def finish(self, step: Step) -> None:
        """Say that a page has been read."""
        self._steps.remove(step)
        self._done.append(step)

    def drop(self, listing: ListingProgress) -> None:
        """Read nothing more of a listing."""
        self._steps = deque(step for step in self._steps if step.listing is not listing)
        listing.total = None

    def has_more_of(self, listing: ListingProgress) -> bool:
        """Whether pages of a listing are still to be read."""
        return any(step.listing is listing for step in self._steps)

    def ids_in_order(self) -> Iterator[str] | None:
        """The audiences in the vendor's order, where pages were read in another; else None."""
        numbers = [step.number for step in self._done]
        if numbers == sorted(numbers):
            return None
        return (id for step in sorted(self._done, key=lambda each: each.number) for id in step.ids)
