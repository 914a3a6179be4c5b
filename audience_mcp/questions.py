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

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from audience_mcp.dates import moment
from audience_mcp.errors import ToolError
from audience_mcp.text import WHOLE_MAX, clean
from audience_mcp.vendors.base import AudienceType, Status

Sort = Literal["size", "smallest", "name", "newest", "updated"]
MAX_SEARCH = 500


def _number(value: object) -> object:
    if isinstance(value, str):
        value = value.strip().replace(",", "")
        value = int(value) if re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")
    if value > WHOLE_MAX:
        raise ValueError(f"must be at most {WHOLE_MAX:,}")
    return value


def _text(value: object) -> object:
    """Text; an id that a client sent as the number it looks like is text too."""
    return str(value) if type(value) is int and abs(value) <= WHOLE_MAX else value


def _word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


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
    when = moment(value) if isinstance(value, str) and "-" in value else None
    if when is None:
        raise ValueError("must be a date such as 2026-11-01, or a date-time such as 2026-11-01T08:00:00Z")
    return when


Count = Annotated[int, Field(ge=0), BeforeValidator(_number)]
Date = Annotated[datetime, BeforeValidator(_date), WithJsonSchema({"type": "string"})]


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListQuestion(_Question):
    """What list_audiences may be asked."""

    sources: Annotated[list[str], BeforeValidator(_names)] | None = Field(
        default=None,
        description="Source or vendor names; a vendor name means all its accounts. Default: all.",
    )
    search: Annotated[str, BeforeValidator(_text)] | None = Field(
        default=None,
        max_length=MAX_SEARCH,
        description="Words that must all occur in name, id or description; case and accents are ignored.",
    )
    type: Annotated[AudienceType, BeforeValidator(_word)] | None = Field(
        default=None, description="How membership is decided."
    )
    status: Annotated[Status, BeforeValidator(_word)] | None = Field(
        default=None, description="Processing status."
    )
    min_size: Count | None = Field(default=None, description="Audiences of unknown size do not match.")
    max_size: Count | None = Field(default=None, description="Audiences of unknown size do not match.")
    created_since: Date | None = Field(
        default=None, description="ISO date or date-time (UTC); audiences without that date do not match."
    )
    updated_since: Date | None = Field(default=None, description="As created_since, for the last change.")
    sort: Annotated[Sort, BeforeValidator(_word)] = Field(
        default="size", description="size: biggest first; smallest: smallest first; unknown values come last."
    )
    limit: Count = Field(default=200, description="Rows to return; 0 for the totals alone.")
    offset: Count = Field(default=0, description="Rows to skip: next_offset of the answer before.")
    detail: Annotated[Literal["concise", "full"], BeforeValidator(_word)] = Field(
        default="concise", description="full adds ids, dates, descriptions and the vendor's further facts."
    )
    refresh: bool = Field(
        default=False, description="Read the vendors again even if a recent reading is at hand."
    )


class GetQuestion(_Question):
    """What get_audience may be asked."""

    audience: Annotated[str, BeforeValidator(_text)] = Field(
        min_length=1, description="A ref (source:id), a vendor's id, or a name."
    )
    source: str | None = Field(default=None, description="Look only here: a source or vendor name.")
    refresh: bool = Field(
        default=False, description="Ask the vendors again even if a recent reading is at hand."
    )


QuestionT = TypeVar("QuestionT", ListQuestion, GetQuestion)


def asked(kind: type[QuestionT], arguments: Mapping[str, Any] | None) -> QuestionT:
    """The arguments of a call as a question. Raises ToolError, naming each fault and what is allowed."""
    known = kind.model_fields
    given = {name: v for name, v in (arguments or {}).items() if v is not None or name not in known}
    try:
        question = kind.model_validate(given)
    except ValidationError as e:
        said = list(dict.fromkeys(_sentence(kind, fault) for fault in e.errors(include_url=False)))
        raise ToolError(" ".join(said[:8])) from None
    if isinstance(question, ListQuestion):
        low, high = question.min_size, question.max_size
        if low is not None and high is not None and low > high:
            raise ToolError(
                f"min_size ({low:,}) is above max_size ({high:,}), so nothing can match. Swap them."
            )
    return question


def _sentence(kind: type[BaseModel], fault: Any) -> str:
    """What was wrong with one argument, and what is allowed."""
    name = clean(str(fault["loc"][0]), 60) if fault["loc"] else "arguments"
    what, context = fault["type"], fault.get("ctx", {})
    if what == "extra_forbidden":
        near = difflib.get_close_matches(name.lower(), kind.model_fields, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return f"There is no argument '{name}'.{hint} Allowed: {', '.join(kind.model_fields)}."
    if what == "missing":
        return f"'{name}' is required: {kind.model_fields[name].description}"
    if what == "literal_error":
        return f"'{name}' must be one of {context['expected'].replace(chr(39), '')}."
    if what == "greater_than_equal":
        return f"'{name}' must be {context['ge']} or more."
    if what == "string_too_long":
        return f"'{name}' must be at most {context['max_length']} characters."
    if what == "string_too_short":
        return f"'{name}' must not be empty."
    if what == "value_error":
        return f"'{name}' {context['error']}."
    if what.startswith("int_"):
        return f"'{name}' must be a whole number."
    if what.startswith("bool_"):
        return f"'{name}' must be true or false."
    if name == "sources":
        return "'sources' must be a list of source or vendor names."
    return f"'{name}' must be text."
