"""The questions, in the order in which they are asked, with the one call and the fact for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.questions.records import (
    VENDORS,
    Record,
    at,
    biggest_first,
    date,
    plain,
    the_one,
    total,
    truth,
)

TODAY = "2026-11-20"
"""The day on which all this is asked: "this month" is November 2026."""

Answer = Any
"""A tool's structured result, or the text of its error."""
Earlier = Mapping[str, Answer]
HowPeersDo = Literal["list", "count", "found", "one", "known", "never", "none"]


@dataclass(frozen=True)
class Question:
    """A question, the call that answers it, and what must be in the answer.

    arguments: of the call; where they come from earlier answers, a function of these. fact: what is true,
    from all records; for an error, the words that it must contain. told: the same, read from the answer.

    vendors, peers: what a tool per vendor document takes instead. `list`: every page of these vendors.
    `count`: the same, but a count is enough, which Batch gives on its first page. `found`: pages until
    the id is there. `one`: one filtered call. `known`: nothing, since it follows from what the question
    before had to read. `never`: every page, and yet it is not among them. `none`: the question does not
    arise there.
    """

    key: str
    words: str
    tool: Literal["list_audiences", "get_audience"]
    arguments: Mapping[str, Any] | Callable[[Earlier], Mapping[str, Any]]
    fact: Callable[[list[Record]], Any]
    told: Callable[[Answer], Any] = field(default=lambda answer: answer)
    is_error: bool = False
    vendors: tuple[str, ...] = VENDORS
    peers: HowPeersDo = "list"
    fact_for_peers: Callable[[list[Record]], Any] | None = None
    """Less than the fact, where an answer without the rest is right enough."""

    def call(self, earlier: Earlier) -> dict[str, Any]:
        """The arguments, given what was answered before."""
        return dict(self.arguments(earlier) if callable(self.arguments) else self.arguments)


def refs_and_sizes(answer: Answer) -> list[tuple[str, int | None]]:
    return [(row["ref"], row.get("size")) for row in answer["audiences"]]


def as_pairs(records: Iterable[Record]) -> list[tuple[str, int | None]]:
    return [(r.ref, r.size) for r in biggest_first(records)]


def one_row(*keys: str) -> Callable[[Answer], Any]:
    """What these keys of the only row say; a key may be `details.error_message`."""

    def told(answer: Answer) -> Any:
        (row,) = answer["audiences"]
        return [_deep(row, key) for key in keys]

    return told


def _deep(row: Any, key: str) -> Any:
    for part in key.split("."):
        row = row.get(part, {})
    return row


def by_source(key: str) -> Callable[[Answer], Any]:
    return lambda answer: {report["source"]: report[key] for report in answer["sources"]}


def by_vendor(of: Callable[[list[Record]], Any]) -> Callable[[list[Record]], Any]:
    return lambda records: {vendor: of(at(records, vendor)) for vendor in VENDORS}


def totals(answer: Answer) -> tuple[int, int, int]:
    return answer["matched"], answer["sum_of_sizes"], answer["unknown_sizes"]


def count_and_sum_of(keep: Callable[[Record], bool]) -> Callable[[list[Record]], Any]:
    return lambda records: totals_of(keep)(records)[:2]


def totals_of(keep: Callable[[Record], bool]) -> Callable[[list[Record]], Any]:
    def fact(records: list[Record]) -> Any:
        kept = [r for r in records if keep(r)]
        return len(kept), total(kept), sum(r.size is None for r in kept)

    return fact


def those(keep: Callable[[Record], bool]) -> Callable[[list[Record]], Any]:
    return lambda records: as_pairs(r for r in records if keep(r))


def ref_of(vendor: str, name: str) -> str:
    """The ref of the vendor's only audience of that name, as a dashboard would show its id."""
    (found,) = [r.ref for r in at(truth(), vendor) if r.name == name]
    return found


def pasted(vendor: str, name: str) -> str:
    return ref_of(vendor, name).partition(":")[2]


def size_of(ref: str) -> Callable[[list[Record]], Any]:
    return lambda records: [ref, the_one(records, ref).size]


def newest(records: list[Record]) -> Record:
    return min(records, key=lambda r: (-(r.created.timestamp() if r.created else 0), r.ref))


