"""The tools' parameters: which arguments are accepted, and the errors for those that are not.

Clients send numbers as text, lists as JSON in text and nulls for "not given". Such values are accepted if
they are unambiguous. Others are refused by name, with what is allowed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from audience_mcp.catalog.arguments import read_arguments, read_list
from audience_mcp.catalog.changes import ChangeBound, parse_change
from audience_mcp.catalog.moments import PastMoment, parse_moment
from audience_mcp.catalog.schemas import input_schema
from audience_mcp.core.audience import ISSUE_CODES, AudienceType, IssueCode, Status
from audience_mcp.core.errors import ToolError
from audience_mcp.core.text import clean
from audience_mcp.core.values import WHOLE_MAX

SortByChange = Literal["growth", "decline", "growth_pct", "decline_pct"]
Sort = Literal["size", "size_asc", "name", "newest", "oldest", "updated", "updated_asc", SortByChange]
GroupBy = Literal["none", "source", "client", "kind", "type", "status", "issue", "month", "name"]
BY_CHANGE: tuple[SortByChange, ...] = get_args(SortByChange)
"""Orders by the change since `compare_to`."""
MAX_SEARCH = 500
LONGEST = 200_000
"""Characters and values in a call's arguments; to read more would hold up other calls."""
MOST_FAULTS = 8
"""Faults of one call that are described."""
ONLY_EMPTY = "max_size is 0, so only empty audiences match; -1 is no upper bound."
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "sources": ("vendor", "vendors", "accounts", "platforms"),
    "search": ("query", "q", "name", "keyword", "keywords", "filter"),
    "sort": ("order", "order_by", "sort_by"),
    "limit": ("max", "count", "top", "page_size", "max_results"),
    "offset": ("page", "cursor", "skip", "start"),
    "created_since": ("since", "created_after"),
    "created_before": ("before", "created_until"),
    "updated_since": ("updated_after", "modified_since"),
    "updated_before": ("modified_before", "not_updated_since"),
    "min_change": ("min_growth", "growth_min", "change_min", "min_change_pct"),
    "max_change": ("max_growth", "max_drop", "change_max", "max_change_pct"),
    "as_of": ("at", "date", "on", "at_date", "asof"),
    "compare_to": ("compare", "compare_with", "baseline", "since_when", "changed_since"),
    "group_by": ("group", "groupby", "per", "aggregate", "by"),
    "audience": ("id", "name", "ref", "audience_id"),
    "source": ("vendor", "platform"),
    "since": ("from", "history_since", "compare_to"),
}
"""Other tools' names for the same parameters, used to suggest ours."""


def _number(value: object) -> object:
    if isinstance(value, str):
        # Thousands may be set apart; another comma may be a decimal one.
        # `.0` is how some programs write a whole number; `.000` may set thousands apart.
        plain = re.fullmatch(
            r"([+-]?(?:\d{1,20}|[1-9]\d{0,2}(?:[,\s]\d{3}){1,6}))(?:\.0)?", value.strip(), re.ASCII
        )
        value = int(re.sub(r"[,\s]", "", plain[1])) if plain else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number such as 10000")
    if value > WHOLE_MAX:
        raise ValueError(f"must be at most {WHOLE_MAX:,}")
    return value


def _text(value: object) -> object:
    """Text. An id made of digits may come as a number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if type(value) is int and abs(value) <= WHOLE_MAX else value


def _words(value: object) -> object:
    """Search text. A list of words means that all must occur, as in a text."""
    return (
        " ".join(value)
        if isinstance(value, list) and all(isinstance(v, str) for v in value)
        else _text(value)
    )


def _word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _order(value: object) -> object:
    """A sort order; `smallest`, the earlier name of `size_asc`, is accepted too."""
    value = _word(value)
    return "size_asc" if value == "smallest" else value


def _choices(value: object) -> object:
    """Words of a choice, in any case; one word stands for a list of it."""
    value = read_list(value)
    return [_word(item) for item in value] if isinstance(value, list) else value


def _issues(value: object) -> object:
    """Issue codes; `any` and `all` mean at least one of them."""
    words = _choices(value)
    return (
        list(ISSUE_CODES)
        if isinstance(words, list) and not {"any", "all"}.isdisjoint(map(str, words))
        else words
    )


def _date(value: object) -> object:
    return parse_moment(value).begins


Count = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Bound = Annotated[int, Field(ge=-1), BeforeValidator(_number)]
Names = Annotated[list[str], BeforeValidator(read_list)]
Date = Annotated[datetime, BeforeValidator(_date), WithJsonSchema({"type": "string"})]
Past = Annotated[PastMoment, BeforeValidator(parse_moment), WithJsonSchema({"type": "string"})]
Change = Annotated[ChangeBound, BeforeValidator(parse_change), WithJsonSchema({"type": "string"})]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")
    _notes: tuple[str, ...] = PrivateAttr(default=())

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know of arguments that were not taken as they came."""
        return self._notes


