"""A listing declared: where its rows are, how it pages, what it counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.core.values import as_count
from audience_mcp.vendors.pagination import Paging, SinglePage
from audience_mcp.vendors.parsing import array_at, is_object, value_at
from audience_mcp.vendors.request import Page, Request


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of audiences that an API has.

    path: of its first request; `{role}` stands for that setting's value and `{parent}` for the vendor's id
    of the row that it lies under. params, json: what the first request says, with the largest page size
    that the vendor allows; `{role}` in the values of params as in the path.
    rows: the path of the array of rows; the empty path is the body itself. rows_may_lack: for APIs that leave
    that array out where it would be empty, all else that such a body may have; with more in it, it is none.
    total: the path of the vendor's own count of rows, where it is one. paging: how it goes on.
    kind: the vendor's word for one row, where it has several; a row's id then begins with `prefix`, which
    is the kind where it is not given (`list-8`). within: the kind of the listing whose rows each have one
    such list of their own (`segment-0a1b2c3d4e.880011`).
    absent_on: HTTP statuses by which the API says that there is no such list, on this plan or at all;
    empty_on: those by which it says that there are no rows, or none after those before.
    one: the request for one of its rows, where the API has one. In its path and params `{id}` stands for the
    vendor's own id, and roles and `{parent}` as in the listing's; in its json, `{id}` alone.
    """

    path: str
    rows: str
    paging: Paging = field(default_factory=SinglePage)
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json: object = None
    total: str | None = None
    kind: str | None = None
    prefix: str | None = None
    within: str | None = None
    rows_may_lack: Collection[str] | None = None
    absent_on: tuple[int, ...] = ()
    empty_on: tuple[int, ...] = ()
    pace: str = ""
    one: Request | None = None

    def request(self, values: Mapping[str, str], parent: str | None = None) -> Request:
        """The request for the first page. `parent`: the vendor's own id of the row it lies under."""
        first = Request(self.path, self.params, self.method, self.json, pace=self.pace)
        return self.paging.start(self._fill(first, values, parent))

    def request_one(self, id: str, values: Mapping[str, str]) -> Request | None:
        """The request for the row with this id of a ref; None where there is none, or it is no row here."""
        prefix = self.full_id("", None)
        if self.one is None or not id.startswith(prefix):
            return None
        parent, own = None, id.removeprefix(prefix)
        if self.within is not None:
            parent, _, own = own.rpartition(".")
        request = self._fill(self.one, {**values, "id": own}, parent)
        return replace(request, json=put_id(request.json, own))

    def page(self, body: object, request: Request) -> Page:
        """The page that answers `request`. Raises UnexpectedShape."""
        rows = self.rows_in(body)
        total = value_at(body, self.total) if self.total else None
        count = as_count(total)
        more, following = self.paging.follow(request, body, len(rows), count)
        plan = self.paging.plan(request, body, len(rows), count)
        return Page(rows, more, following, total, plan=plan)

    def rows_in(self, body: object) -> Sequence[object]:
        """The rows in an answer. Raises UnexpectedShape."""
        try:
            return array_at(body, self.rows)
        except UnexpectedShape:
            if self.rows_may_lack is None or not is_object(body) or body.keys() - self.rows_may_lack:
                raise
            return []

    def full_id(self, id: str, parent: str | None) -> str:
        """The id in a ref, from the vendor's own and that of the row it lies under."""
        prefix = self.prefix or self.kind
        if prefix is None:
            return id
        return f"{prefix}-{parent}.{id}" if parent is not None else f"{prefix}-{id}"

    def _fill(self, request: Request, values: Mapping[str, str], parent: str | None) -> Request:
        known = {**values, "parent": parent or ""}
        path = request.path.format_map({role: quote(value, safe="") for role, value in known.items()})
        params = {name: value.format_map(known) for name, value in request.params.items()}
        return replace(request, path=path, params=params, listing=self, parent=parent)


def put_id(json: object, id: str) -> object:
    """A request's json with an id in place of `{id}` in its texts."""
    if isinstance(json, str):
        return json.replace("{id}", id)
    return {key: put_id(value, id) for key, value in json.items()} if is_object(json) else json
