"""The answers, from which the tools' output schemas are made.

An unknown value is absent, never zero or null: dump these models with `exclude_none=True`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from audience_mcp.core.audience import AudienceType, Status
from audience_mcp.core.errors import Kind
from audience_mcp.core.text import to_json

Unit = Annotated[str | dict[str, str], WithJsonSchema({"type": ["string", "object"]})]
"""What one unit of size is: a noun phrase, or one for each kind of audience."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class HistoryPoint(_Answer):
    """A size and the time of the reading that gave it."""

    as_of: str
    size: int = Field(ge=0)
    size_max: int | None = Field(default=None, ge=0, description="of a range: its upper end")
    from_: Literal["vendor"] | None = Field(
        default=None, serialization_alias="from", description="vendor: of the vendor's own record"
    )


class Audience(_Answer):
    """One audience. A concise row has ref, name, size and whatever is unusual about it."""

    ref: str = Field(description="source:id; get_audience takes it")
    name: str = Field(description="the audience's name; its id where it has none")
    size: int | None = Field(
        default=None, ge=0, description="how many, in the source's unit; absent where unknown"
    )
    size_max: int | None = Field(
        default=None, ge=0, description="upper end, where the vendor gives a range; size is the lower one"
    )
    size_note: str | None = Field(default=None, description="why size is absent, or what it means")
    size_then: int | None = Field(default=None, ge=0, description="with compare_to: size at compared_to")
    then_as_of: str | None = Field(default=None, description="when size_then was counted, if not then")
    then_from: Literal["vendor"] | None = Field(
        default=None, description="vendor: size_then is of the vendor's own record"
    )
    change: int | None = Field(default=None, description="size minus size_then (net); absent where unknown")
    change_pct: float | None = Field(default=None, description="change in percent of size_then")
    new: bool | None = Field(default=None, description="it did not exist at compared_to")
    type: AudienceType | None = Field(
        default=None, description="how membership is decided; static where absent"
    )
    status: Status | None = Field(
        default=None, description="processing status; where absent, ready, or the vendor has none"
    )
    kind: str | None = Field(default=None, description="the vendor's word for it, where it has several")
    part_of: str | None = Field(default=None, description="ref of the audience that contains this one")
    source: str | None = None
    vendor: str | None = None
    id: str | None = Field(default=None, description="the vendor's id")
    description: str | None = None
    created_at: str | None = Field(default=None, description="RFC 3339, UTC")
    updated_at: str | None = Field(default=None, description="RFC 3339, UTC")
    match_rate: float | None = Field(default=None, description="percent, as the vendor says")
    last_used_at: str | None = Field(default=None, description="RFC 3339, UTC")
    issues: list[str] | None = Field(default=None, description="what needs attention")
    details: dict[str, Any] | None = Field(
        default=None, description="further facts under the vendor's own names"
    )
    gone: bool | None = Field(default=None, description="it no longer exists; size is its last known one")
    last_seen_at: str | None = Field(default=None, description="of one that is gone: last reading with it")
    history: list[HistoryPoint] | None = Field(
        default=None, description="with since: each new size when first seen, and the latest"
    )


class Problem(_Answer):
    """Why a source was not read, or only in part."""

    kind: Kind
    message: str = Field(description="what happened and what to do")
    retry_after_s: int | None = Field(default=None, ge=0, description="seconds to wait before asking again")


class SourceReport(_Answer):
    """How much of a source was read, and how much of that matched."""

    source: str
    vendor: str | None = Field(default=None, description="absent where it equals source")
    label: str | None = Field(default=None, description="the name of the client that it belongs to")
    audiences: int | None = Field(default=None, ge=0, description="audiences read")
    matched: int | None = Field(
        default=None, ge=0, description="how many of those match; absent where all do"
    )
    sum_of_sizes: int | None = Field(default=None, ge=0, description="of those matched")
    sum_max: int | None = Field(default=None, ge=0, description="with the upper ends of ranges")
    unknown_sizes: int | None = Field(default=None, ge=0, description="matched of unknown size")
    sizes_pending: int | None = Field(default=None, ge=1, description="how many of those are not counted yet")
    complete: bool = Field(description="whether every page was read, and now")
    as_of: str | None = Field(default=None, description="when its first page arrived; RFC 3339, UTC")
    compared_to: str | None = Field(default=None, description="time of the stored sizes used for comparison")
    size_counts: Unit = Field(description="what one unit of size is; by kind where they differ")
    error: Problem | None = None


