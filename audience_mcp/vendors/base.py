"""What a vendor is: facts about one audience API, and no code that does I/O.

A vendor subclasses `Vendor`, declares what is declarative and implements a few named hooks for the rest.
Everything that happens in time (requests, retries, paging, counting, caching) is done elsewhere, with what
is said here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import ClassVar, Literal

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import Kind
from audience_mcp.vendors.auth import Auth, Bearer, roles_in
from audience_mcp.vendors.listing import Listing
from audience_mcp.vendors.request import Page, Response
from audience_mcp.vendors.talk import Values

IdsAre = Literal["chosen", "numbers", "generated", "unmistakable"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a vendor and the environment variables it comes from.

    role: its name within the vendor. variables: names in order of preference. default: the value where
    none is set; derive: a value that follows from the other settings where none is set, or None where it does
    not. `secret` values never appear in logs or answers. identifies: whether it names the account
    (a project, a shop), so that two accounts with the same value are one.
    origin: whether it is an address of the API's own beside the base URL, where requests go with the key too
    (`further_url`).
    pattern, example: what a value looks like in full, and one that does, for the error. choices: the words
    allowed, each with what it stands for in the base URL. normalize: turns what a person may write into what
    the API wants.
    """

    role: str
    variables: tuple[str, ...]
    description: str
    required: bool = False
    secret: bool = False
    default: str | None = None
    identifies: bool = False
    origin: bool = False
    pattern: re.Pattern[str] | None = None
    example: str = ""
    choices: Mapping[str, str] | None = None
    normalize: Callable[[str], str] | None = None
    derive: Callable[[Values], str | None] | None = None

    @property
    def is_address(self) -> bool:
        """Whether its value is where requests go."""
        return self.origin or self.role in ("base_url", "token_url")


def api_key(*variables: str, description: str = "API key", role: str = "api_key") -> Setting:
    """The key without which a vendor cannot be asked."""
    return Setting(role, variables, description, required=True, secret=True)


def base_url(variable: str, default: str, description: str = "Base URL") -> Setting:
    """Where the API is. The default may hold `{role}`: another setting's value, or what its choice stands
    for."""
    return Setting("base_url", (variable,), description, default=default)


def further_url(role: str, variable: str, default: str, description: str) -> Setting:
    """Where the rest of an API is that has two origins; a request names it in full, as the value of `role`.

    Keys go there as they go to the base URL, so it must be https or this computer.
    """
    return Setting(role, (variable,), description, default=default, origin=True)


@dataclass(frozen=True, slots=True)
class Rate:
    """The most requests in any stretch of so many seconds. setting: the role of a setting that says how
    many."""

    requests: float = 1
    seconds: float = 1
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Where an error says how long to wait: a path in its body, or the name of a header.

    unit: of a number from now; a number that is a moment, as Unix seconds or milliseconds, is known by its
    height. `text` has a unit of its own (`5s`); `utc_day` is the rest of the day in UTC, where there is text
    that the pattern finds. pattern: finds the number in a sentence, as its first group. within: the path in
    a header that is JSON, in which `*` stands for every key or place; the longest wait counts. read: makes
    seconds of what is at the path, None where it does not say. `Retry-After` is understood without being
    declared.
    """

    at: str
    unit: Literal["s", "ms", "min", "text", "utc_day"] = "s"
    header: bool = False
    within: str | None = None
    pattern: re.Pattern[str] | None = None
    read: Callable[[object], float | None] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A pinned version of an API that the vendor will switch off.

    name: the version, as it stands in the setting with the role `setting`, whose default pins it; in the
    paths where that is empty. served_until: the last day on which it is known to be served, in the vendor's
    words or as inferred from earlier versions. falls_forward: whether requests to a version that has ended
    are answered by a newer one. warning: a header by which the vendor says that this has happened.
    """

    name: str
    served_until: date
    setting: str = "base_url"
    falls_forward: bool = False
    warning: str = ""


