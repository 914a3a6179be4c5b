"""The answers, as the tools' output schemas describe them.

What is unknown is absent, never zero and never null: dump these with `exclude_none=True`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.core.audience import AudienceType, Status
from audience_mcp.core.errors import Kind


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Audience(_Answer):
    """One audience. A concise row has ref, name, size and only what is remarkable."""

    ref: str = Field(description="source:id; get_audience takes it")
    name: str = Field(description="the audience's name; its id where it has none")
    size: int | None = Field(
        default=None, ge=0, description="how many, in the source's unit; absent where unknown"
    )
    size_max: int | None = Field(default=None, ge=0, description="upper end, where the vendor gives a range")
    size_note: str | None = Field(default=None, description="why size is absent, or how to read it")
    type: AudienceType | None = Field(
        default=None, description="how membership is decided; static where absent"
    )
    status: Status | None = Field(default=None, description="processing status; ready where absent")
    source: str | None = None
    vendor: str | None = None
    id: str | None = Field(default=None, description="the vendor's id")
    description: str | None = None
    created_at: str | None = Field(default=None, description="RFC 3339, UTC")
    updated_at: str | None = Field(default=None, description="RFC 3339, UTC")
    details: dict[str, Any] | None = Field(
        default=None, description="further facts under the vendor's own names"
    )


class Problem(_Answer):
    """Why a source was not read, or not to the end."""

    kind: Kind
    message: str = Field(description="what happened and what to do")
    retry_after_s: int | None = Field(
        default=None, ge=0, description="seconds until asking again makes sense"
    )


class SourceReport(_Answer):
    """How one source stands: over all that it holds, whatever the filters."""

    source: str
    vendor: str
    audiences: int | None = Field(default=None, ge=0, description="audiences read")
    sum_of_sizes: int | None = Field(default=None, ge=0, description="of all audiences of known size")
    unknown_sizes: int | None = Field(default=None, ge=0, description="audiences whose size is unknown")
    complete: bool = Field(description="whether every page was read")
    as_of: str | None = Field(default=None, description="when its last page came; RFC 3339, UTC")
    size_counts: str = Field(description="what one unit of size is at this vendor")
    error: Problem | None = None


class AudienceList(_Answer):
    """The answer of list_audiences."""

    matched: int = Field(ge=0, description="audiences that satisfy the filters, over everything read")
    returned: int = Field(ge=0, description="rows in this answer")
    sum_of_sizes: int = Field(ge=0, description="of all matched of known size; a person in two counts twice")
    unknown_sizes: int = Field(ge=0, description="matched audiences whose size is unknown")
    complete: bool = Field(description="true only if every page of every asked source was read")
    next_offset: int | None = Field(
        default=None, ge=1, description="offset of the next row, where rows were left out"
    )
    audiences: list[Audience]
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


class AudienceMatch(_Answer):
    """The answer of get_audience."""

    matched_by: Literal["ref", "id", "name"]
    complete: bool = Field(description="whether every source that was asked was read in full")
    audiences: list[Audience] = Field(description="normally one; several where they share the name")
    sources: list[SourceReport]
    notes: list[str] | None = Field(default=None, description="what the reader must know")


def to_dict(answer: BaseModel) -> dict[str, Any]:
    """An answer as JSON, nulls left out."""
    return answer.model_dump(exclude_none=True)
