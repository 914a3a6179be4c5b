"""The answers, as the tools' output schemas describe them.

What is unknown is absent, never zero and never null: dump these with `exclude_none=True`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from audience_mcp.core.audience import AudienceType, Status
from audience_mcp.core.errors import Kind

Unit = Annotated[str | dict[str, str], WithJsonSchema({"type": ["string", "object"]})]
"""A noun phrase, or one for each kind of audience."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HistoryPoint(_Answer):
    """A size, and when a reading gave it."""

    as_of: str
    size: int = Field(ge=0)


class Audience(_Answer):
    """One audience. A concise row has ref, name, size and only what is remarkable."""

    ref: str = Field(description="source:id; get_audience takes it")
    name: str = Field(description="the audience's name; its id where it has none")
    size: int | None = Field(
        default=None, ge=0, description="how many, in the source's unit; absent where unknown"
    )
    size_max: int | None = Field(
        default=None, ge=0, description="upper end, where the vendor gives a range; size is the lower one"
    )
    size_note: str | None = Field(default=None, description="why size is absent, or how to read it")
    size_then: int | None = Field(default=None, ge=0, description="with compare_to: at compared_to")
    change: int | None = Field(default=None, description="size less size_then: net; absent where unknown")
    new: bool | None = Field(default=None, description="it was not there at compared_to")
    type: AudienceType | None = Field(
        default=None, description="how membership is decided; static where absent"
    )
    status: Status | None = Field(default=None, description="processing status; ready where absent")
    kind: str | None = Field(default=None, description="the vendor's word for it, where it has several")
    part_of: str | None = Field(default=None, description="ref of the audience that this one lies within")
    source: str | None = None
    vendor: str | None = None
    id: str | None = Field(default=None, description="the vendor's id")
    description: str | None = None
    created_at: str | None = Field(default=None, description="RFC 3339, UTC")
    updated_at: str | None = Field(default=None, description="RFC 3339, UTC")
    details: dict[str, Any] | None = Field(
        default=None, description="further facts under the vendor's own names"
    )
    history: list[HistoryPoint] | None = Field(
        default=None, description="with since: when each other size was first seen, and the latest"
    )


class Problem(_Answer):
    """Why a source was not read, or not to the end."""

    kind: Kind
    message: str = Field(description="what happened and what to do")
    retry_after_s: int | None = Field(
        default=None, ge=0, description="seconds until asking again makes sense"
    )


class SourceReport(_Answer):
    """How one source stands: what was read of it, and what of that matched."""

    source: str
    vendor: str | None = Field(default=None, description="where the source is named otherwise")
    audiences: int | None = Field(default=None, ge=0, description="audiences read")
    matched: int | None = Field(default=None, ge=0, description="of those, how many match; absent where all")
    sum_of_sizes: int | None = Field(default=None, ge=0, description="of those matched")
    sum_max: int | None = Field(default=None, ge=0, description="with the upper ends of ranges")
    unknown_sizes: int | None = Field(default=None, ge=0, description="matched of unknown size")
    sizes_pending: int | None = Field(default=None, ge=1, description="of those, still to be asked for")
    complete: bool = Field(description="whether every page was read, and now")
    as_of: str | None = Field(default=None, description="when its first page came; RFC 3339, UTC")
    compared_to: str | None = Field(default=None, description="moment of the stored sizes compared with")
    size_counts: Unit = Field(description="what one unit of size is; by kind where they differ")
    error: Problem | None = None


class Group(_Answer):
    """The audiences that have something in common. refs: of a group by name, at most 12."""

    key: str
    matched: int = Field(ge=1)
    sum_of_sizes: int = Field(ge=0)
    sum_max: int | None = Field(default=None, ge=0)
    unknown_sizes: int = Field(ge=0)
    sum_then: int | None = Field(default=None, ge=0, description="over audiences known both times")
    change: int | None = Field(default=None, description="of those")
    refs: list[str] | None = None


class GoneAudience(_Answer):
    """An audience that was there then, and is not now."""

    ref: str
    name: str
    size_then: int | None = Field(default=None, ge=0)


class Compared(_Answer):
    """What changed over everything that matched; sums are over audiences known both times."""

    sum_now: int = Field(ge=0)
    sum_then: int = Field(ge=0)
    change: int = Field(description="net, not people added")
    new: int = Field(ge=0, description="audiences that were not there")
    gone: int | None = Field(default=None, ge=0, description="audiences no longer there")
    unknown: int = Field(ge=0, description="there both times, size unknown now or then")
    gone_audiences: list[GoneAudience] | None = Field(default=None, description="the biggest, at most 20")


class AudienceList(_Answer):
    """The answer of list_audiences. With group_by, `groups` take the place of `audiences`."""

    matched: int = Field(ge=0, description="audiences that satisfy the filters, over everything read")
    returned: int = Field(ge=0, description="rows or groups in this answer")
    sum_of_sizes: int = Field(ge=0, description="of all matched of known size; a person in two counts twice")
    sum_max: int | None = Field(default=None, ge=0, description="with the upper ends of ranges")
    unknown_sizes: int = Field(ge=0, description="matched audiences whose size is unknown")
    sizes_pending: int | None = Field(default=None, ge=1, description="of those, still to be asked for")
    complete: bool = Field(description="true only if every page was read and no size is pending")
    next_offset: int | None = Field(
        default=None, ge=1, description="offset of the next row, where rows were left out"
    )
    compared: Compared | None = None
    audiences: list[Audience] = Field(default_factory=list)
    groups: list[Group] | None = None
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


class AudienceMatch(_Answer):
    """The answer of get_audience."""

    matched_by: Literal["ref", "id", "name", "id_or_name"]
    complete: bool = Field(description="whether every source that was asked was read in full")
    audiences: list[Audience] = Field(description="normally one; several where they share it")
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


def to_dict(answer: BaseModel) -> dict[str, Any]:
    """An answer as JSON, nulls left out."""
    found = answer.model_dump(exclude_none=True)
    if "groups" in found:
        del found["audiences"]
    return found
