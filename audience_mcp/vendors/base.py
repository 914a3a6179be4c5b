"""What a vendor is: facts about one audience API, and no code that does I/O.

A vendor subclasses `Vendor`, fills in the facts and names how its bodies become rows. Everything that
happens in time (requests, retries, paging, caching) is done elsewhere, with what is said here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, TypeGuard

from audience_mcp.errors import Kind, UnexpectedShape

AudienceType = Literal["static", "dynamic", "lookalike", "unknown"]
"""How membership is decided: a list, a rule, likeness to another audience, or not known."""

Status = Literal["ready", "processing", "partial", "failed", "unknown"]
"""Where an audience stands in its vendor's processing."""

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


@dataclass(slots=True)
class Row:
    """One audience as it is held: light, because a source may have a hundred thousand.

    Dates are the vendor's own values and are read when asked for; `details` are the vendor's further
    facts under its own names and are cleaned when shown.
    """

    id: str
    name: str
    size: int | None = None
    type: AudienceType = "static"
    status: Status = "ready"
    size_note: str | None = None
    size_max: int | None = None
    description: str | None = None
    created: object = None
    updated: object = None
    details: Mapping[str, object] | None = None


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
    one_lacks_size: ClassVar[bool] = False
    """Whether the answer to `one` has no size, so that it must be taken from the list."""
    unreadable_advice: ClassVar[Mapping[Kind, str]] = {}
    """What to do about an error of a kind; `{role}` stands for that setting's variable."""

    def headers(self, values: Values) -> Mapping[str, str]:
        """The headers that authenticate an account."""
        return {"Authorization": f"Bearer {values['api_key']}"}

    def requests_per_second(self, values: Values) -> float | None:
        """How fast an account may be asked; None where no limit need be kept."""
        return None

    def first(self, values: Values) -> Request:
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

    def one(self, id: str, values: Values) -> Request | None:
        """The request for one audience, or None where the vendor has none. `id` has the id's shape."""
        return None

    def one_rows(self, body: object) -> Sequence[object]:
        """The rows in the answer to `one`, at most one of which is the audience. Raises UnexpectedShape."""
        raise NotImplementedError

    def outcome(self, status: int, body: object) -> int:
        """The HTTP status that an answer amounts to, for vendors that put failures into other ones."""
        return status

    def wait(self, body: object) -> object:
        """How many seconds an error's body says to wait, as written there; None where it does not say."""
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account of a vendor: a *source*.

    source: its name, the first half of every ref. variables: for each role the environment variable
    that holds (or would hold) its value.
    """

    source: str
    vendor: Vendor
    values: Values
    variables: Mapping[str, str]

    @property
    def base_url(self) -> str:
        """Where the vendor is reached, without a slash at the end."""
        return self.values["base_url"].rstrip("/")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return tuple(self.values[s.role] for s in self.vendor.settings if s.secret and s.role in self.values)


def is_loopback(host: str) -> bool:
    """Whether `host` is this computer, by name or address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether `value` is a JSON object."""
    return isinstance(value, dict)


def an_object(body: object, what: str = "the answer") -> Mapping[str, object]:
    """`body` as a JSON object. Raises UnexpectedShape."""
    if not is_object(body):
        raise UnexpectedShape(f"{what} is not a JSON object")
    return body


def an_array(body: Mapping[str, object], key: str) -> Sequence[object]:
    """The array at `key`. Raises UnexpectedShape."""
    value = body.get(key)
    if not isinstance(value, list):
        raise UnexpectedShape(f"it has no list '{key}'")
    return value


def a_flag(body: Mapping[str, object], key: str) -> bool | None:
    """The true or false at `key`; None where it is missing or null. Raises UnexpectedShape."""
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise UnexpectedShape(f"'{key}' is neither true nor false")
    return value


def a_cursor(body: Mapping[str, object], key: str) -> str | None:
    """The cursor at `key`; None where it is missing, null or empty. Raises UnexpectedShape."""
    value = body.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise UnexpectedShape(f"'{key}' is not a cursor")
    return value or None


def goes_on(flag: bool | None, cursor: str | None) -> bool | None:
    """Whether more follow: the flag says, else a cursor does; None where the vendor is silent."""
    return flag if flag is not None else True if cursor else None


def says_failure(status: object) -> bool:
    """Whether a status beside the data is a word, or a false, for failure."""
    if isinstance(status, str):
        return any(word in status.lower() for word in ("error", "fail", "false"))
    return status is not None and not status


def picked(raw: Mapping[str, object], *keys: str) -> dict[str, object]:
    """Those of `keys` that `raw` gives a value for."""
    found = {}
    for key in keys:
        value = raw.get(key)
        if value is not None:
            found[key] = value
    return found


def text_of(raw: Mapping[str, object], key: str) -> str | None:
    """The text at `key`, or None where it is missing, empty or no text."""
    value = raw.get(key)
    return value if isinstance(value, str) and value else None