class Vendor:
    """One vendor's audience API.

    Subclasses set the class attributes; the hooks at the end are for what no declaration can say. No method
    does I/O, loops over pages or catches errors.
    """

    name: ClassVar[str]
    """The source name of a single account, lower case: `batch`."""
    title: ClassVar[str]
    """What people call it: `Batch`."""
    settings: ClassVar[tuple[Setting, ...]]
    """Its settings, the required ones first; one has the role `base_url`."""
    listings: ClassVar[tuple[Listing, ...]]
    """The lists of audiences that an account has. One that lies within another comes after it."""
    kind: ClassVar[str] = "audience"
    """The vendor's word for an audience, where it has one sort alone."""
    size_unknown: ClassVar[str] = "the vendor gives no usable count"
    """The size note of an audience that has no size and no note of its own."""
    ids_are: ClassVar[IdsAre] = "numbers"
    """What its own ids are: words that people choose; numbers that are counted; generated text, unique over
    all its accounts; or generated text of a form that nobody would choose for a name (a look-up alone
    answers)."""
    auth: ClassVar[Auth | tuple[Auth, ...]] = Bearer("api_key")
    """How requests are authenticated; of several ways the first whose settings are all set."""
    headers: ClassVar[Mapping[str, str]] = {}
    """Further headers of every request. `{role}` stands for that setting's value; a header whose setting is
    not set is not sent."""
    limits: ClassVar[Mapping[str, Sequence[Rate]]] = {}
    """How fast every account may be asked, by kind of request (`Request.pace`). All of a kind's limits are
    kept; those of "" hold for kinds that have none."""
    at_once: ClassVar[int] = 6
    """Requests that an account may have under way at the same time."""
    waits: ClassVar[tuple[Wait, ...]] = ()
    """Where errors say how long to wait, the first that says so counting."""
    passing: ClassVar[tuple[int, ...]] = ()
    """Further HTTP statuses that pass by themselves, so that a request is retried."""
    error_hints: ClassVar[Mapping[Kind, str]] = {}
    """What to do about an error of a kind; `{role}` stands for that setting's variable."""
    code_hints: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """What to do about an error with a code of the vendor's own, by the code's path in the body and by code;
    under the empty path by the HTTP status that came. It goes before the hint of a kind."""
    version: ClassVar[Version | None] = None
    """The version that is pinned, where its end is known."""
    key_page: ClassVar[str] = ""
    """The address of a page on how its key is made. A vendor of this package has one in docs/keys."""

    # For what no declaration can say

    def page(self, page: Page, body: object) -> Page:
        """The page that a listing made of `body`, corrected."""
        return page

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """Correct an audience that the listing's fields made of `raw`; its size is a count or None."""

    def status(self, response: Response) -> int:
        """The HTTP status that an answer amounts to, for vendors that put failures into other ones.

        410 on a further page says that its cursor is no longer good: the reading is started again, once. 413
        says that the request is too big, so that a smaller one is made; it need not be said of a validation
        error that names a listing's `page_size`. 426 says that the version has ended.
        """
        return response.status

    def shared_account(self, values: Values) -> tuple[str, ...] | None:
        """What names this account at every vendor that reaches it, where another one does; else None.

        Of two sources with the same one, that of the vendor registered first is kept.
        """
        return None

    # What follows from the declarations

    @cached_property
    def id_shape(self) -> re.Pattern[str]:
        """What an id looks like in a ref, in full; only such text is ever put into a request."""
        return re.compile("|".join(dict.fromkeys(each.id_shape for each in self.listings)), re.ASCII)

    @cached_property
    def size_counts(self) -> str | Mapping[str, str]:
        """What one unit of size is here, as a noun phrase; by kind where kinds differ."""
        units: dict[str, str] = {}
        for listing in self.listings:
            counts = listing.counts
            units |= {listing.kind or "": counts} if isinstance(counts, str) else counts
        return units if len(units) > 1 else next(iter(units.values()), "")

    @cached_property
    def has_counts(self) -> bool:
        """Whether it has sizes that cost requests of their own."""
        return any(listing.count is not None for listing in self.listings)

    @cached_property
    def has_history(self) -> bool:
        """Whether it has a record of its own of what sizes were."""
        return any(listing.history is not None for listing in self.listings)

    @cached_property
    def one_lacks_size(self) -> bool:
        """Whether an audience that is requested separately may come without a size that the list has."""
        return any(listing.one_lacks_size for listing in self.listings)

    @cached_property
    def needs_one_of(self) -> tuple[tuple[str, ...], ...]:
        """Groups of roles, one of which must be set in full: the ways to authenticate, if several."""
        return tuple(each.roles for each in self.auth) if isinstance(self.auth, tuple) else ()

    def listing_of(self, id: str) -> Listing:
        """The listing that an id of a ref is of; the first where it is of none."""
        return next((each for each in self.listings if each.has_id(id)), self.listings[0])

    def own_id(self, id: str) -> str:
        """The vendor's own id in an id of a ref: without kind and parent."""
        return self.listing_of(id).split_id(id)[0] if self.id_shape.fullmatch(id) else id

    def auth_for(self, values: Values) -> Auth:
        """How an account with these settings is authenticated."""
        if not isinstance(self.auth, tuple):
            return self.auth
        return next((each for each in self.auth if all(role in values for role in each.roles)), self.auth[0])

    def headers_for(self, values: Values) -> Mapping[str, str]:
        """The further headers of an account's requests."""
        return {
            name: text.format_map(values)
            for name, text in self.headers.items()
            if all(role in values for role in roles_in(text))
        }

    def rates(self, values: Values) -> Mapping[str, Sequence[Rate]]:
        """The limits of an account, with what its settings say."""
        return {
            pace: [
                Rate(float(values[each.setting]), each.seconds) if each.setting else each for each in limits
            ]
            for pace, limits in self.limits.items()
        }
