"""A plug-in as its author writes it, for the type checkers alone: nothing here is run.

`mypy --strict` and pyright take all of it. mypy refuses what is marked as wrong: a mark that nothing needs
is an error too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from typing_extensions import assert_type

from audience_mcp.testing import Case, Facts, Served, VendorContract
from audience_mcp.vendors import (
    AudienceType,
    Counted,
    Cursor,
    Kind,
    Listing,
    Page,
    Rate,
    Request,
    Row,
    Setting,
    Status,
    Values,
    Vendor,
    array_at,
    as_count,
    as_object,
    cursor_at,
    text_at,
)


class Declared(Vendor):
    """Declares all that can be declared."""

    name = "declared"
    title = "Declared"
    settings = (
        Setting("api_key", ("DECLARED_API_KEY",), "API key", required=True, secret=True),
        Setting("base_url", ("DECLARED_BASE_URL",), "Base URL", default="https://api.declared.example"),
    )
    size_counts = "people"
    id_shape = re.compile(r"[0-9]{1,12}", re.ASCII)
    listings = (Listing("lists", "items", Cursor("next", "after"), {"limit": "100"}, total="total"),)
    error_hints: ClassVar[Mapping[Kind, str]] = {"unauthorized": "Check {api_key}."}

    def rates(self, values: Values) -> Mapping[str, Sequence[Rate]]:
        """Five a second."""
        assert_type(values["api_key"], str)
        return {"": [Rate(5)]}

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """What parsing gives is known to be what it is, or None."""
        assert_type(text_at(raw, "name"), "str | None")
        assert_type(as_count(raw.get("size")), "int | None")
        row = Row(id, text_at(raw, "name") or id, as_count(raw.get("size")))
        assert_type(row.type, AudienceType)
        assert_type(row.status, Status)
        row.type = "by hand"  # type: ignore[assignment]  # no type of audience
        row.size = "7"  # type: ignore[assignment]  # a size is a number
        return row


class Written(Declared):
    """Writes as methods what can be written."""

    error_hints: ClassVar[Mapping[Kind, str]] = {"no_such_kind": "?"}  # type: ignore[dict-item]

    def list_request(self, values: Values) -> Request:
        """The first page."""
        return Request("lists", {"limit": "100"})

    def page(self, body: object, request: Request) -> Page:
        """A page from a body of which nothing is known."""
        body.get("items")  # type: ignore[attr-defined]  # not before it is known to be an object
        found = as_object(body)
        after = cursor_at(found, "next")
        assert_type(after, "str | None")
        return Page(array_at(found, "items"), after is not None, request.with_params(after=after or ""))

    def get_request(self, id: str, values: Values) -> Request | None:
        """By id."""
        return Request(f"lists/{id}")

    def count_request(self, rows: Sequence[Row], values: Values) -> Request:
        """One request for all."""
        return Request("counts", {"ids": ",".join(row.id for row in rows)})

    def parse_counts(self, body: object, rows: Sequence[Row]) -> Mapping[str, Counted]:
        """A count or none."""
        return {row.id: Counted(None, "not counted yet") for row in rows}


class Wrong(Declared):
    """Answers what a vendor must not."""

    def page(self, body: object, request: Request) -> Sequence[object]:  # type: ignore[override]
        """A page is more than its rows."""
        return []


def serve(rows: Sequence[object]) -> AbstractAsyncContextManager[Served]:
    """Stands for the API."""
    raise NotImplementedError


CASE = Case(
    vendor=Declared(),
    serve=serve,
    rows=[{"id": 1}],
    sample={"id": 1},
    facts=lambda raw: Facts(str(raw["name"]), None),
    id="id",
    name="name",
    size="size",
    dates=(),
    new_id=str,
    unknown_id="1",
)


class Suite(VendorContract):
    """What runs the suite on it."""

    def case(self) -> Case:
        """The case, which an author makes a fixture."""
        return CASE
