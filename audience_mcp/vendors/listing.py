"""A listing: everything that is true of one sort of audience."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

from audience_mcp.core.audience import Row
from audience_mcp.core.errors import UnexpectedShape
from audience_mcp.core.values import as_count
from audience_mcp.vendors.fields import Fields
from audience_mcp.vendors.history import History
from audience_mcp.vendors.pagination import Paging, SinglePage, split_page
from audience_mcp.vendors.parsing import array_at, is_object, value_at
from audience_mcp.vendors.request import Page, Request
from audience_mcp.vendors.talk import AskOne, Count, One, Talk, Values, fill


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """One list of audiences that an API has.

    path: of its first request; `{role}` stands for that setting's value and `{parent}` for the vendor's id of
    the row that it lies under. params, json: what the first request says, with the largest page size that the
    vendor allows; `{role}` in the values of params as in the path, and a parameter whose setting is not set
    is not sent. In json a text that is nothing but `{role}` is that setting's value, and is left out in the
    same way, with a list that holds nothing else.

    rows: the path of the array of rows; the empty path is the body itself. rows_may_lack: for APIs that leave
    that array out where it would be empty, all else that such a body may have; a body with more is not one.
    paging: how it continues. page_size: the parameter with the number of rows of a page, in params or as a
    path in json: a page that is too big for the vendor is requested again in parts. total: the path of the
    vendor's own count of rows, where it has one.

    fields: where a row has its facts. counts: what one unit of size is, as a noun phrase; by the row's kind
    where a listing has rows of several. size_note: what a reader must know of every size here, or why there
    is none. ids: what the vendor's own ids look like, as a regular expression, as narrow as is documented;
    nothing else is ever put into a request. deleted_at: the path of a deletion's date or flag in a row.

    made_for_all: names of audiences that every account has, which say nothing of whose an account is.

    kind: the vendor's word for one row, where it has several sorts of audience; a row's id in a ref then
    begins with it (`list-8`). within: the listing whose rows each have one such list of their own
    (`segment-0a1b2c3d4e.880011`). bare_beside: all the vendor's other listings, where ids of this one stand
    in refs without its kind; one that would be read as another listing's has it all the same
    (`audience-segment-8`).

    one: the request for one row, where the API has one. count: how sizes are counted, where they do not come
    with the rows. history: the record that the vendor itself keeps of sizes, where it has one.

    absent_on: HTTP statuses by which the API says that there is no such list, on this plan or at all;
    empty_on: those by which it says that there are no rows, or none after those before.
    pace: the kind of request, for vendors that limit some kinds more than others.
    """

    path: str
    _: KW_ONLY
    rows: str
    fields: Fields
    counts: str | Mapping[str, str]
    ids: str
    kind: str | None = None
    within: Listing | None = None
    bare_beside: Sequence[Listing] = ()
    paging: Paging = field(default_factory=SinglePage)
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    json: object = None
    page_size: str | None = None
    total: str | None = None
    size_note: str | None = None
    made_for_all: tuple[str, ...] = ()
    one: One | AskOne | None = None
    count: Count | None = None
    history: History | None = None
    deleted_at: str | None = None
    rows_may_lack: Collection[str] | None = None
    absent_on: tuple[int, ...] = ()
    empty_on: tuple[int, ...] = ()
    pace: str = ""
    _prefixes: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Note how ids with a kind begin, this listing's first, rather than find out for every row."""
        kinds = [each.kind for each in (self, *self.bare_beside) if each.kind is not None]
        object.__setattr__(self, "_prefixes", tuple(f"{kind}-" for kind in kinds))

    # Pages

    def request(self, values: Values, parent: str | None = None) -> Request:
        """The request for the first page. `parent`: the vendor's own id of the row it lies under."""
        first = Request(self.path, self.params, self.method, self.json, pace=self.pace)
        return self.paging.start(fill(first, {**values, "parent": parent or ""}))

    def page(self, body: object, request: Request) -> Page:
        """The page that answers `request`. Raises UnexpectedShape."""
        none = self._has_null_for_rows(body)
        rows = [] if none else self.rows_in(body)
        total = value_at(body, self.total) if self.total else None
        count = as_count(total)
        more, following = self.paging.follow(request, body, len(rows), count)
        if none and (more is not False or (count and not request.further)):
            raise UnexpectedShape(f"its list '{self.rows}' is null")
        plan = self.paging.plan(request, body, len(rows), count)
        return Page(rows, more, following, None if count == 0 and rows else total, plan=plan)

    def rows_in(self, body: object) -> Sequence[object]:
        """The rows in an answer. Raises UnexpectedShape."""
        try:
            return array_at(body, self.rows)
        except UnexpectedShape:
            if self.rows_may_lack is None or not is_object(body) or body.keys() - self.rows_may_lack:
                raise
            return []

    def _has_null_for_rows(self, body: object) -> bool:
        """Whether null stands where the array of rows belongs: some APIs write an empty one so."""
        above, _, last = self.rows.rpartition(".")
        inside = value_at(body, above)
        return bool(self.rows) and is_object(inside) and last in inside and inside[last] is None

    def parts_of(self, request: Request, planned: bool) -> Sequence[Request]:
        """Requests for smaller pages over the rows of a page: all of them if its place was `planned`, else
        the first.

        Nothing where the size of a page cannot be changed, or is 1.
        """
        return split_page(self.paging, request, self.page_size, planned) if self.page_size else ()

    # Rows and their ids

    def row(self, raw: Mapping[str, object], id: str) -> Row:
        """An audience from a row, as the fields say; `id` is as in a ref."""
        row = self.fields.row(raw, id, counted=self.count is not None)
        if self.bare_beside and row.name == id:  # none is given: it is the own id, whatever the ref needs
            row.name, _ = self.split_id(id)
        if self.kind is not None:
            row.kind = self.kind
        if self.size_note is not None:
            row.size_note = self.size_note
        return row

    def has_id(self, id: str) -> bool:
        """Whether an id of a ref is of this listing and of none of the vendor's others, by how it begins."""
        if self.bare_beside:
            return not any(each.has_id(id) for each in self.bare_beside)
        return self.kind is None or id.startswith(self._prefixes[0])

    def full_id(self, own: str, parent: str | None = None) -> str:
        """The id in a ref, from the vendor's own and that of the row it lies under."""
        if self.kind is None or (self.bare_beside and not self._needs_kind(own)):
            return own
        return f"{self.kind}-{own}" if parent is None else f"{self.kind}-{parent}.{own}"

    def split_id(self, id: str) -> tuple[str, str | None]:
        """The vendor's own id in that of a ref, and the one of the row it lies under."""
        own = id.removeprefix(f"{self.kind}-") if self.kind is not None else id
        if self.bare_beside and not self._needs_kind(own):
            own = id
        if self.within is None:
            return own, None
        parent, _, own = own.rpartition(".")
        return own, parent

    def _needs_kind(self, own: str) -> bool:
        """Whether an id of a listing with bare ones would be read as another listing's, or as one that has
        the kind for this reason."""
        if not own.startswith(self._prefixes):  # most do not
            return False
        kind = self._prefixes[0]
        while own.startswith(kind):
            own = own.removeprefix(kind)
        return not self.has_id(own)

    @property
    def id_shape(self) -> str:
        """What an id of a ref looks like here, as a regular expression."""
        own = _grouped(self.ids)
        if self.within is not None:
            own = rf"{_grouped(self.within.ids)}\.{own}"
        if self.kind is None:
            return own
        kind = f"{re.escape(self.kind)}-"
        if not self.bare_beside:
            return f"{kind}{own}"
        others = "|".join(f"{re.escape(each.kind or '')}-" for each in self.bare_beside)
        needs_kind = f"(?:{kind})*(?:{others})"
        return f"(?!{needs_kind}){own}|{kind}(?={needs_kind}){own}"

    # One row, and sizes

    def talk_of_one(self, id: str, values: Values) -> Talk[object] | None:
        """A talk about the row with this id of a ref, or None where it cannot be requested separately."""
        own, parent = self.split_id(id)
        values = {**values, "parent": parent or ""}
        if isinstance(self.one, One):
            return self.one.talk(own, values, self.rows_in)
        return self.one(own, values) if self.one is not None else None

    @property
    def one_lacks_size(self) -> bool:
        """Whether a row that is requested separately comes without its size."""
        return isinstance(self.one, One) and self.one.lacks_size


def _grouped(pattern: str) -> str:
    return f"(?:{pattern})" if "|" in pattern else pattern
