"""A small cache of complete answers, valid while their readings are current."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from audience_mcp.catalog.models import AudienceList
from audience_mcp.catalog.query import ListQuery
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reader import SourceReader
from audience_mcp.sources.reading import Snapshot

MOST = 16
"""Answers in the cache. The least recently used one is dropped first."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answer, with weak references to the readings it was composed from."""

    pagers: tuple[weakref.ref[Pager], ...]
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
        key = (_key(query, snapshots, max_chars), besides)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if [ref() for ref in kept.pagers] != [snapshot.pager for snapshot in snapshots.values()]:
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
        pagers = tuple(weakref.ref(snapshot.pager) for snapshot in snapshots.values())
        self._kept[(_key(query, snapshots, max_chars), besides)] = _Entry(pagers, answer)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _key(query: ListQuery, snapshots: Mapping[SourceReader, Snapshot], max_chars: int) -> Hashable:
    """Everything that an answer depends on except the rows."""
    read = tuple(
        (reader.name, snapshot.complete, snapshot.as_of, tuple(snapshot.notes))
        for reader, snapshot in snapshots.items()
    )
    return query.model_dump_json(), frozenset(query.model_fields_set), query.notes, max_chars, read
