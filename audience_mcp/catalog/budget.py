"""Cuts answers to the number of characters that a client takes. Totals never depend on the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, Group, SourceReport, to_dict
from audience_mcp.catalog.reports import NOTE_CHARS
from audience_mcp.core.text import clean, to_json

_Item = TypeVar("_Item", bound="BaseModel | str")
_Shown = Sequence[Audience] | Sequence[Group]

MESSAGES = {
    "left_out": "{count:,} more match and are left out here: ask with offset={offset}, or narrow with "
    "search, sources, type, status, min_size or dates.",
    "more_groups": "{count:,} more groups are left out here: ask with offset={offset}.",
    "same_name": "{count:,} more match and do not fit: use list_audiences with search.",
    "no_details": "The details of this audience do not fit and are left out.",
    "hidden": "{count:,} more {what} do not fit. Ask for fewer sources to see them.",
}


def fit_list(
    answer: AudienceList,
    rows: Sequence[Audience],
    *,
    following: int,
    offset: int,
    chosen: bool,
    max_chars: int,
) -> AudienceList:
    """`answer` with as many of `rows` as fit, and a note about those that do not.

    following: how many audiences matched from `offset` on. chosen: whether the caller set `limit`; if so,
    rows beyond it need no note. max_chars: characters of the answer as compact JSON.
    """
    answer.audiences = []
    budget = _Budget(
        answer, rows, max_chars, _left_out("left_out", following, offset + following), offset + following
    )
    answer.audiences = budget.show(rows)
    return _note_rest(answer, "left_out", len(answer.audiences), len(rows), following, offset, chosen)


def fit_groups(
    answer: AudienceList,
    groups: Sequence[Group],
    *,
    following: int,
    offset: int,
    chosen: bool,
    max_chars: int,
) -> AudienceList:
    """Like `fit_list`, with groups in place of rows."""
    answer.groups = []
    budget = _Budget(
        answer, groups, max_chars, _left_out("more_groups", following, offset + following), offset + following
    )
    answer.groups = _fit(groups, budget.room)
    return _note_rest(answer, "more_groups", len(answer.groups), len(groups), following, offset, chosen)


def fit_match(answer: AudienceMatch, rows: Sequence[Audience], max_chars: int) -> AudienceMatch:
    """`answer` with as many of `rows` as fit; a note counts the rest."""
    budget = _Budget(answer, rows, max_chars, MESSAGES["same_name"].format(count=len(rows)), 0)
    answer.audiences = budget.show(rows)
    if hidden := len(rows) - len(answer.audiences):
        answer.notes = [*(answer.notes or []), MESSAGES["same_name"].format(count=hidden)]
    return answer


def _note_rest(
    answer: AudienceList, note: str, shown: int, given: int, following: int, offset: int, chosen: bool
) -> AudienceList:
    answer.returned = shown
    if 0 < shown < following:
        answer.next_offset = offset + shown
    if shown < given or (shown < following and not chosen):
        answer.notes = [*(answer.notes or []), _left_out(note, following - shown, offset + shown)]
    return answer


def _left_out(note: str, count: int, offset: int) -> str:
    return MESSAGES[note].format(count=count, offset=offset)


class _Budget:
    """Cuts an answer's reports and notes to their share; `room` is what remains for rows, in characters.

    spare_note: the longest note that may still be added, for which room is kept. most: the largest number
    that the answer may still hold, for the width of its digits.
    """

    def __init__(
        self, answer: AudienceList | AudienceMatch, rows: _Shown, max_chars: int, spare_note: str, most: int
    ) -> None:
        self._answer = answer
        spare = 5 * len(str(most)) + 20
        self._outside = max_chars - spare - len(to_json(spare_note)) - len('"notes":[],')
        reports, notes = answer.sources, [clean(note, NOTE_CHARS) for note in answer.notes or []]
        answer.sources, answer.notes = [], None
        share = self._share(rows)
        kept = self._cut_notes(notes, share // 3)
        answer.sources = self._cut_reports(reports, share - sum(len(to_json(n)) + 1 for n in kept), kept)
        answer.notes = kept or None
        self.room = self._outside - _size(answer)

    def _share(self, rows: _Shown) -> int:
        """Characters for reports and notes: half of the room, or less if the first row is long."""
        room = self._outside - _size(self._answer)
        first = _size(rows[0]) + 1 if rows else 0
        reserved = 2 * len(MESSAGES["hidden"].format(count=10**6, what="source reports"))
        return max(0, min(room // 2, room - first) - reserved)

    def _cut_notes(self, notes: Sequence[str], room: int) -> list[str]:
        kept = _fit(notes, room)
        if len(kept) < len(notes):
            kept.append(MESSAGES["hidden"].format(count=len(notes) - len(kept), what="notes"))
        return kept

    def _cut_reports(self, reports: list[SourceReport], room: int, notes: list[str]) -> list[SourceReport]:
        """The reports that fit, those with errors first. A note counts the rest."""
        kept = _fit(sorted(reports, key=lambda report: report.error is None), room)
        if len(kept) == len(reports):
            return reports
        notes.append(MESSAGES["hidden"].format(count=len(reports) - len(kept), what="source reports"))
        return kept

    def show(self, rows: Sequence[Audience]) -> list[Audience]:
        """The rows that fit. The first one loses its details rather than being left out."""
        shown = _fit(rows, self.room)
        if rows and not shown:
            room = self.room - len(to_json(MESSAGES["no_details"])) - 1
            shown = _fit([rows[0].model_copy(update={"details": None})], room)
            self._answer.notes = [*(self._answer.notes or []), MESSAGES["no_details"]]
        return shown


def _fit(items: Sequence[_Item], room: int) -> list[_Item]:
    """As many of the first items as fit into `room` characters of JSON."""
    kept: list[_Item] = []
    for item in items:
        room -= _size(item) + 1
        if room < 0:
            break
        kept.append(item)
    return kept


def _size(item: BaseModel | str) -> int:
    return len(to_json(item if isinstance(item, str) else to_dict(item)))
