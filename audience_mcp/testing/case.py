"""What the suite must be told of one vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from audience_mcp.core.clock import Clock
from audience_mcp.sandbox import Asked
from audience_mcp.vendors import Vendor

Raw = Mapping[str, object]
"""A row as the vendor sends it."""


@dataclass(frozen=True)
class Facts:
    """What a user must be shown of a row, as read from the contract's table and not from the adapter.

    status: what it counts as; where the vendor has none that is ready, and is not shown.
    """

    name: str
    size: int | None
    type: str = "static"
    status: str = "ready"


@dataclass(frozen=True)
class Served:
    """A vendor served on loopback: the variables that point at it, and every request it gets."""

    environment: Mapping[str, str] = field(repr=False)
    asked: Sequence[Asked]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vendor as the suite sees it. Another package's vendor needs one of these and nothing else.

    serve: serves these rows as the vendor would, whatever they are, and checks the key.
    rows: lifelike rows, of several pages where the vendor has pages. sample: a plain one of them, of known
    size; if left out, the first. facts: what a row must be shown as.
    id, name, size: the keys of a row; if left out, those where the vendor's first listing has them.
    dates: the keys of its dates. They are never taken from the listing: a date that it lacks would go
    unnoticed. new_id: a good id for any number. unknown_id: a good id that no row has.
    largest_page: the parameter for it, in the query or in a JSON body, and its value; None where the vendor
    has no pages. other_pages: the values for listings beside the first, where they are others.
    wrong: by role, a value that the API refuses, where a setting's shape allows no word.
    size_note: what is noted beside each known size of rows like the sample; zero_note: beside one of 0, where
    that is another.
    empty_note: what is noted of an account without audiences.
    full_id: the id of a row as a ref has it, where that is more than the vendor's own (`list-8`).
    counts: how many sizes one request asks for, where they do not come with the rows; the served rows hold
    them under `size` all the same.
    requests: how many requests it takes to read so many rows, where that is not what pages and counts say.
    zero_is_unknown: whether the vendor writes 0 for what it does not know.
    nested: whether a row lies within another, so that sums leave it out.
    clock: the time that the server goes by, where the vendor's pace is too slow for a test.
    """

    vendor: Vendor
    serve: Callable[[Sequence[object]], AbstractAsyncContextManager[Served]]
    rows: Sequence[Raw]
    sample: Raw = field(default_factory=dict)
    facts: Callable[[Raw], Facts]
    id: str = ""
    name: str = ""
    size: str = ""
    dates: tuple[str, ...]
    new_id: Callable[[int], str]
    unknown_id: str
    largest_page: tuple[str, str] | None = None
    other_pages: Sequence[str] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    size_note: str | None = None
    zero_note: str | None = None
    empty_note: str | None = None
    full_id: Callable[[Raw], str] | None = None
    counts: int = 0
    requests: Callable[[Sequence[object]], int] | None = None
    clock: Callable[[], Clock] = Clock
    zero_is_unknown: bool = False
    nested: Callable[[Raw], bool] = lambda raw: False

    def __post_init__(self) -> None:
        """Take from the vendor's first listing what was left out. Raises ValueError where it has no sizes."""
        fields = self.vendor.listings[0].fields
        listed = {"id": fields.id, "name": fields.name, "size": fields.size or ""}
        keys = {what: path.rpartition(".")[2] for what, path in listed.items()}
        for what, value in {"sample": self.rows[0], **keys}.items():
            if not getattr(self, what):
                object.__setattr__(self, what, value)
        if not self.size:
            raise ValueError("its listing has no size: say under which key the served rows have it")

    def some(self, number: int) -> list[Raw]:
        """So many rows like the sample, each with its own id and size."""
        return [{**self.sample, self.id: self.new_id(n), self.size: 1000 + n} for n in range(number)]

    @property
    def page_size(self) -> int:
        """Rows of a full page; 100, as a number like others, where there are no pages."""
        return int(self.largest_page[1]) if self.largest_page else 100

    def id_of(self, row: Raw) -> str:
        """The id of a row as a ref has it."""
        return self.full_id(row) if self.full_id else str(row[self.id])

    def new_full_id(self, number: int) -> str:
        """The id, as a ref has it, of a row like the sample with `new_id(number)`."""
        return self.id_of({**self.sample, self.id: self.new_id(number)})

    def requests_for(self, rows: Sequence[object]) -> int:
        """How many requests it takes to read these rows and their sizes."""
        if self.requests:
            return self.requests(rows)
        pages = max(1, -(-len(rows) // self.page_size)) if self.largest_page else 1
        return pages + (-(-len(rows) // self.counts) if self.counts else 0)
