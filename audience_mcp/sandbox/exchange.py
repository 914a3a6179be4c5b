"""A request and an answer as plain values, and the checks that vendors share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as a vendor sees it.

    `path` is percent-decoded, `query` has every value given for each parameter in order, and the names
    in `headers` are lower case. `raw_query` is the query as it came, for vendors that read it undecoded.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw_query: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: `body` goes out as JSON, but text as `text/html`, and bytes as they are."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request the vendor does not serve; each vendor writes it in its own error shape.

    `param` is the parameter at fault and `missing` says that it was not given; Whop alone tells both.
    """

    def __init__(self, status: int, message: str, *, param: str | None = None, missing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.missing = missing

    @property
    def headers(self) -> dict[str, str]:
        """`Allow` with a 405, which HTTP demands (RFC 9110, 15.5.6)."""
        return {"Allow": "GET"} if self.status == 405 else {}


def check_get(asked: Asked) -> None:
    """Refuse other methods (405), and a GET with a body or a `Content-Type` (400).

    Vendors' samples show such GETs for Smallest.ai, but its own clients send none and proxies may drop it.
    """
    if asked.method != "GET":
        raise RefusedError(405, "Method not allowed")
    if asked.body or "content-type" in asked.headers:
        raise RefusedError(400, "A GET request must have no body and no Content-Type")


def check_bearer(asked: Asked, key: str, message: str) -> None:
    """Refuse with 401 and `message` unless `Authorization` is `Bearer` and the key.

    Further accounts have keys of their own: the key and `-account-` with whatever tells them apart.
    """
    given = asked.headers.get("authorization", "")
    if given != f"Bearer {key}" and not given.startswith(f"Bearer {key}-account-"):
        raise RefusedError(401, message)


def parameters(asked: Asked, *known: str) -> dict[str, str]:
    """The query parameters; refused with 400 where one is unknown, repeated or empty.

    Real vendors may ignore an unknown parameter. An empty one is what HTTP clients make of a null
    cursor, and Batch's page forbids `from` on the first call.
    """
    given = {}
    for name, values in asked.query.items():
        if name not in known:
            raise RefusedError(400, f"Unknown parameter: {name}", param=name)
        if len(values) != 1:
            raise RefusedError(400, f"Parameter given more than once: {name}", param=name)
        if not values[0]:
            raise RefusedError(400, f"Empty parameter: {name}", param=name)
        given[name] = values[0]
    return given


def page_size(given: Mapping[str, str], name: str, *, default: int, maximum: int) -> int:
    """A page size from 1 to `maximum`, refused with 400 beyond; the vendors do not say what they do there."""
    text = given.get(name, str(default))
    size = int(text) if _WHOLE.fullmatch(text) else 0
    if not 1 <= size <= maximum:
        raise RefusedError(400, f"{name} must be a whole number from 1 to {maximum}", param=name)
    return size


def found(rows: Sequence[object], key: str, value: str) -> dict[str, object] | None:
    """The first row whose `key` is `value`; rows that are no objects are passed over."""
    return next((row for row in rows if isinstance(row, dict) and row.get(key) == value), None)