def last_changed(records: list[Record]) -> Record:
    return min(records, key=lambda r: (-(r.updated.timestamp() if r.updated else 0), r.ref))


def unchanged_since(day: str) -> Callable[[Record], bool]:
    return lambda r: r.vendor == "batch" and r.updated is not None and r.updated < date(day)


MONTH = f"{TODAY[:8]}01"
OVERDUE = ref_of("smallest", "Überfällige Rechnungen")
WEBINAR = ref_of("whop", "Webinar leads (partner file)")
CALLED_VIP = ref_of("smallest", "VIP")
UNLISTED = "68f0a1b2c3d4e5f601234567"
"""Of Smallest.ai: in the organisation, and not in the list of this user."""

SIZE_AND_NOTE = one_row("ref", "size")


def groups_of(answer: Answer) -> dict[str, tuple[int, int]]:
    return {group["key"]: (group["matched"], group["sum_of_sizes"]) for group in answer["groups"]}


def grouped_by(key: Callable[[Record], str]) -> Callable[[list[Record]], Any]:
    def fact(records: list[Record]) -> Any:
        keys = {key(r) for r in records}
        return {
            k: (sum(key(r) == k for r in records), total(r for r in records if key(r) == k)) for k in keys
        }

    return fact


def names_borne_twice(records: list[Record]) -> dict[str, list[str]]:
    refs: dict[str, list[str]] = {}
    for record in records:
        refs.setdefault(plain(record.name), []).append(record.ref)
    return {name: sorted(found) for name, found in refs.items() if len(found) > 1}


def created_in(first: str, after: str) -> Callable[[Record], bool]:
    return lambda r: r.created is not None and date(first) <= r.created < date(after)


def reason(facts: Mapping[str, Any]) -> str:
    """Why something failed, in its vendor's words."""
    if "error_message" in facts:
        return str(facts["error_message"])
    return str(facts["operation_status"]["description"] if "operation_status" in facts else facts["status"])


