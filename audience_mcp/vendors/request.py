"""One request to a vendor, and what answered it: values without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audience_mcp.vendors.listing import Listing


@dataclass(frozen=True, slots=True)
class Request:
    """One request. What it says is what is sent: a parameter left out is not sent.

    path: relative to the base URL, or an absolute URL of the same origin (a vendor's `next` link).
    json: the body, sent as JSON. media_type: how the body is called, where its API is particular.
    pace: the kind of request, for vendors that limit some kinds more than others (`Vendor.rates`).
    listing, parent: the listing that it reads, and the id of the row that this listing lies under.
    carry: anything the vendor wants back with the answer. The last four are not sent, and are not part of
    the request's identity.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json: object = None
    media_type: str = field(default="application/json", compare=False)
    pace: str = field(default="", compare=False)
    listing: Listing | None = field(default=None, compare=False)
    parent: str | None = field(default=None, compare=False)
    carry: object = field(default=None, compare=False)

    def with_params(self, **params: str) -> Request:
        """The same request with `params` added or replaced."""
        return replace(self, params={**self.params, **params})


@dataclass(frozen=True, slots=True)
class Response:
    """What a vendor answered, as its hooks see it.

    status: HTTP's. headers: by lower-case name. body: the parsed JSON, None where it is none (`is_json` is
    then false: a web page, say, or nothing). now: when it came, in Unix seconds.
    """

    request: Request
    status: int
    headers: Mapping[str, str]
    body: object
    is_json: bool
    now: float


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer of a listing says.

    rows: the vendor's rows, untouched. more: whether the vendor says that more follow, None where it says
    neither; next: the request for them. total: the vendor's own count of the whole listing. note: what the
    reader must know. plan: further pages whose places are known already; then `next` is what would follow
    without them.
    """

    rows: Sequence[object]
    more: bool | None = False
    next: Request | None = None
    total: object = None
    note: str | None = None
    plan: Sequence[Request] = ()
