"""What a vendor is: facts about one audience API, and no code that does I/O.

A vendor subclasses `Vendor`, fills in the facts and names how its bodies become rows. Everything that
happens in time (requests, retries, paging, caching) is done elsewhere, with what is said here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import Kind

Values = Mapping[str, str]
"""An account's settings by role, for example `{"api_key": …, "project": …}`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a vendor and the environment variables it comes from.

    role: its name within the vendor. variables: names in order of preference. default: the value where
    none is set; `secret` values never appear in logs or answers.
    """

    role: str
    variables: tuple[str, ...]
    description: str
    required: bool = False
    secret: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a listing. What it says is what is sent: a parameter left out is not sent.

    path: relative to the base URL, or an absolute URL of the same origin (a vendor's `next` link).
    carry: anything the vendor wants back with the answer; not sent, not part of the request's identity.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json: object = None
    carry: object = field(default=None, compare=False)

    def with_params(self, **params: str) -> Request:
        """The same request with `params` added or replaced."""
        return replace(self, params={**self.params, **params})


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer of a listing says.

    rows: the vendor's rows, untouched. more: whether the vendor says that more follow, None where it says
    neither; next: the request for them. total: the vendor's own count of the whole listing. note: what the
    reader must know.
    """

    rows: Sequence[object]
    more: bool | None = False
    next: Request | None = None
    total: object = None
    note: str | None = None


class Vendor:
    """One vendor's audience API.

    Subclasses set the class attributes and implement `headers`, `first`, `page` and `row`; the rest
    has defaults that fit most. No method does I/O, loops over pages or catches errors.
    """

    name: ClassVar[str]
    """The source name of a single account, lower case: `batch`."""
    title: ClassVar[str]
    """What people call it: `Batch`."""
    settings: ClassVar[tuple[Setting, ...]]
    """Its settings, the required ones first; one has the role `base_url` and a default."""
    size_counts: ClassVar[str]
    """What one unit of size is here, as a noun phrase."""
    id_shape: ClassVar[re.Pattern[str]]
    """What an id looks like, in full; only such text is ever put into a request."""
    size_unknown: ClassVar[str] = "the vendor gives no usable count"
    """The size note of an audience that has no size and no note of its own."""
    id_is_name: ClassVar[bool] = False
    """Whether ids are words that people choose, so that other audiences may be called the same."""
    get_lacks_size: ClassVar[bool] = False
    """Whether the answer to `one` has no size, so that it must be taken from the list."""
    error_hints: ClassVar[Mapping[Kind, str]] = {}
    """What to do about an error of a kind; `{role}` stands for that setting's variable."""

    def headers(self, values: Values) -> Mapping[str, str]:
        """The headers that authenticate an account."""
        return {"Authorization": f"Bearer {values['api_key']}"}

    def requests_per_second(self, values: Values) -> float | None:
        """How fast an account may be asked; None where no limit need be kept."""
        return None

    def list_request(self, values: Values) -> Request:
        """The request for the first page, with the largest page size the vendor allows."""
        raise NotImplementedError

    def page(self, body: object, request: Request) -> Page:
        """A page from the answer to `request`. Raises UnexpectedShape."""
        raise NotImplementedError

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """An audience from a row whose id was found good."""
        raise NotImplementedError

    def row_id(self, raw: Mapping[str, object]) -> object:
        """The id as the vendor writes it in a row."""
        return raw.get("id")

    def get_request(self, id: str, values: Values) -> Request | None:
        """The request for one audience, or None where the vendor has none. `id` has the id's shape."""
        return None

    def parse_one(self, body: object) -> Sequence[object]:
        """The rows in the answer to `one`, at most one of which is the audience. Raises UnexpectedShape."""
        raise NotImplementedError

    def effective_status(self, status: int, body: object) -> int:
        """The HTTP status that an answer amounts to, for vendors that put failures into other ones."""
        return status

    def retry_after(self, body: object) -> object:
        """How many seconds an error's body says to wait, as written there; None where it does not say."""
        return None
