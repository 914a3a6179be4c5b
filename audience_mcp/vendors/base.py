"""What a vendor is: facts about one audience API, and no code that does I/O.

A vendor subclasses `Vendor`, declares what is declarative and implements a few named hooks for the rest.
Everything that happens in time (requests, retries, paging, counting, caching) is done elsewhere, with what
is said here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal
from urllib.parse import urljoin

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import Kind
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.parsing import object_at, value_at
from audience_mcp.vendors.request import Page, Request, Response

Values = Mapping[str, str]
"""An account's settings by role, for example `{"api_key": …, "project": …}`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a vendor and the environment variables it comes from.

    role: its name within the vendor. variables: names in order of preference. default: the value where
    none is set; `secret` values never appear in logs or answers. identifies: whether it names the account
    (a project, a shop), so that two accounts with the same value are one.
    pattern, example: what a value looks like in full, and one that does, for the error. choices: the words
    allowed, each with what it stands for in the base URL. normalize: what a person may write, as the API
    wants it.
    """

    role: str
    variables: tuple[str, ...]
    description: str
    required: bool = False
    secret: bool = False
    default: str | None = None
    identifies: bool = False
    pattern: re.Pattern[str] | None = None
    example: str = ""
    choices: Mapping[str, str] | None = None
    normalize: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in any stretch of so many seconds."""

    requests: float
    seconds: float = 1


