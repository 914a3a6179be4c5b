"""The tools' parameters: what is accepted, and what is said of what is not.

Clients send numbers as text, lists as JSON in text and nulls for "not given". Where that is
unambiguous it is taken; the rest is refused by name, with what is allowed.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
)

from audience_mcp.core.audience import AudienceType, Status
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.errors import ToolError
from audience_mcp.core.text import clean
from audience_mcp.core.values import WHOLE_MAX

Sort = Literal["size", "size_asc", "name", "newest", "oldest", "updated", "growth", "decline"]
GroupBy = Literal["source", "kind", "type", "status", "name"]
MAX_SEARCH = 500
FILTERS = (
    "sources", "search", "type", "status", "min_size", "max_size", "created_since", "created_before",
    "updated_since", "updated_before",
)  # fmt: skip

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
    "compare_to": ("compare", "compare_with", "baseline", "since_when", "changed_since"),
    "group_by": ("group", "groupby", "per", "aggregate", "by"),
    "audience": ("id", "name", "ref", "audience_id"),
    "source": ("vendor", "platform"),
    "since": ("from", "history_since", "compare_to"),
}
"""What other tools call the same thing."""


def _number(value: object) -> object:
    if isinstance(value, str):
        value = re.sub(r"[,\s]", "", value)
        value = int(value) if re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number such as 10000")
    if value > WHOLE_MAX:
        raise ValueError(f"must be at most {WHOLE_MAX:,}")
    return value


def _text(value: object) -> object:
    """Text; an id that a client sent as the number it looks like is text too."""
    return str(value) if type(value) is int and abs(value) <= WHOLE_MAX else value


def _words(value: object) -> object:
    """Words in a list must all occur, as in a text."""
    return (
        " ".join(value)
        if isinstance(value, list) and all(isinstance(v, str) for v in value)
        else _text(value)
    )


def _word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _order(value: object) -> object:
    """An order; `smallest` is an older word for `size_asc`, which the name of a vendor resembles less."""
    value = _word(value)
    return "size_asc" if value == "smallest" else value


def _names(value: object) -> object:
    if isinstance(value, str):
        if value.strip().startswith("["):
            try:
                return json.loads(value)
            except (ValueError, RecursionError):
                pass
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _date(value: object) -> object:
    when = parse_datetime(value) if isinstance(value, str) and "-" in value else None
    if when is None:
        raise ValueError("must be a date such as 2026-11-01, or a date-time such as 2026-11-01T08:00:00Z")
    return when


Count = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Date = Annotated[datetime, BeforeValidator(_date), WithJsonSchema({"type": "string"})]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListQuery(_Query):
    """What list_audiences may be asked."""

    sources: Annotated[list[str], BeforeValidator(_names)] | None = Field(
        default=None,
        description="Source or vendor names; a vendor name means all its accounts. Default: all.",
    )
    search: Annotated[str, Field(max_length=MAX_SEARCH), BeforeValidator(_words)] | None = Field(
        default=None,
        description="Words that must all occur in name, id or description (case, accents and word ends are "
        'ignored); "exact phrase", -excluded, OR between alternatives.',
    )
    type: Annotated[AudienceType, BeforeValidator(_word)] | None = Field(
        default=None,
        description="How membership is decided: a static list, a dynamic rule, or a lookalike of another.",
    )
    status: Annotated[Status, BeforeValidator(_word)] | None = Field(
        default=None, description="Processing status."
    )
    min_size: Count | None = Field(default=None, description="Audiences of unknown size do not match.")
    max_size: Count | None = Field(default=None, description="Like min_size.")
    created_since: Date | None = Field(
        default=None, description="ISO date or date-time (UTC); audiences without that date do not match."
    )
    created_before: Date | None = Field(
        default=None, description="Like created_since; not the moment itself."
    )
    updated_since: Date | None = Field(default=None, description="Like created_since, by last update.")
    updated_before: Date | None = Field(default=None, description="Like created_before, by last update.")
    compare_to: Date | None = Field(
        default=None,
        description="Date whose stored sizes to show beside those now.",
    )
    group_by: Annotated[GroupBy, BeforeValidator(_word)] | None = Field(
        default=None,
        description="Totals per group in place of rows; name: only names that several audiences share.",
    )
    sort: Annotated[Sort, BeforeValidator(_order)] = Field(
        default="size",
        description="size: biggest first (groups: by sum); growth and decline need compare_to; unknown last.",
    )
    limit: Count = Field(default=200, description="Rows to return; 0 for the totals alone.")
    offset: Count = Field(default=0, description="Rows to skip (next_offset).")
    detail: Annotated[Literal["concise", "full"], BeforeValidator(_word)] = Field(
        default="concise", description="full adds ids, dates, descriptions and the vendor's further facts."
    )
    refresh: bool = Field(default=False, description="Read again, however recent the last reading.")
    _nulls: tuple[str, ...] = PrivateAttr(default=())

    @property
    def nulls(self) -> tuple[str, ...]:
        """Filters that the caller sent as null, so that they hold nothing back."""
        return self._nulls


class GetQuery(_Query):
    """What get_audience may be asked."""

    audience: Annotated[str, Field(min_length=1), BeforeValidator(_text)] = Field(
        description="A ref (source:id), a vendor's id, or a name."
    )
    source: str | None = Field(default=None, description="Look only here: a source or vendor name.")
    since: Date | None = Field(default=None, description="ISO date: adds the sizes stored since then.")
    refresh: bool = Field(default=False, description="Read again, however recent the last reading.")


QueryT = TypeVar("QueryT", ListQuery, GetQuery)


def parse_arguments(kind: type[QueryT], arguments: Mapping[str, Any] | None) -> QueryT:
    """The arguments of a call as a query. Raises ToolError, naming each fault and what is allowed."""
    given = {name: v for name, v in (arguments or {}).items() if not _left_blank(kind, name, v)}
    try:
        query = kind.model_validate(given)
    except ValidationError as e:
        said = list(dict.fromkeys(_sentence(kind, fault) for fault in e.errors(include_url=False)))
        raise ToolError(" ".join(said[:8])) from None
    if isinstance(query, ListQuery):
        query._nulls = tuple(n for n, v in (arguments or {}).items() if v is None and n in FILTERS)
        if query.sort in ("growth", "decline") and query.compare_to is None:
            raise ToolError(
                f"sort={query.sort} needs compare_to: the date to compare with, such as 2026-11-01."
            )
        low, high = query.min_size, query.max_size
        if low is not None and high is not None and low > high:
            raise ToolError(
                f"min_size ({low:,}) is above max_size ({high:,}), so nothing can match. Swap them."
            )
    return query


def _left_blank(kind: type[BaseModel], name: str, value: object) -> bool:
    """Whether an optional argument was sent without a value, as some clients do."""
    field = kind.model_fields.get(name)
    if field is None or value is None:
        return field is not None
    return not field.is_required() and isinstance(value, str) and not value.strip()


def _sentence(kind: type[BaseModel], fault: Any) -> str:
    """What was wrong with one argument, and what is allowed."""
    name = clean(str(fault["loc"][0]), 60) if fault["loc"] else "arguments"
    what, context = fault["type"], fault.get("ctx", {})
    if what == "extra_forbidden":
        known = list(kind.model_fields)
        meant = [k for k in known if name.lower() in OTHER_NAMES.get(k, ())]
        near = meant or difflib.get_close_matches(name.lower(), known, 1, 0.7)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return f"There is no argument '{name}'.{hint} Allowed: {', '.join(known)}."
    if what == "missing":
        return f"'{name}' is required: {kind.model_fields[name].description}"
    if what == "literal_error":
        return f"'{name}' must be one of {context['expected'].replace(chr(39), '')}."
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
    if name == "sources":
        return "'sources' must be a list of source or vendor names."
    return f"'{name}' must be text."
