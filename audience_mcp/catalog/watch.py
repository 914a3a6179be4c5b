"""What needs attention since a moment: audiences that dropped, grew or are gone, and issues of now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

from audience_mcp.catalog.changes import ChangeBound, parse_change
from audience_mcp.catalog.compare import describe_lack, format_moment
from audience_mcp.catalog.compose import is_about_sums
from audience_mcp.catalog.models import Audience, AudienceList, SourceReport, to_dict
from audience_mcp.catalog.reports import name_sources_once
from audience_mcp.core.audience import ISSUE_CODES, IssueCode
from audience_mcp.core.dates import parse_datetime
from audience_mcp.core.text import clean
from audience_mcp.sources.reader import SourceReader
from audience_mcp.store.stored import Baseline, NoBaseline, Past

ConditionName = Literal["gone", "drop", "grow", "issue"]
CONDITIONS: Sequence[ConditionName] = get_args(ConditionName)
"""All conditions, in the order in which audiences that meet them are listed."""
MESSAGES = {
    "unstored": "{source}: no reading of ours is stored before this one, so which audiences are gone is "
    "unknown.",
    "unreadable": "{source}: its stored history cannot be read just now, so which audiences are gone is "
    "unknown.",
}
"""What is said where a vendor's own record is compared with in place of a reading of ours."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is looked for. drop, grow: by how much at least, above 0. issues: any of these codes."""

    drop: ChangeBound | None = None
    grow: ChangeBound | None = None
    gone: bool = False
    issues: frozenset[IssueCode] = frozenset()

    @property
    def judge_changes(self) -> bool:
        """Whether any of them needs to know how big an audience was."""
        return self.drop is not None or self.grow is not None

    @property
    def compare(self) -> bool:
        """Whether any of them needs to know how it was."""
        return self.gone or self.judge_changes

    def met_by(self, audience: Audience) -> list[ConditionName]:
        """The conditions that an audience meets which is there, with its change and its issues."""
        met: list[ConditionName] = []
        change, then = audience.change, audience.size_then
        side = (-self.drop).compare(change, then) if self.drop is not None else None
        if side is not None and side <= 0:
            met.append("drop")
        side = self.grow.compare(change, then) if self.grow is not None else None
        if side is not None and side >= 0:
            met.append("grow")
        if not self.issues.isdisjoint(issue.partition(":")[0] for issue in audience.issues or ()):
            met.append("issue")
        return met