@dataclass(frozen=True, slots=True)
class Wait:
    """Where an error says how long to wait: a path in its body, or the name of a header.

    unit: seconds, milliseconds or minutes from now; a moment as Unix seconds or milliseconds; or text with
    a unit of its own (`5s`). `within`: the path in a header that is JSON, in which `*` stands for every key
    or place; the longest wait counts. `Retry-After` is understood without being declared.
    """

    at: str
    unit: Literal["s", "ms", "min", "unix_s", "unix_ms", "text"] = "s"
    header: bool = False
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The size of one audience as a count request tells it. size_max: the upper end of a range."""

    size: object
    note: str | None = None
    size_max: object = None


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """How settings are exchanged for a token that lives for a while.

    url: where, absolute. fields: what is sent, as a form or as JSON. The answer has the token at `token_at`
    and the seconds it lives at `lives_at`. hint: what to do where the exchange is refused; `{role}` stands
    for that setting's variable.
    Where it is declared, `{role}` in the url stands for that setting's value, a url that begins with `/` is
    on the base URL's host, and `roles` are settings that are sent beside the fields, each under its role.
    """

    url: str
    fields: Mapping[str, str]
    roles: tuple[str, ...] = field(default=(), kw_only=True)
    encoding: Literal["form", "json"] = "form"
    token_at: str = "access_token"  # noqa: S105 (the name of a field)
    lives_at: str = "expires_in"
    hint: str = ""

    def fill(self, values: Values) -> TokenExchange:
        """One that was declared, for an account."""
        url = self.url.format_map(values)
        fields = {**self.fields, **{role: values[role] for role in self.roles}}
        whole = urljoin(values["base_url"], url) if url.startswith("/") else url
        return replace(self, url=whole, fields=fields, roles=())


class Vendor:
    """One vendor's audience API.

    Subclasses set the class attributes, declare `listings` and implement `row`; the rest has defaults that
    fit most. No method does I/O, loops over pages or catches errors.
    """

    name: ClassVar[str]
    """The source name of a single account, lower case: `batch`."""
    title: ClassVar[str]
    """What people call it: `Batch`."""
    settings: ClassVar[tuple[Setting, ...]]
    """Its settings, the required ones first; one has the role `base_url`.

    The default of `base_url` may hold `{role}` for other settings: their values, or what a choice stands for.
    """
    needs_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of roles, one of which must be set in full."""
    listings: ClassVar[tuple[Listing, ...]] = ()
    """The lists of audiences that an account has."""
    kind: ClassVar[str] = "audience"
    """The vendor's word for an audience, where it has one sort alone."""
    size_counts: ClassVar[str | Mapping[str, str]]
    """What one unit of size is here, as a noun phrase; by kind where kinds differ."""
    id_shape: ClassVar[re.Pattern[str]]
    """What an id looks like in a ref, in full; only such text is ever put into a request."""
    size_unknown: ClassVar[str] = "the vendor gives no usable count"
    """The size note of an audience that has no size and no note of its own."""
    id_is_name: ClassVar[bool] = False
    """Whether ids are words that people choose, so that other audiences may be called the same."""
    id_is_generated: ClassVar[bool] = False
    """Whether ids are such that nobody would choose one for a name, so that a look-up alone answers."""
    auth_headers: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}
    """The headers of every request, which authenticate the account.

    `{role}` stands for that setting's value, and `{token}` for a token that was exchanged.
    """
    exchange: ClassVar[TokenExchange | None] = None
    """How to get the token, where the settings are no credentials themselves."""
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {}
    """How fast every account may be asked, by kind of request (`Request.pace`)."""
    id_at: ClassVar[str] = "id"
    """The path of the id in a row."""
    one_at: ClassVar[str] = ""
    """The path of the audience in the answer to `get_request`; the empty path is the answer itself."""
    one_in_list: ClassVar[bool] = False
    """Whether that answer has its rows where the first listing has them: the audience, or none."""
    get_lacks_size: ClassVar[bool] = False
    """Whether the answer to `get_request` has no size, so that it must be taken from the list."""
    error_hints: ClassVar[Mapping[Kind, str]] = {}
    """What to do about an error of a kind; `{role}` stands for that setting's variable."""
    waits: ClassVar[tuple[Wait, ...]] = ()
    """Where errors say how long to wait, the first that says so counting."""
    at_once: ClassVar[int] = 6
    """Requests that an account may have under way at the same time."""
    counts_per_request: ClassVar[Mapping[str, int]] = {}
    """How many sizes one count request asks for, by kind; 1 where not named."""

    # Address, authentication and pace

    def derived_values(self, values: Values) -> Values:
        """Values that follow from others where they are not set, for the base URL."""
        return {}

    def headers(self, values: Values) -> Mapping[str, str]:
        """The headers that authenticate an account, where `auth_headers` cannot say them.

        An exchanged token stands under the role `token`.
        """
        return {name: text.format_map(values) for name, text in self.auth_headers.items()}

    def token_exchange(self, values: Values) -> TokenExchange | None:
        """How to get the token of an account: as `exchange` declares."""
        return self.exchange.fill(values) if self.exchange else None

    def sign(self, request: Request, values: Values) -> Request:
        """The request with what is derived from secrets and sent beside them."""
        return request

    def requests_per_second(self, values: Values) -> float | None:
        """How fast an account may be asked, where a setting says so."""
        return None

    def rates(self, values: Values) -> Mapping[str, Sequence[Rate]]:
        """The limits of each kind of request (`Request.pace`). All of a kind's limits are kept."""
        rate = self.requests_per_second(values)
        return {"": [Rate(1, 1 / rate)]} if rate else self.limits

    # Listings

    def list_requests(self, values: Values) -> Sequence[Request]:
        """The first request of each listing that lies under no other."""
        first = [listing.request(values) for listing in self.listings if listing.within is None]
        return first or [self.list_request(values)]

    def list_request(self, values: Values) -> Request:
        """The first request of the first listing."""
        return self.listings[0].request(values)

    def nested_requests(self, kind: str | None, id: str, values: Values) -> Sequence[Request]:
        """The first request of each listing under a row of that kind; `id` is the vendor's own."""
        return [each.request(values, id) for each in self.listings if each.within and each.within == kind]

    def page(self, body: object, request: Request) -> Page:
        """A page from the answer to `request`. Raises UnexpectedShape."""
        return (request.listing or self.listings[0]).page(body, request)

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """An audience from a row whose id was found good; `id` is as in a ref."""
        raise NotImplementedError

    def row_id(self, raw: Mapping[str, object]) -> object:
        """The id as the vendor writes it in a row."""
        return value_at(raw, self.id_at)

    def bare_id(self, id: str) -> str:
        """The vendor's own id in an id of a ref: without kind and parent."""
        prefixes = [listing.prefix or listing.kind for listing in self.listings]
        prefix, dash, rest = id.partition("-")
        return rest.rpartition(".")[2] if dash and prefix in prefixes else id

    # One audience, and sizes

    def get_request(self, id: str, values: Values) -> Request | None:
        """The request for one audience, or None where the vendor has none. `id` has the id's shape.

        It is what the listings declare as `one`.
        """
        found = (listing.request_one(id, values) for listing in self.listings)
        return next((request for request in found if request is not None), None)

    def parse_one(self, body: object) -> Sequence[object]:
        """The rows in the answer to `get_request`, at most one of which is the audience.

        Raises UnexpectedShape.
        """
        return self.listings[0].rows_in(body) if self.one_in_list else [object_at(body, self.one_at)]

    def parse_get(self, body: object, request: Request) -> Sequence[object]:
        """As `parse_one`, for vendors whose answer does not say which audience it is."""
        return self.parse_one(body)

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """The request for the sizes of rows of one kind that `row` left with `size_pending`."""
        raise NotImplementedError

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """The sizes in the answer to `count_request`, by id; what is missing is unknown.

        Raises UnexpectedShape.
        """
        raise NotImplementedError

    # Errors

    def effective_status(self, status: int, body: object) -> int:
        """The HTTP status that an answer amounts to, for vendors that put failures into other ones."""
        return status

    def status_of(self, response: Response) -> int:
        """As `effective_status`, for vendors where the request, the headers or the content type decide.

        410 on a further page says that its cursor is no longer good: the reading begins anew, once.
        """
        return self.effective_status(response.status, response.body)

    def retry_after(self, body: object) -> object:
        """How many seconds an error's body says to wait, as written there; None where it does not say."""
        return None