class Member(_Answer):
    """An audience of a group."""

    ref: str
    size: int | None = Field(default=None, ge=0)
    change: int | None = None


class Group(_Answer):
    """Totals of audiences that share a value."""

    key: str
    label: str | None = Field(default=None, description="of a client: its name")
    matched: int = Field(ge=1)
    sum_of_sizes: int = Field(ge=0)
    sum_max: int | None = Field(default=None, ge=0)
    unknown_sizes: int = Field(ge=0)
    sum_then: int | None = Field(default=None, ge=0, description="over audiences of known size both times")
    change: int | None = Field(default=None, description="of those")
    mean_size: int | None = Field(default=None, ge=0, description="over known sizes")
    median_size: int | None = Field(default=None, ge=0)
    members: list[Member] | None = Field(
        default=None, description="by name and issue: the largest, at most 12"
    )


class GoneAudience(_Answer):
    """An audience that existed then and does not exist now."""

    ref: str
    name: str
    size_then: int | None = Field(default=None, ge=0)


class Compared(_Answer):
    """What changed over everything matched; sums are over audiences of known size both times."""

    sum_now: int = Field(ge=0)
    sum_then: int = Field(ge=0)
    change: int = Field(description="net, not people added")
    new: int = Field(ge=0, description="audiences that did not exist then")
    gone: int | None = Field(default=None, ge=0, description="audiences that no longer exist")
    unknown: int = Field(ge=0, description="existed both times, size unknown now or then")
    from_vendor: int | None = Field(
        default=None, ge=1, description="how many sizes then are of the vendors' own records"
    )
    pending: int | None = Field(
        default=None, ge=1, description="audiences whose size then is still to come from a vendor's record"
    )
    gone_audiences: list[GoneAudience] | None = Field(default=None, description="the largest, at most 20")


class _Result(_Answer):
    """The answer of a tool. What a client is sent of it is made once, also where it answers many calls."""

    @cached_property
    def content(self) -> dict[str, Any]:
        """It as JSON objects, without nulls. Callers must not change them."""
        return to_dict(self)

    @cached_property
    def text(self) -> str:
        """It as compact JSON."""
        return to_json(self.content)


class AudienceList(_Result):
    """The answer of list_audiences. With group_by it has `groups` in place of `audiences`."""

    matched: int = Field(ge=0, description="audiences that pass the filters, over everything read")
    returned: int = Field(ge=0, description="rows or groups in this answer")
    sum_of_sizes: int = Field(
        ge=0, description="of all matched of known size; a person in two audiences counts twice"
    )
    sum_max: int | None = Field(default=None, ge=0, description="with the upper ends of ranges")
    unknown_sizes: int = Field(ge=0, description="matched audiences whose size is unknown")
    mean_size: int | None = Field(default=None, ge=0, description="with limit 0: over known sizes")
    median_size: int | None = Field(default=None, ge=0)
    sizes_pending: int | None = Field(default=None, ge=1, description="how many of those are not counted yet")
    complete: bool = Field(description="true only if every page was read and no size is pending")
    next_offset: int | None = Field(
        default=None, ge=1, description="offset of the next row, if rows were left out"
    )
    compared: Compared | None = None
    audiences: list[Audience] = Field(default_factory=list)
    groups: list[Group] | None = None
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


class AudienceMatch(_Result):
    """The answer of get_audience."""

    matched_by: Literal["ref", "id", "name", "id_or_name"]
    complete: bool = Field(description="whether every source that was asked was read in full")
    audiences: list[Audience] = Field(description="normally one; several if they share the id or name")
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


def to_dict(answer: BaseModel) -> dict[str, Any]:
    """An answer as JSON objects, without nulls."""
    found = answer.model_dump(exclude_none=True, by_alias=True)
    if "groups" in found:
        del found["audiences"]
    return found