class ListQuery(_Query):
    """The parameters of list_audiences."""

    sources: Names | None = Field(
        default=None,
        description="Sources, clients, or vendors as people write them (google ads, smallest.ai).",
    )
    search: Annotated[str, Field(max_length=MAX_SEARCH), BeforeValidator(_words)] | None = Field(
        default=None,
        description="Words or parts that must all occur in name, id or description; case and accents are "
        'ignored. "exact phrase", -excluded, OR.',
    )
    type: Annotated[list[AudienceType], BeforeValidator(_choices)] | None = Field(
        default=None,
        description="How membership is decided: by a list, a rule, or likeness to another.",
    )
    status: Annotated[list[Status], BeforeValidator(_choices)] | None = Field(
        default=None, description="Processing status."
    )
    kind: Names | None = Field(default=None, description="The vendors' own words: list, segment, tag.")
    issue: Annotated[list[IssueCode], BeforeValidator(_issues)] | None = Field(
        default=None, description="Audiences that need attention; any of these reasons."
    )
    missing_in: Names | None = Field(default=None, description="Only names that none of these sources has.")
    min_size: Bound | None = Field(
        default=None,
        description="Audiences of unknown size match no bound.",
        json_schema_extra={"default": 0},
    )
    max_size: Bound | None = Field(
        default=None, description="-1: no bound.", json_schema_extra={"default": -1}
    )
    created_since: Date | None = Field(
        default=None, description="ISO date or date-time (UTC). Audiences without that date do not match."
    )
    created_before: Date | None = Field(default=None, description="Exclusive.")
    updated_since: Date | None = Field(default=None, description="By last update.")
    updated_before: Date | None = Field(default=None, description="By last update; exclusive.")
    compare_to: Past | None = Field(
        default=None,
        description="Compare with the sizes stored then. A bare date means its end (UTC), today's its "
        "beginning.",
    )
    as_of: Past | None = Field(default=None, description="The sizes stored then, in place of now's.")
    min_change: Change | None = Field(
        default=None, description="With compare_to: a number or percentage (-10%), inclusive."
    )
    max_change: Change | None = Field(default=None, description="Like min_change.")
    group_by: Annotated[GroupBy, BeforeValidator(_word)] | None = Field(
        default=None,
        description="Totals per group instead of rows; name: only shared names; month: of creation.",
        json_schema_extra={"default": "none"},
    )
    sort: Annotated[Sort, BeforeValidator(_order)] = Field(
        default="size",
        description="size: largest first (groups: by sum); growth and decline (_pct: in percent) need "
        "compare_to; unknown last.",
    )
    limit: Count = Field(default=200, description="Rows to return; 0 for totals only.")
    offset: Count = Field(default=0, description="Rows to skip (next_offset).")
    detail: Annotated[Literal["concise", "full"], BeforeValidator(_word)] = Field(
        default="concise", description="full adds ids, dates, descriptions, further facts."
    )
    refresh: bool = Field(default=False, description="Read the vendors again now.")

    @field_validator("min_size", "max_size")
    @classmethod
    def _drop_no_bound(cls, bound: int | None, info: ValidationInfo) -> int | None:
        return None if bound == -1 or (bound == 0 and info.field_name == "min_size") else bound


class GetQuery(_Query):
    """The parameters of get_audience."""

    audience: Annotated[str, Field(min_length=1), BeforeValidator(_text)] = Field(
        description="A ref (source:id), a vendor's id, or a name."
    )
    source: str | None = Field(default=None, description="Only there; named as in sources.")
    since: Date | None = Field(default=None, description="ISO date; adds the sizes stored since then.")
    refresh: bool = Field(default=False, description="Read the vendors again now.")


QueryT = TypeVar("QueryT", ListQuery, GetQuery)


