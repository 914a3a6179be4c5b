"""Vendors' raw bytes, read and shown as in an answer: by the real parts, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from audience_mcp.catalog.display import to_concise, to_full
from audience_mcp.catalog.models import to_dict
from audience_mcp.config import Account, load_configuration
from audience_mcp.core.audience import Row
from audience_mcp.sources.responses import describe_status, find_wait, parse_body
from audience_mcp.sources.rows import row_of
from audience_mcp.vendors import Counted, Listing, Page, Request, Response, Sizes, Talk, Values, Vendor
from audience_mcp.vendors.request import Purpose

HERE = Path(__file__).parent
T = TypeVar("T")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)
ANY = Request("any")


def body(vendor: Vendor, case: str) -> Any:
    """The JSON in a vendor's file of that name."""
    value, readable = parse_body((HERE / vendor.name / f"{case}.json").read_bytes())
    assert readable
    return value


def page(vendor: Vendor, case: str, request: Request = ANY, listing: Listing | None = None) -> Page:
    """The page of a listing (by default the first) in a vendor's file of that name."""
    return page_of(vendor, body(vendor, case), request, listing)


def page_of(vendor: Vendor, body: object, request: Request = ANY, listing: Listing | None = None) -> Page:
    return vendor.page((listing or vendor.listings[0]).page(body, request), body)


def first_requests(vendor: Vendor, values: Values) -> list[Request]:
    """The first request of each listing that lies under no other."""
    return [listing.request(values) for listing in vendor.listings if listing.within is None]


def headers_sent(vendor: Vendor, values: Values) -> dict[str, str]:
    """The headers that go out with every request of an account whose key needs no exchange."""
    authorized = vendor.auth_for(values).authorize(ANY, values, NOW.timestamp())
    return {**vendor.headers_for(values), **authorized.headers}


def row(vendor: Vendor, raw: object, listing: Listing | None = None, parent: str | None = None) -> Row | None:
    """A row of a listing (by default the first) as an audience, or None where it is broken."""
    return row_of(vendor, listing or vendor.listings[0], raw, parent)


def shown(vendor: Vendor, raw: object, listing: Listing | None = None) -> dict[str, Any]:
    """A row of a listing (by default the first) as `detail=full` shows it, without what is the same in all
    rows of a vendor."""
    row = row_of(vendor, listing or vendor.listings[0], raw)
    assert row is not None, f"dropped: {raw}"
    audience = to_dict(to_full(vendor.name, vendor, row))
    assert audience.pop("ref") == f"{vendor.name}:{audience['id']}"
    assert (audience.pop("source"), audience.pop("vendor")) == (vendor.name, vendor.name)
    if row.kind is None:
        assert audience.pop("kind") == vendor.kind
    return audience


def all_shown(vendor: Vendor, case: str) -> list[dict[str, Any]]:
    return [shown(vendor, raw) for raw in page(vendor, case).rows]


def shown_concisely(vendor: Vendor, raw: object) -> dict[str, Any]:
    row = row_of(vendor, vendor.listings[0], raw)
    assert row is not None
    return to_dict(to_concise(vendor.name, vendor, row))


def account(vendor: Vendor, **variables: str) -> Account:
    """An account with a value for every variable that it needs, and with `variables`."""
    needed = {role for group in vendor.needs_one_of[:1] for role in group}
    required = {
        s.variables[0]: s.example or f"the-{s.role}"
        for s in vendor.settings
        if s.required or s.role in needed or (s.example and not s.default)
    }
    (source,) = load_configuration({**required, **variables}, [vendor]).sources
    assert source.account is not None, source.problem
    return source.account


def answered(
    status: int,
    body: object,
    *,
    purpose: Purpose = "list",
    path: str = "any",
    is_json: bool = True,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer as a vendor's hooks see it."""
    request = Request(path, purpose=purpose)
    return Response(request, status, headers or {}, body, is_json, NOW.timestamp())


def talk_of_one(vendor: Vendor, id: str, values: Values) -> Talk[object]:
    """The talk about one audience, by its id in a ref."""
    talk = vendor.listing_of(id).talk_of_one(id, values)
    assert talk is not None, f"{vendor.title} has no request for one audience"
    return talk


def talk_of_sizes(vendor: Vendor, rows: Sequence[Row], values: Values) -> Talk[Sizes]:
    """The talk that counts rows of one listing."""
    listing = vendor.listing_of(rows[0].id)
    assert listing.count is not None, f"{vendor.title} counts nothing"
    return listing.count.talk({listing.split_id(row.id)[0]: row for row in rows}, values)


def result_of(talk: Talk[T], *answers: object) -> T:
    """What a talk returns after these answers."""
    next(talk)
    try:
        for answer in answers:
            talk.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the talk is not over")


def sizes_in(vendor: Vendor, rows: Sequence[Row], answer: object, values: Values) -> dict[str, Counted]:
    """The sizes of rows by the vendor's own ids, as one answer gives them."""
    sizes = result_of(talk_of_sizes(vendor, rows, values), answer)
    return {id: size if isinstance(size, Counted) else Counted(size) for id, size in sizes.items()}


def error(vendor: Vendor, status: int, answer: object) -> tuple[str, str]:
    """The kind of a failed answer, and what is said of it."""
    return describe_status(vendor.status(answered(status, answer)), account(vendor))


def wait(vendor: Vendor, case: str) -> float | None:
    """The seconds that an error's body asks to wait."""
    return find_wait(answered(429, body(vendor, case)), account(vendor))
