"""Answers cut to the size that a client takes, without a total ever depending on the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, to_dict
from audience_mcp.catalog.reports import NOTE_CHARS
from audience_mcp.core.text import clean, to_json

_Item = TypeVar("_Item", bound="BaseModel | str")

MORE = "Ask for fewer sources to see them."
NO_DETAILS = "The details of this audience do not fit and are left out."
NARROW = "narrow with search, sources, type, status, min_size or created_since."


def fit_list(
    answer: AudienceList,
    rows: Sequence[Audience],
    *,
    following: int,
    offset: int,
    chosen: bool,
    max_chars: int,
) -> AudienceList:
    """`answer` with as many of `rows` as fit, and what is left out told.

    following: how many matched from `offset` on. chosen: whether the caller said how many rows it wants,
    so that getting no more of them is no surprise.
    """
    # The longest note about rows left out, and the widest numbers, are counted before any row is.
    most = offset + following
    left = _prepare(answer, rows, max_chars, _left_out(following, most), 5 * len(str(most)) + 20)
    shown = answer.returned = _show(answer, rows, left)
    if 0 < shown < following:
        answer.next_offset = offset + shown
    if shown < len(rows) or (shown < following and not chosen):
        answer.notes = [*(answer.notes or []), _left_out(following - shown, offset + shown)]
    return answer


def fit_match(answer: AudienceMatch, rows: Sequence[Audience], max_chars: int) -> AudienceMatch:
    """`answer` with as many of `rows` as fit, the rest counted in a note."""
    left = _prepare(answer, rows, max_chars, _more_of_the_name(len(rows)), 20)
    if hidden := len(rows) - _show(answer, rows, left):
        answer.notes = [*(answer.notes or []), _more_of_the_name(hidden)]
    return answer


def _show(answer: AudienceList | AudienceMatch, rows: Sequence[Audience], room: int) -> int:
    """Put the rows that fit into `answer`, the first one in any case; how many they are."""
    answer.audiences = _fitting(rows, room)
    if rows and not answer.audiences:
        room -= len(to_json(NO_DETAILS)) + 1
        answer.audiences = _fitting([rows[0].model_copy(update={"details": None})], room)
        answer.notes = [*(answer.notes or []), NO_DETAILS]
    return len(answer.audiences)


def _left_out(count: int, offset: int) -> str:
    return f"{count:,} more match and are left out here: ask with offset={offset}, or {NARROW}"


def _more_of_the_name(count: int) -> str:
    return f"{count:,} more share this name and do not fit: use list_audiences with search."


def _prepare(
    answer: AudienceList | AudienceMatch,
    rows: Sequence[Audience],
    max_chars: int,
    spare_note: str,
    spare: int,
) -> int:
    """Cut reports and notes to half the budget, or less where the first row is long; the room for rows."""
    reports, notes = answer.sources, [clean(note, NOTE_CHARS) for note in answer.notes or []]
    answer.sources, answer.notes = [], None
    room = max_chars - spare - len(to_json(spare_note)) - _size(answer) - len('"notes":[],')
    told_room = max(
        0,
        min(room // 2, room - (_size(rows[0]) + 1 if rows else 0))
        - 2 * len(_hidden(10**6, "source reports", MORE)),
    )
    kept = _fitting(notes, told_room // 3)
    if len(kept) < len(notes):
        kept.append(_hidden(len(notes) - len(kept), "notes", MORE))
    by_urgency = sorted(reports, key=lambda r: r.error is None)
    answer.sources = _fitting(by_urgency, told_room - sum(len(to_json(note)) + 1 for note in kept))
    if len(answer.sources) == len(reports):
        answer.sources = reports
    else:
        kept.append(_hidden(len(reports) - len(answer.sources), "source reports", MORE))
    answer.notes = kept or None
    return max_chars - spare - len(to_json(spare_note)) - len('"notes":[],') - _size(answer)


def _hidden(count: int, what: str, then: str) -> str:
    return f"{count:,} more {what} do not fit. {then}"


def _fitting(items: Sequence[_Item], room: int) -> list[_Item]:
    """The items from the first on whose JSON fits into `room` characters."""
    kept: list[_Item] = []
    for item in items:
        room -= _size(item) + 1
        if room < 0:
            break
        kept.append(item)
    return kept


def _size(item: BaseModel | str) -> int:
    return len(to_json(item if isinstance(item, str) else to_dict(item)))