ALL = Conditions(parse_change("10%"), parse_change("50%"), gone=True, issues=frozenset(ISSUE_CODES))
"""What is looked for where nothing else was asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """An audience, and the conditions that it meets."""

    audience: Audience
    conditions: Sequence[ConditionName]


@dataclass(slots=True)
class Watched:
    """What was found, the most urgent first. answer: what it was found in.

    moments: of each source that is compared with a reading of ours, when that was; late: notes on those whose
    reading was after `since`; far: those whose reading was further before `since` than that is before now.
    unjudged: notes on sources whose past is not known, since nothing is stored or it cannot be read
    (unreadable: whether that is so of any).
    """

    since: datetime
    answer: AudienceList
    conditions: Conditions
    found: list[Found] = field(default_factory=list)
    moments: dict[str, datetime] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    far: set[str] = field(default_factory=set)
    unjudged: list[str] = field(default_factory=list)
    unreadable: bool = False

    @property
    def complete(self) -> bool:
        """Whether every source could be judged in full."""
        compared = self.answer.compared if self.conditions.judge_changes else None
        waits = compared is not None and compared.pending is not None
        return self.answer.complete and not self.unreadable and not waits

    @property
    def unknown_changes(self) -> int:
        """Of how many audiences it is not known whether they dropped or grew, where that was asked."""
        compared = self.answer.compared if self.conditions.judge_changes else None
        return compared.unknown if compared is not None else 0

    @property
    def notes(self) -> list[str]:
        """What the reader must know: what could not be judged, and what else the answer says of its rows."""
        return [*self.unjudged, *self.late, *self.other_notes]

    @property
    def other_notes(self) -> list[str]:
        """The notes of the answer that say more than `unjudged` and `late`, but for those about sums."""
        said = {_text_of(note) for note in [*self.unjudged, *self.late]}
        return [n for n in self.answer.notes or () if _text_of(n) not in said and not is_about_sums(n)]

    def as_dict(self) -> dict[str, Any]:
        """As JSON objects, without nulls."""
        return {
            "since": format_moment(self.since),
            "complete": self.complete,
            "matched": len(self.found),
            "audiences": [
                {**to_dict(each.audience), "conditions": list(each.conditions)} for each in self.found
            ],
            "sources": [to_dict(report) for report in self.answer.sources],
            "notes": self.notes,
        }


async def judge(
    conditions: Conditions,
    since: datetime,
    answer: AudienceList,
    readers: Mapping[str, SourceReader],
) -> Watched:
    """Judge an answer that has all audiences of its sources in full, compared with `since`."""
    watched = Watched(since, answer, conditions)
    by_source: dict[str | None, list[Audience]] = {}
    for audience in answer.audiences:
        by_source.setdefault(audience.source, []).append(audience)
        if met := conditions.met_by(audience):
            watched.found.append(Found(audience, met))
    for report in answer.sources if conditions.compare else ():
        as_of = parse_datetime(report.as_of)
        if as_of is not None:
            reader, there = readers[report.source], by_source.get(report.source, ())
            baseline = await reader.history.baseline(since, as_of) if reader.history is not None else None
            _take(watched, report, as_of, reader, baseline, there)
    names = {report.source for report in answer.sources}
    watched.unjudged = name_sources_once(watched.unjudged, names)
    watched.late = name_sources_once(watched.late, names)
    watched.found.sort(key=_order)
    return watched


def _take(
    watched: Watched,
    report: SourceReport,
    as_of: datetime,
    reader: SourceReader,
    baseline: Baseline | NoBaseline | None,
    there: Sequence[Audience],
) -> None:
    """Add the audiences of a source that are gone, and what a reader must know of its baseline.

    as_of: when it was read now. there: its audiences of now.
    """
    gone = watched.conditions.gone
    if isinstance(baseline, NoBaseline) and baseline.first is not None and baseline.first >= as_of:
        baseline = replace(baseline, first=None)  # the reading of now, stored meanwhile
    note = describe_lack(report.source, watched.since, baseline)
    if isinstance(baseline, Baseline):
        # Where the vendor's own record has all that changes are judged by, the reading is used for none.
        origins = {audience.then_from for audience in there if audience.size_then is not None}
        if gone or origins != {"vendor"}:
            watched.moments[report.source] = baseline.as_of
            watched.late += [note] if note is not None else []
            if watched.since - baseline.as_of > as_of - watched.since:
                watched.far.add(report.source)
        if gone and report.complete:
            present = {audience.id for audience in there}
            missing = {id: past for id, past in baseline.audiences.items() if id not in present}
            watched.found += _describe_gone(reader, missing, baseline.as_of)
        return
    watched.unreadable |= baseline is None
    if any(audience.then_from == "vendor" or audience.new for audience in there):
        text = MESSAGES["unreadable" if baseline is None else "unstored"]
        note = text.format(source=report.source) if gone else None
    watched.unjudged += [note] if note is not None else []


def _text_of(note: str) -> str:
    """A note without the sources that it is about."""
    return note.partition(": ")[2] or note


def _describe_gone(reader: SourceReader, gone: Mapping[str, Past], at: datetime) -> Iterable[Found]:
    vendor = reader.source.vendor
    for id, past in gone.items():
        counted = format_moment(past.counts[0].as_of) if past.counts else None
        audience = Audience(
            ref=f"{reader.name}:{id}",
            name=clean(past.name) or clean(id),
            kind=past.kind or vendor.kind,
            source=reader.name,
            vendor=vendor.name,
            id=id,
            size_then=past.last_size,
            then_as_of=counted if counted != format_moment(at) else None,
        )
        yield Found(audience, ["gone"])


def _order(each: Found) -> tuple[int, int, str]:
    audience = each.audience
    weight = audience.size_then if each.conditions[0] == "gone" else abs(audience.change or 0)
    return CONDITIONS.index(each.conditions[0]), -(weight or 0), audience.ref