QUESTIONS = (
    # --- how big, how many -----------------------------------------------------------------------------
    Question(
        "biggest",
        "Which are my five biggest audiences?",
        "list_audiences",
        {"limit": 5},
        lambda records: as_pairs(records)[:5],
        refs_and_sizes,
    ),
    Question(
        "a_ref_from_an_earlier_answer",
        "Tell me more about the first of these.",
        "get_audience",
        lambda earlier: {"audience": earlier["biggest"]["audiences"][0]["ref"]},
        lambda records: [
            biggest_first(records)[0].ref,
            f"{biggest_first(records)[0].updated:%Y-%m-%dT%H:%M:%SZ}",
        ],
        one_row("ref", "updated_at"),
        peers="known",
    ),
    Question(
        "smallest",
        "Which is the smallest audience that has anyone in it?",
        "list_audiences",
        {"sort": "smallest", "min_size": 1, "limit": 1},
        lambda records: sorted((r.size, r.ref) for r in records if r.size)[0],
        lambda answer: (answer["audiences"][0]["size"], answer["audiences"][0]["ref"]),
    ),
    Question(
        "total_overall",
        "How many people are in all my audiences together?",
        "list_audiences",
        {"limit": 0},
        totals_of(lambda r: True),
        totals,
        fact_for_peers=count_and_sum_of(lambda r: True),
    ),
    Question(
        "total_per_vendor",
        "And how many at each vendor?",
        "list_audiences",
        {"limit": 0},
        by_vendor(total),
        by_source("sum_of_sizes"),
        peers="known",
    ),
    Question(
        "total_at_whop",
        "How many people are in Whop audiences, all told?",
        "list_audiences",
        {"sources": ["whop"], "limit": 0},
        totals_of(lambda r: r.vendor == "whop"),
        totals,
        vendors=("whop",),
        fact_for_peers=count_and_sum_of(lambda r: r.vendor == "whop"),
    ),
    Question(
        "how_many_at_batch",
        "How many lists do we have at Batch?",
        "list_audiences",
        {"sources": ["batch"], "limit": 0},
        lambda records: len(at(records, "batch")),
        lambda answer: answer["matched"],
        vendors=("batch",),
        peers="count",
    ),
    Question(
        "what_can_you_see",
        "What can you see?",
        "list_audiences",
        {"limit": 0},
        by_vendor(len),
        by_source("audiences"),
        peers="count",
    ),
    Question(
        "is_that_all",
        "Whop's dashboard shows me 20 audiences. Is that all of them?",
        "list_audiences",
        {"sources": ["whop"], "limit": 0},
        lambda records: (len(at(records, "whop")), True),
        lambda answer: (answer["matched"], answer["complete"]),
        vendors=("whop",),
    ),
    Question(
        "the_first_200",
        "List my 200 biggest audiences.",
        "list_audiences",
        {},
        lambda records: (len(records), [ref for ref, _ in as_pairs(records)[:200]]),
        lambda answer: (answer["matched"], [row["ref"] for row in answer["audiences"]]),
    ),
    Question(
        "second_page",
        "Which comes next after these 200?",
        "list_audiences",
        lambda earlier: {"offset": earlier["the_first_200"]["next_offset"], "limit": 1},
        lambda records: [as_pairs(records)[200]],
        refs_and_sizes,
        peers="known",
    ),
    # --- which of them ---------------------------------------------------------------------------------
    Question(
        "empty",
        "Which audiences are empty?",
        "list_audiences",
        {"max_size": 0},
        those(lambda r: r.size == 0),
        refs_and_sizes,
    ),
    Question(
        "failed_and_why",
        "Which audiences failed, and why?",
        "list_audiences",
        {"status": ["failed"], "detail": "full"},
        lambda records: {r.ref: reason(r.raw) for r in records if r.status == "failed"},
        lambda answer: {row["ref"]: reason(row["details"]) for row in answer["audiences"]},
        vendors=("whop", "meta"),
    ),
    Question(
        "still_processing",
        "Which are still being processed?",
        "list_audiences",
        {"status": ["processing"]},
        those(lambda r: r.status == "processing"),
        refs_and_sizes,
        vendors=("batch", "whop"),
        fact_for_peers=lambda records: {r.ref for r in records if r.status == "processing"},
    ),
    Question(
        "partial",
        "Which uploads were only partly usable?",
        "list_audiences",
        {"status": ["partial"]},
        those(lambda r: r.status == "partial"),
        refs_and_sizes,
        vendors=("whop",),
    ),
    Question(
        "bigger_than",
        "How many audiences have more than 100,000?",
        "list_audiences",
        {"min_size": 100_001, "limit": 0},
        lambda records: sum((r.size or 0) > 100_000 for r in records),
        lambda answer: answer["matched"],
    ),
    Question(
        "between",
        "Which audiences are between 20,000 and 30,000?",
        "list_audiences",
        {"min_size": 20_000, "max_size": 30_000},
        those(lambda r: (r.size or 0) >= 20_000 and (r.size_max or r.size or 0) <= 30_000),
        refs_and_sizes,
    ),
    Question(
        "numbers_as_text",
        "The biggest three at Batch over a million?",
        "list_audiences",
        {"sources": '["batch"]', "min_size": "1,000,000", "limit": "3"},
        lambda records: as_pairs(r for r in at(records, "batch") if (r.size or 0) >= 1_000_000)[:3],
        refs_and_sizes,
        vendors=("batch",),
    ),
    Question(
        "dynamic",
        "How many of my audiences are dynamic, and how many people do they reach?",
        "list_audiences",
        {"type": ["dynamic"], "limit": 0},
        totals_of(lambda r: r.type == "dynamic"),
        totals,
        vendors=("commbox", "whop"),
        fact_for_peers=count_and_sum_of(lambda r: r.type == "dynamic"),
    ),
    Question(
        "lookalikes",
        "How big are my lookalike audiences?",
        "list_audiences",
        {"type": ["lookalike"], "limit": 3},
        totals_of(lambda r: r.type == "lookalike"),
        lambda answer: (
            totals(answer)
            if all("size" in row or "size_note" in row for row in answer["audiences"])
            else "no reason"
        ),
        vendors=("whop", "meta"),
    ),
    Question(
        "unknown_sizes_at_commbox",
        "Which CommBox audiences have no size, and why?",
        "list_audiences",
        {"sources": ["commbox"], "type": ["dynamic"]},
        lambda records: sorted((r.ref, "dynamic") for r in at(records, "commbox") if r.size is None),
        lambda answer: sorted((row["ref"], row["size_note"].split(":")[0]) for row in answer["audiences"]),
        vendors=("commbox",),
    ),
    Question(
        "unknown_sizes_at_whop",
        "Whop's total left some out. Which have no size, and why?",
        "list_audiences",
        lambda earlier: {
            "sources": ["whop"],
            "offset": earlier["total_at_whop"]["matched"] - earlier["total_at_whop"]["unknown_sizes"],
        },
        lambda records: sorted(
            (
                r.ref,
                "lookalike"
                if r.type == "lookalike"
                else "engagement"
                if r.type == "dynamic"
                else "not counted yet",
            )
            for r in at(records, "whop")
            if r.size is None
        ),
        lambda answer: sorted((row["ref"], row["size_note"].split(":")[0]) for row in answer["audiences"]),
        vendors=("whop",),
        peers="known",
    ),
    # --- when ------------------------------------------------------------------------------------------
    Question(
        "created_this_month",
        "Which audiences were created this month?",
        "list_audiences",
        {"created_since": MONTH, "sort": "newest"},
        lambda records: sorted(r.ref for r in records if r.created and r.created >= date(MONTH)),
        lambda answer: sorted(row["ref"] for row in answer["audiences"]),
    ),
    Question(
        "newest",
        "Which is the newest, and when was it made?",
        "list_audiences",
        {"sort": "newest", "limit": 1, "detail": "full"},
        lambda records: [newest(records).ref, f"{newest(records).created:%Y-%m-%dT%H:%M:%SZ}"],
        one_row("ref", "created_at"),
    ),
    Question(
        "updated_last",
        "Which audience changed last, and when?",
        "list_audiences",
        {"sort": "updated", "limit": 1, "detail": "full"},
        lambda records: [last_changed(records).ref, f"{last_changed(records).updated:%Y-%m-%dT%H:%M:%SZ}"],
        one_row("ref", "updated_at"),
        vendors=("batch", "smallest", "whop"),
    ),
    Question(
        "not_updated_since",
        "How many lists at Batch have not been updated since June 2025?",
        "list_audiences",
        {"sources": ["batch"], "updated_before": "2025-06-01", "limit": 0},
        lambda records: sum(unchanged_since("2025-06-01")(r) for r in records),
        lambda answer: answer["matched"],
        vendors=("batch",),
    ),
    Question(
        "which_not_updated_since",
        "Which lists are these, not updated since then?",
        "list_audiences",
        {"sources": ["batch"], "updated_before": "2025-06-01"},
        lambda records: sorted(r.ref for r in records if unchanged_since("2025-06-01")(r)),
        lambda answer: sorted(row["ref"] for row in answer["audiences"]),
        vendors=("batch",),
        peers="known",
    ),
    # --- by name ---------------------------------------------------------------------------------------
    Question(
        "vip_everywhere",
        "How big is VIP, everywhere?",
        "list_audiences",
        {"search": "VIP"},
        those(lambda r: r.says("vip")),
        refs_and_sizes,
    ),
    Question(
        "one_name_many_audiences",
        "How big is Black Friday 2025?",
        "list_audiences",
        {"search": "black friday 2025"},
        those(lambda r: r.says("black", "friday", "2025")),
        refs_and_sizes,
    ),
    Question(
        "accents_in_a_search",
        "How many subscribers has abonnes a la newsletter?",
        "list_audiences",
        {"search": "abonnes a la newsletter"},
        those(lambda r: r.says("abonnes", "a", "la", "newsletter")),
        refs_and_sizes,
    ),
    Question(
        "accents_in_a_name",
        "How big is grosskaufer 2024?",
        "get_audience",
        {"audience": "grosskaufer 2024"},
        size_of("batch:grosskaeufer-24"),
        SIZE_AND_NOTE,
    ),
    Question(
        "another_script",
        "Сколько человек в аудиториях «Черная пятница»?",
        "list_audiences",
        {"search": "Черная пятница"},
        those(lambda r: r.says("черная", "пятница")),
        refs_and_sizes,
    ),
    Question(
        "by_description",
        "Who gets calls about policies that lapse this month?",
        "list_audiences",
        {"search": "lapse this month"},
        those(lambda r: r.says("lapse", "this", "month")),
        refs_and_sizes,
    ),
    Question(
        "by_words_of_a_name",
        "How big is the spring sale audience?",
        "list_audiences",
        {"search": "spring sale"},
        lambda records: [("commbox:31127", the_one(records, "commbox:31127").size)],
        lambda answer: [(row["ref"], row["size"]) for row in answer["audiences"]],
    ),
    Question(
        "in_alphabetical_order",
        "Give me the call lists of our voice agents from A to Z.",
        "list_audiences",
        {"sources": ["smallest"], "sort": "name"},
        lambda records: sorted(r.ref for r in at(records, "smallest")),
        lambda answer: sorted(row["ref"] for row in answer["audiences"]),
        vendors=("smallest",),
    ),
    Question(
        "in_use_by_a_campaign",
        "Is the VIP call list used by a campaign?",
        "get_audience",
        {"audience": "VIP", "source": "smallest"},
        lambda records: [
            CALLED_VIP,
            [{k: c[k] for k in ("name", "status")} for c in the_one(records, CALLED_VIP).raw["campaigns"]],
        ],
        one_row("ref", "details.campaigns"),
        vendors=("smallest",),
    ),
    Question(
        "matched_and_why_not_all",
        "How many of the webinar leads did the ad platform match, and why not all?",
        "get_audience",
        {"audience": "webinar leads (partner file)"},
        lambda records: [the_one(records, WEBINAR).raw[key] for key in ("matched_rows", "error_message")],
        one_row("details.matched_rows", "details.error_message"),
        vendors=("whop",),
    ),
    # --- an id pasted from a dashboard -----------------------------------------------------------------
    Question(
        "an_id_of_commbox",
        "How big is 31152 (from CommBox)?",
        "get_audience",
        {"audience": "31152"},
        size_of("commbox:31152"),
        SIZE_AND_NOTE,
        vendors=("commbox",),
    ),
    Question(
        "an_id_of_batch",
        "How big is bf25_web (from Batch)?",
        "get_audience",
        {"audience": "bf25_web"},
        size_of("batch:bf25_web"),
        SIZE_AND_NOTE,
        vendors=("batch",),
        peers="found",
    ),
    Question(
        "an_id_of_smallest",
        f"How big is {pasted('smallest', 'Überfällige Rechnungen')} (from Smallest.ai)?",
        "get_audience",
        {"audience": OVERDUE.partition(":")[2]},
        size_of(OVERDUE),
        SIZE_AND_NOTE,
        vendors=("smallest",),
    ),
    Question(
        "an_id_of_whop",
        f"How big is {WEBINAR.partition(':')[2]} (from Whop)?",
        "get_audience",
        {"audience": WEBINAR.partition(":")[2]},
        size_of(WEBINAR),
        SIZE_AND_NOTE,
        vendors=("whop",),
        peers="one",
    ),
    Question(
        "an_id_that_no_list_has",
        f"And {UNLISTED}, which a colleague made at Smallest.ai?",
        "get_audience",
        {"audience": UNLISTED},
        lambda records: [f"smallest:{UNLISTED}", "no size, and it says why"],
        lambda answer: [
            answer["audiences"][0]["ref"],
            "no size, and it says why"
            if "size" not in answer["audiences"][0] and "list" in answer["audiences"][0]["size_note"]
            else "wrong",
        ],
        vendors=("smallest",),
        peers="never",
    ),
    # --- calls that cannot be answered as they are ------------------------------------------------------
    Question(
        "a_misspelt_name",
        "How big is Newsleter?",
        "get_audience",
        {"audience": "Newsleter"},
        lambda records: sorted(r.ref for r in records if r.name == "Newsletter"),
        is_error=True,
    ),
    # --- windows, exclusions, alternatives, groups ------------------------------------------------------
    Question(
        "created_in_2025",
        "How many audiences were created in 2025?",
        "list_audiences",
        {"created_since": "2025-01-01", "created_before": "2026-01-01", "limit": 0},
        count_and_sum_of(created_in("2025-01-01", "2026-01-01")),
        lambda answer: totals(answer)[:2],
        peers="none",
    ),
    Question(
        "oldest",
        "Which is the oldest audience at Whop?",
        "list_audiences",
        {"sources": ["whop"], "sort": "oldest", "limit": 1},
        lambda records: (
            min((r for r in at(records, "whop") if r.created), key=lambda r: (r.created, r.ref)).ref
        ),
        lambda answer: answer["audiences"][0]["ref"],
        peers="none",
    ),
    Question(
        "newsletter_but_not_2025",
        "Which newsletter lists are not of 2025?",
        "list_audiences",
        {"search": "newsletter -2025"},
        those(lambda r: r.says("newsletter") and not r.says("2025")),
        refs_and_sizes,
        peers="none",
    ),
    Question(
        "vip_or_newsletter",
        "Which lists are for VIPs or newsletters?",
        "list_audiences",
        {"search": "vip OR newsletter", "limit": 0},
        totals_of(lambda r: r.says("vip") or r.says("newsletter")),
        totals,
        peers="none",
    ),
    Question(
        "black_friday_as_a_phrase",
        "Which are called Black Friday, in these words?",
        "list_audiences",
        {"search": '"black friday"'},
        those(lambda r: r.says("black friday")),
        refs_and_sizes,
        peers="none",
    ),
    Question(
        "new_star",
        "Which begin with news...?",
        "list_audiences",
        {"search": "news*", "limit": 0},
        totals_of(lambda r: r.says("news")),
        totals,
        peers="none",
    ),
    Question(
        "per_status",
        "How many audiences and members are there per status?",
        "list_audiences",
        {"group_by": "status"},
        grouped_by(lambda r: r.status),
        groups_of,
        peers="none",
    ),
    Question(
        "per_vendor",
        "How many audiences and members are there per vendor?",
        "list_audiences",
        {"group_by": "source"},
        grouped_by(lambda r: r.vendor),
        groups_of,
        peers="none",
    ),
    Question(
        "per_type",
        "How much is static, dynamic and lookalike at Whop?",
        "list_audiences",
        {"sources": ["whop"], "group_by": "type"},
        lambda records: grouped_by(lambda r: r.type)(at(records, "whop")),
        groups_of,
        peers="none",
    ),
    Question(
        "duplicates",
        "Which names do several of my audiences share?",
        "list_audiences",
        {"group_by": "name"},
        names_borne_twice,
        lambda answer: {
            plain(group["key"]): sorted(m["ref"] for m in group["members"]) for group in answer["groups"]
        },
        peers="none",
    ),
    Question(
        "duplicates_of_vip",
        "Do several vendors have a list called VIP?",
        "list_audiences",
        {"search": "vip", "group_by": "name"},
        lambda records: names_borne_twice([r for r in records if r.says("vip")]),
        lambda answer: {
            plain(group["key"]): sorted(m["ref"] for m in group["members"]) for group in answer["groups"]
        },
        peers="none",
    ),
    Question(
        "vip_by_id_and_name",
        "How big is VIP?",
        "get_audience",
        {"audience": "VIP"},
        those(lambda r: plain(r.name) == "vip"),
        refs_and_sizes,
        peers="none",
    ),
    Question(
        "a_misspelt_source",
        "How many audiences are at smalest?",
        "list_audiences",
        {"sources": ["smalest"], "limit": 0},
        lambda records: ["smalest", *VENDORS],
        is_error=True,
        peers="none",
    ),
    Question(
        "a_wrong_argument",
        "How many are at Whop? (asked with an argument that there is not)",
        "list_audiences",
        {"vendor": "whop", "limit": 0},
        lambda records: ["'vendor'", "sources", "search", "min_size"],
        is_error=True,
        peers="none",
    ),
    Question(
        "an_impossible_filter",
        "Which are between 20,000 and 10,000?",
        "list_audiences",
        {"min_size": 20_000, "max_size": 10_000},
        lambda records: ["min_size", "max_size", "20,000", "10,000"],
        is_error=True,
        peers="none",
    ),
)


def shown(arguments: Mapping[str, Any]) -> str:
    """Arguments as they are written in a table."""
    return json.dumps(arguments, ensure_ascii=False)
