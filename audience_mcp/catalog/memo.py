"""Answers that are still true: a team asks the same question over and over, of the same readings."""

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
"""Answers that are kept, the one used last the longest."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, and of which readings it is. Those are not held: an old one goes when it is replaced."""

    pagers: tuple[weakref.ref[Pager], ...]
    answer: AudienceList


class AnswerMemo:
    """The last complete answers, each for as long as its readings are the ones that answer.

    Only complete ones: nothing in them can change but by another reading. Sizes that are still to be counted,
    errors and waits do change, and make an answer incomplete. What depends on more than the readings, such as
    stored history, must not be kept here.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def get(
        self, query: ListQuery, snapshots: Mapping[SourceReader, Snapshot], max_chars: int
    ) -> AudienceList | None:
        """The answer to `query` from these readings, if it is kept. Not to be changed."""
        key = _key(query, snapshots, max_chars)
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
    ) -> None:
        """Keep an answer, if it is one that will still be true."""
        if not answer.complete:
            return
        pagers = tuple(weakref.ref(snapshot.pager) for snapshot in snapshots.values())
        self._kept[_key(query, snapshots, max_chars)] = _Kept(pagers, answer)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)


def _key(query: ListQuery, snapshots: Mapping[SourceReader, Snapshot], max_chars: int) -> Hashable:
    """All that an answer depends on, but for the rows themselves."""
    read = tuple(
        (reader.name, snapshot.complete, snapshot.as_of, tuple(snapshot.notes))
        for reader, snapshot in snapshots.items()
    )
    return query.model_dump_json(), frozenset(query.model_fields_set), tuple(query.nulls), max_chars, read
