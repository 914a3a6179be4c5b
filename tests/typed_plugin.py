"""A plug-in as its author writes it, for the type checkers alone: nothing here is run.

`mypy --strict` and pyright take all of it. mypy refuses what is marked as wrong: a mark that nothing needs
is an error too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from typing_extensions import assert_type

from audience_mcp.testing import Case, Facts, Served, VendorContract
from audience_mcp.vendors import (
    AudienceType,
    Basic,
    Bearer,
    Count,
    Counted,
    Cursor,
    Exchange,
    Fields,
    Header,
    Listing,
    One,
    Page,
    Rate,
    Request,
    Response,
    Row,
    Rows,
    Setting,
    Sizes,
    Status,
    Talk,
    Values,
    Vendor,
    Wait,
    Words,
    api_key,
    array_at,
    as_count,
    as_object,
    base_url,
    count_each,
    cursor_at,
    text_at,
)

LISTS = Listing(
    "lists",
    rows="items",
    fields=Fields(
        "size",
        Words("kind", {"manual": "static", "rule": "dynamic"}),
        Words("ready", {True: "ready", False: "processing", None: "unknown"}),
        created="created_at",
        details=("owner.name",),
    ),
    counts="people",
    ids="[0-9]{1,12}",
    kind="list",
    params={"limit": "100", "team": "{team}"},
    paging=Cursor("next", "after"),
    total="total",
    one=One("lists/{id}", at="list"),
    count=count_each("lists/{id}/size", "count", pace="count"),
)


class Declared(Vendor):
    """Declares all that can be declared."""

    name = "declared"
    title = "Declared"
    settings = (
        api_key("DECLARED_API_KEY"),
        Setting("team", ("DECLARED_TEAM",), "Team", pattern=re.compile("[a-z]+"), example="blue"),
        base_url("DECLARED_BASE_URL", "https://api.declared.example"),
    )
    listings = (LISTS,)
    size_unknown = "not counted"
    ids_are = "generated"
    auth = Bearer("api_key"), Basic("{user}", "{password}"), Header("X-Key", "{api_key}")
    headers = {"X-Team": "{team}"}
    limits = {"": [Rate(5)], "count": [Rate(60, 60)]}
    at_once = 2
    waits = (Wait("error.seconds"), Wait("x-reset", "ms", header=True))
    error_hints = {"unauthorized": "Check {api_key}."}


class Exchanging(Vendor):
    """Exchanges its key for a token."""

    auth = Exchange("/oauth/token", {"grant_type": "client_credentials"}, ("api_key",))


@dataclass(frozen=True, slots=True)
class Signed:
    """A way to authenticate of the vendor's own."""

    roles: tuple[str, ...] = ("api_key",)

    def authorize(self, request: Request, values: Values, now: float) -> Request:
        """The request with a parameter."""
        assert_type(values["api_key"], str)
        return request.with_params(signature=values["api_key"], at=str(now))


def request_one(id: str, values: Values) -> Talk[object]:
    """One audience, by a talk."""
    body = yield Request("lists/details", {"id": id}, purpose="one")
    return {**as_object(body), "id": id}


def count_all(rows: Rows, values: Values) -> Talk[Sizes]:
    """One request for all sizes."""
    assert_type(next(iter(rows.values())), Row)
    body = yield Request("counts", {"ids": ",".join(rows)}, purpose="count")
    found = as_object(body)
    return {id: found.get(id) or Counted(None, "not counted yet") for id in rows}


class Written(Vendor):
    """Writes as functions and methods what can be written."""

    auth = Signed()
    listings = (replace(LISTS, one=request_one, count=Count(count_all, batch=50)),)

    def page(self, page: Page, body: object) -> Page:
        """A page from a body of which nothing is known."""
        body.get("items")  # type: ignore[attr-defined]  # not before it is known to be an object
        found = as_object(body)
        assert_type(cursor_at(found, "next"), "str | None")
        return replace(page, rows=array_at(found, "items"))

    def refine(self, row: Row, raw: Mapping[str, object], listing: Listing) -> None:
        """What parsing gives is known to be what it is, or None."""
        assert_type(text_at(raw, "name"), "str | None")
        assert_type(as_count(raw.get("size")), "int | None")
        assert_type(row.type, AudienceType)
        assert_type(row.status, Status)
        row.size_max = as_count(raw.get("most"))
        row.type = "by hand"  # type: ignore[assignment]  # no type of audience
        row.size = "7"  # type: ignore[assignment]  # a size is a number

    def status(self, response: Response) -> int:
        """By what was asked and answered."""
        return 401 if response.request.purpose == "list" and not response.is_json else response.status


class Wrong(Declared):
    """Says and answers what a vendor must not."""

    ids_are = "random"  # type: ignore[assignment]
    error_hints = {"no_such_kind": "?"}  # type: ignore[dict-item]

    def page(self, page: Page, body: object) -> Sequence[object]:  # type: ignore[override]
        """A page is more than its rows."""
        return []


def serve(rows: Sequence[object]) -> AbstractAsyncContextManager[Served]:
    """Stands for the API."""
    raise NotImplementedError


CASE = Case(
    vendor=Declared(),
    serve=serve,
    rows=[{"id": 1}],
    facts=lambda raw: Facts(str(raw["name"]), None),
    dates=(),
    new_id=str,
    unknown_id="1",
)


class Suite(VendorContract):
    """What runs the suite on it."""

    def case(self) -> Case:
        """The case, which an author makes a fixture."""
        return CASE