def parse_arguments(kind: type[QueryT], arguments: Mapping[str, Any] | None) -> QueryT:
    """Parse a call's arguments. Raises ToolError, naming each bad argument and what is allowed."""
    if _is_too_long(arguments):
        raise ToolError(f"The arguments are too long: together they may have at most {LONGEST:,} characters.")
    read = read_arguments(kind, arguments)
    try:
        query = kind.model_validate(read.values)
    except ValidationError as e:
        raise ToolError(" ".join(_describe_faults(kind, e.errors(include_url=False)))) from None
    if isinstance(query, ListQuery):
        _check(query)
        if query.max_size == 0:
            read.notes.append(ONLY_EMPTY)
    query._notes = tuple(read.notes)
    return query


def _is_too_long(arguments: Mapping[str, Any] | None) -> bool:
    """Whether arguments have more characters and values than are read."""
    length, rest = 0, [arguments]
    while rest and length <= LONGEST:
        value: Any = rest.pop()
        length += 1 + (len(value) if isinstance(value, str) else 0)
        if isinstance(value, Mapping):
            rest += [*value, *value.values()]
        elif isinstance(value, list):
            rest += value
    return length > LONGEST


def _check(query: ListQuery) -> None:
    """Raises ToolError if two arguments do not go together."""
    if query.compare_to is None:
        bounds = [name for name in ("min_change", "max_change") if getattr(query, name) is not None]
        need = [*([f"sort={query.sort}"] if query.sort in BY_CHANGE else []), *bounds]
        if need:
            raise ToolError(f"{need[0]} needs compare_to: the date to compare with, such as 2026-11-01.")
    least, most = query.min_change, query.max_change
    if least and most and least.is_percent == most.is_percent and least.amount > most.amount:
        raise ToolError("min_change is above max_change, so nothing can match. Swap them.")
    low, high = query.min_size, query.max_size
    if low is not None and high is not None and low > high:
        raise ToolError(f"min_size ({low:,}) is above max_size ({high:,}), so nothing can match. Swap them.")


def _describe_faults(kind: type[BaseModel], faults: Sequence[Any]) -> list[str]:
    """A sentence for each bad argument; those that are allowed are listed once."""
    known = list(kind.model_fields)
    faults = [*{(fault["loc"][:1], fault["type"]): fault for fault in faults}.values()]
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    sentences = [_describe_unknown(_name(fault), known) for fault in unknown[:MOST_FAULTS]]
    if unknown:
        sentences[-1] += f" Allowed: {', '.join(known)}."
    others = dict.fromkeys(_sentence(kind, fault) for fault in faults if fault["type"] != "extra_forbidden")
    return [*sentences, *others][:MOST_FAULTS]


def _describe_unknown(name: str, known: Sequence[str]) -> str:
    meant = [each for each in known if name.lower() in OTHER_NAMES.get(each, ())]
    near = meant or difflib.get_close_matches(name.lower(), known, 1, 0.7)
    return f"There is no argument '{name}'." + (f" Did you mean '{near[0]}'?" if near else "")


def _name(fault: Any) -> str:
    return clean(str(fault["loc"][0]), 60) if fault["loc"] else "arguments"


def _sentence(kind: type[BaseModel], fault: Any) -> str:
    """What is wrong with one argument, and what is allowed."""
    name, what, context = _name(fault), fault["type"], fault.get("ctx", {})
    parameter = input_schema(kind)["properties"].get(name, {})
    if what == "missing":
        return f"'{name}' is required: {kind.model_fields[name].description}"
    if (words := parameter.get("items", parameter).get("enum")) is not None:
        return f"'{name}' must be one of {', '.join(words[:-1])} or {words[-1]}."
    if what == "greater_than_equal":
        return f"'{name}' must be {context['ge']} or more."
    if what == "string_too_long":
        return f"'{name}' must be at most {context['max_length']} characters."
    if what == "string_too_short":
        return f"'{name}' must not be empty: {kind.model_fields[name].description}"
    if what == "value_error":
        return f"'{name}' {context['error']}."
    if what.startswith("int_"):
        return f"'{name}' must be a whole number such as 10000."
    if what.startswith("bool_"):
        return f"'{name}' must be true or false."
    if "items" in parameter:
        return f"'{name}' must be a list of names."
    return f"'{name}' must be text."
