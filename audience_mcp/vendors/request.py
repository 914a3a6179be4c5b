"""One request to a vendor, and what answered it: values without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Purpose = Literal["list", "one", "count", "history", "token"]
"""What a request is for: a page of a listing, one audience alone, sizes, sizes of the past, or a token."""


class Encoded(str):
    """A parameter's value as it goes out: what must be encoded in it is, and nothing more is done to it.

    For APIs whose queries have a structure of their own (`List(urn%3Ali%3Aorganization%3A7)`).
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request. What it says is what is sent: a parameter left out is not sent.

    path: relative to the base URL, or an absolute URL of the same origin (a vendor's `next` link) or of
    another one that the vendor declares as its own (`further_url`).
    params: the query, encoded when it is sent, save for values that are `Encoded`.
    json: the body, sent as JSON; form: the body, sent as a form. media_type: the content type of a JSON body.
    headers: sent beside those of every request. purpose: what it is for, which a vendor's hooks may go by.
    pace: the kind of request, for vendors that limit some kinds more than others (`Vendor.limits`).
    further: whether a page of the listing came before. All but path, params, method and json are not part of
    the request's identity.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    json: object = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    media_type: str = field(default="application/json", compare=False)
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    purpose: Purpose = field(default="list", compare=False)
    pace: str = field(default="", compare=False)
    further: bool = field(default=False, compare=False)

    def with_params(self, **params: str) -> Request:
        """The same request with `params` added or replaced."""
        return replace(self, params={**self.params, **params})

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """The same request with `headers` added or replaced."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True, slots=True)
class Response:
    """What a vendor answered, as its hooks see it.

    status: HTTP's. headers: by lower-case name. body: the parsed JSON, None where it is not JSON (`is_json`
    is then false: a web page, say, or nothing). now: when it came, in Unix seconds.
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

    rows: the vendor's rows, untouched. more: whether the vendor says that more follow, None where it does not
    say; next: the request for them. total: the vendor's own count of the whole listing. note: what the
    reader must know. missing: why rows are missing that belong here, as a sentence, where the vendor says
    that it could not give them: the listing is read to its end and is not complete. plan: further pages whose
    places are known already; then `next` is what would follow without them.
    """

    rows: Sequence[object]
    more: bool | None = False
    next: Request | None = None
    total: object = None
    note: str | None = None
    missing: str | None = None
    plan: Sequence[Request] = ()
