"""Where a row of a listing has its facts, and what its words mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from typing import Any, cast, get_args

from audience_mcp.core.audience import AudienceType, Row, Status
from audience_mcp.core.values import WHOLE_MAX, as_count
from audience_mcp.vendors.parsing import is_object, value_at

MISSING = object()
"""Stands for a size that a row does not have, as opposed to one that is null."""


@dataclass(frozen=True, slots=True)
class Words:
    """A field whose words are documented. Any other word is `unknown`, and is shown among the details.

    at: the path of the field. means: the type or status that each documented word means; the words may be
    true and false too, and None stands for a field that is missing or null, which is `unknown` where it is
    not named.
    """

    at: str
    means: Mapping[Any, str]


Getter = Callable[[Mapping[str, object]], object]


@dataclass(frozen=True, slots=True)
class Fields:
    """The paths of a row's facts, relative to `at`; the id alone is relative to the row itself.

    id_after: for ids that are resource names (`properties/1/audiences/7`), what the id itself stands behind
    (`/audiences/`). size: None where the rows of a listing have no size. type, status: what every row is, or
    the words that say it. A status that the vendor's own code finds in other fields starts as the one given
    here; None says that the vendor has none: its audiences then count as ready, and no answer says that they
    are. created, updated: dates in any form that a vendor writes. match_rate: how many
    percent of what was uploaded the vendor found; last_used: when the audience was last used, a date as
    above. details: further facts that a reader is shown, each under the last part of its path.
    """

    size: str | None = None
    type: AudienceType | Words = "static"
    status: Status | Words | None = None
    id: str = "id"
    name: str = "name"
    description: str | None = None
    created: str | None = None
    updated: str | None = None
    match_rate: str | None = None
    last_used: str | None = None
    details: tuple[str, ...] = ()
    at: str = ""
    id_after: str = ""
    _is_flat: bool = field(init=False, repr=False, compare=False)
    _has_plain_id: bool = field(init=False, repr=False, compare=False)
    _getters: tuple[Getter, ...] = field(init=False, repr=False, compare=False)
    _details: tuple[tuple[str, Getter], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Resolve the paths once, rather than for every row. Raises ValueError for a word that means
        nothing."""
        for what, known in ((self.type, get_args(AudienceType)), (self.status, get_args(Status))):
            if isinstance(what, Words) and (wrong := {*what.means.values()} - {*known}):
                raise ValueError(
                    f"'{what.at}' cannot mean {', '.join(sorted(wrong))}: only {', '.join(known)}"
                )
        # Rare, and shown in full rows alone, these two are held with the details until then.
        rare = tuple(path for path in (self.match_rate, self.last_used) if path)
        object.__setattr__(self, "details", (*self.details, *rare))
        paths = (self.size, self.name, self.description, self.created, self.updated)
        missing = (MISSING, None, None, None, None)
        object.__setattr__(self, "_is_flat", not any("." in path for path in (*paths, *self.details) if path))
        object.__setattr__(self, "_has_plain_id", "." not in self.id and not self.id_after)
        object.__setattr__(self, "_getters", tuple(map(getter_of, paths, missing)))
        details = tuple((last_part(path), getter_of(path, None)) for path in self.details)
        object.__setattr__(self, "_details", details)

    def own_id(self, raw: Mapping[str, object]) -> object:
        """The vendor's own id of a row, as the vendor writes it."""
        if self._has_plain_id:
            return raw.get(self.id)
        id = raw.get(self.id) if "." not in self.id else value_at(raw, self.id)
        return id.partition(self.id_after)[2] if self.id_after and isinstance(id, str) else id

    def row(self, raw: Mapping[str, object], id: str, *, counted: bool) -> Row:
        """An audience from a vendor's row.

        counted: whether sizes of this listing cost requests of their own, so that a size that is missing here
        is still to be requested.
        """
        facts = raw
        if self.at:
            inside = raw.get(self.at) or value_at(raw, self.at)
            facts = inside if is_object(inside) else {}
        size: object
        details: list[object] = []
        if self._is_flat:  # most are: a row costs a third less without a call for each fact
            get = facts.get
            size = get(self.size, MISSING) if self.size else MISSING
            name = get(self.name)
            description = get(self.description) if self.description else None
            created = get(self.created) if self.created else None
            updated = get(self.updated) if self.updated else None
            for key in self.details:
                if (found := get(key)) is not None:
                    details += (key, found)
        else:
            size, name, description, created, updated = [get(facts) for get in self._getters]
            for key, find in self._details:
                if (found := find(facts)) is not None:
                    details += (key, found)
        type_, status = self.type, self.status
        row = Row(
            id,
            name if name and isinstance(name, str) else id,
            size if type(size) is int and 0 <= size <= WHOLE_MAX else as_count(size),
            cast("AudienceType", _read_word(type_, facts, details)) if isinstance(type_, Words) else type_,
            cast("Status", _read_word(status, facts, details))
            if isinstance(status, Words)
            else status or "ready",
        )
        if counted and size is MISSING:
            row.size_pending = True
        if description and isinstance(description, str):
            row.description = description
        row.created, row.updated = created, updated
        if details:
            row.detail_pairs = tuple(details)
        return row


def _read_word(words: Words, facts: Mapping[str, object], details: list[object]) -> str:
    """What a row's word means: `unknown` where it is not documented, and then the word joins the details."""
    word = facts.get(words.at)
    if word is None and "." in words.at:
        word = value_at(facts, words.at)
    meaning = words.means.get(word) if word is None or isinstance(word, (str, bool)) else None
    if meaning is None and word is not None:
        details += (last_part(words.at), word)
    return meaning or "unknown"


def last_part(path: str) -> str:
    """The key under which a fact is shown."""
    return path.rpartition(".")[2]


def getter_of(path: str | None, missing: object) -> Getter:
    """What finds the value at a path of a row, or `missing`. A key that itself has dots goes first."""
    if path is None:
        return lambda facts: missing
    if "." not in path:
        return methodcaller("get", path, missing)
    if path.count(".") == 1:
        outer, key = path.split(".")
        return partial(_find_inside, outer, key, path, missing)
    return partial(_find, path, missing)


def _find_inside(outer: str, key: str, path: str, missing: object, facts: Mapping[str, object]) -> object:
    """As `_find`, for a path of two keys."""
    inside = facts.get(outer)
    if isinstance(inside, dict):
        found = inside.get(key)
        return missing if found is None else found
    return _find(path, missing, facts)


def _find(path: str, missing: object, facts: Mapping[str, object]) -> object:
    if path in facts:
        return facts[path]
    found = value_at(facts, path)
    return missing if found is None else found
