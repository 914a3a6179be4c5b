"""Talks with a vendor about one audience or about sizes, written as generators.

A talk yields a `Request`, is sent the parsed answer, and returns what it learned. It does no I/O: whoever
runs it does, with every wait, retry and guard in between (`sources/talk.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote

from audience_mcp.core.audience import Row
from audience_mcp.vendors.parsing import is_object, object_at, value_at
from audience_mcp.vendors.request import Encoded, Request

T = TypeVar("T")
Talk = Generator[Request, Any, T]
Values = Mapping[str, str]
"""An account's settings by role, for example `{"api_key": …, "project": …}`."""
Rows = Mapping[str, Row]
"""The rows to count, by the vendor's own ids."""
Sizes = Mapping[str, object]
"""Sizes by the vendor's own ids, as the vendor writes them or as `Counted`; a missing one is unknown."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The size of one audience as the answer to a count gives it.

    size: as the vendor writes it; None where it gives none. note: what a reader must know of it. size_max:
    the upper end of a range. sized_on: the day (`2026-02-01`) that the size is of, where the answer says so.
    past: what the same answer says of the days before, as many as the `days` of the listing's `history`.
    failed: the HTTP status that the answer gives this one size, where it has others: one that passes leaves
    it to be counted later, any other refuses it.
    """

    size: object
    note: str | None = None
    size_max: object = None
    sized_on: str | None = None
    past: Sequence[tuple[object, object]] = ()
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class One:
    """The request for one row of a listing.

    `{id}` stands for the vendor's own id, `{parent}` for that of the row it lies under, and `{role}` for that
    setting's value; in path and params alike. In json `{id}` stands anywhere in a text, a role as in that of
    a listing.
    at: the path of the audience in the answer; the empty path is the answer itself. listed: whether the
    answer has it as the listing has its rows: one row, or none. lacks_size: whether the answer has no size,
    so that it must be taken from the list. owned: where the key may see other accounts' audiences too, the
    path of what names an audience's account, and what it says of ours, with `{role}` as in the path: any
    other one is answered as if it did not exist.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    at: str = ""
    listed: bool = False
    lacks_size: bool = False
    method: str = "GET"
    json: object = None
    pace: str = ""
    owned: tuple[str, str] | None = None

    def talk(self, id: str, values: Values, rows_in: Callable[[object], Sequence[object]]) -> Talk[object]:
        """Requests the row. Returns it as the vendor writes it, or None. Raises UnexpectedShape.

        rows_in: finds the rows in an answer that has them as the listing does.
        """
        request = Request(self.path, self.params, self.method, self.json, purpose="one", pace=self.pace)
        body = yield fill(replace(request, json=put_id(request.json, id)), {**values, "id": id})
        if self.listed:
            return next(iter(rows_in(body)), None)
        row = object_at(body, self.at)
        if self.owned is not None:
            path, account = self.owned
            if str(value_at(row, path)) != account.format_map(values):
                return None
        return row


AskOne = Callable[[str, Values], Talk[object]]
"""A talk about one row: given the vendor's own id and the settings, returns the row, or None if there is
none."""


@dataclass(frozen=True, slots=True)
class Count:
    """How the sizes of a listing's rows are counted. batch: the most rows that one talk is given.

    splits: whether a batch may be refused for one row in it, so that each half is then counted by itself;
    otherwise a refusal is an error of the source. One that is too big is halved in any case.
    shows_ready: whether a size is the vendor's only sign that an audience is ready; one without a size is
    then `unknown`, as one that was not counted yet should be by its listing's fields.
    """

    talk: Callable[[Rows, Values], Talk[Sizes]]
    batch: int = 1
    splits: bool = True
    shows_ready: bool = False


def count_each(path: str, at: str, params: Mapping[str, str] | None = None, pace: str = "") -> Count:
    """A request for each size, which stands at the path `at` in the answer, or is unknown.

    `{id}` in `path` stands for the vendor's own id, `{role}` in path and params for that setting's value.
    """

    def count(rows: Rows, values: Values) -> Talk[Sizes]:
        (id,) = rows
        request = Request(path, params or {}, purpose="count", pace=pace)
        body = yield fill(request, {**values, "id": id})
        above, _, last = at.rpartition(".")
        counts = object_at(body, above)
        return {id: counts[last]} if last in counts else {}

    return Count(count)


def fill(request: Request, values: Values) -> Request:
    """A request with values in place of `{role}` in its path and params, and in its JSON body where a text
    is nothing else; encoded in the path and in what is `Encoded`.

    A parameter that is nothing but a role whose setting is not set is left out; so is such a text in a body,
    and a list that held nothing else.
    """
    encoded = {role: quote(value, safe="") for role, value in values.items()}
    path = request.path.format_map(encoded)
    params = {
        name: Encoded(text.format_map(encoded)) if isinstance(text, Encoded) else text.format_map(values)
        for name, text in request.params.items()
        if not (text.startswith("{") and text.endswith("}") and text[1:-1] not in values)
    }
    return replace(request, path=path, params=params, json=_fill_body(request.json, values))


_ROLE = re.compile(r"\{(\w+)\}", re.ASCII)
_LEFT_OUT = object()


def _fill_body(body: object, values: Values) -> object:
    if isinstance(body, str):
        role = _ROLE.fullmatch(body)
        return values.get(role[1], _LEFT_OUT) if role else body
    if isinstance(body, (list, tuple)):
        filled = [value for each in body if (value := _fill_body(each, values)) is not _LEFT_OUT]
        return filled if filled or not body else _LEFT_OUT
    if not is_object(body):
        return body
    pairs = {key: _fill_body(value, values) for key, value in body.items()}
    return {key: value for key, value in pairs.items() if value is not _LEFT_OUT}


def roles_in_body(body: object) -> set[str]:
    """The roles that a JSON body names in texts that are nothing else."""
    if isinstance(body, str):
        return {*_ROLE.findall(body)} if _ROLE.fullmatch(body) else set()
    inner = body.values() if is_object(body) else body if isinstance(body, (list, tuple)) else ()
    return {role for each in inner for role in roles_in_body(each)}


def put_id(body: object, id: str) -> object:
    """A JSON body with an id in place of `{id}` in its texts, also within lists."""
    if isinstance(body, str):
        return body.replace("{id}", id)
    if isinstance(body, (list, tuple)):
        return [put_id(each, id) for each in body]
    return {key: put_id(value, id) for key, value in body.items()} if is_object(body) else body
