"""A small cache of complete answers, valid while their readings are current."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

MOST = 16
"""Answers in the cache. The least recently used one is dropped first."""


_State = tuple[bool, datetime | None, Sequence[str]]
"""What an answer depends on of a snapshot, besides its rows."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answer, with weak references to the readings it was composed from, and what they said."""

    pagers: list[weakref.ref[Pager]]
    states: list[_State]
    answer: AudienceList


class AnswerMemo:
    """Recent complete answers, each valid while its readings are current.

    A complete answer changes only when a source is read again. One with pending sizes, errors or waits is
    incomplete and is not kept. besides: what an answer depends on other than the question and the readings,
    such as the times of the stored sizes that it compares with.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(
        self,
        query: ListQuery,
        snapshots: Mapping[SourceReader, Snapshot],
        max_chars: int,
        besides: Hashable = None,
    ) -> AudienceList | None:
        """The cached answer to `query` from these readings. Callers must not change it."""
        key = _key(query, max_chars, besides)
        kept = self._kept.get(key)
        if kept is None:
            return None
        read = snapshots.values()
        if [ref() for ref in kept.pagers] != [each.pager for each in read] or kept.states != _states(read):
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def keep(
        self,
        query: ListQuery,
        snapshots: Mapping[SourceReader, Snapshot],
        max_chars: int,
        answer: AudienceList,
        besides: Hashable = None,
    ) -> None:
        """Cache an answer if it is complete."""
        if not answer.complete:
            return
        read = snapshots.values()
        entry = _Entry([weakref.ref(each.pager) for each in read], _states(read), answer)
        self._kept[_key(query, max_chars, besides)] = entry
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _key(query: ListQuery, max_chars: int, besides: Hashable) -> Hashable:
    """The question: what it gives, and what it leaves to the defaults."""
    return query.model_dump_json(exclude_unset=True), query.notes, max_chars, besides


def _states(snapshots: Iterable[Snapshot]) -> list[_State]:
    return [(each.complete, each.as_of, each.notes) for each in snapshots]
