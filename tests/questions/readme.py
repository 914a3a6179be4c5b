"""The README's table of costs, made of the two stored ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.questions import asking
from tests.questions.every import QUESTIONS

README = Path(__file__).parents[2] / "README.md"
PEERS = Path(__file__).with_name("peers.json")
START, END = "<!-- costs -->\n", "<!-- end of costs -->\n"
TELLING = (
    "biggest",
    "vip_everywhere",
    "total_at_whop",
    "empty",
    "an_id_of_batch",
    "how_many_at_batch",
    "an_id_of_whop",
)


def table() -> str:
    """Totals over the questions that both can be asked, and some rows that tell why they differ."""
    costs, peers = asking.stored(), stored_peers()
    compared = [question for question in QUESTIONS if question.peers != "none"]
    ours = [costs["questions"][question.key] for question in compared]
    theirs = [peers["questions"][question.key] for question in compared]
    all_of_ours = f"{len(ours)} of {len(ours)}"  # or the tests here would fail
    needing = [row for row in theirs if row["calls"]]
    rows = {
        "tools, and tokens of their definitions": (_tools(costs), _tools(peers)),
        f"calls for {len(compared)} questions": (
            _sum(ours, "calls"),
            f"{_sum(theirs, 'calls')} ({_sum(theirs, 'calls_by_default_pages')} with default pages)",
        ),
        "tokens of all results": (
            _sum(ours, "tokens"),
            f"{_sum(theirs, 'tokens')} ({_sum(theirs, 'tokens_by_default_pages')} with default pages)",
        ),
        "tokens of the largest result": (
            f"{max(row['tokens'] for row in ours):,}",
            f"{peers['largest_result']:,}",
        ),
        "right after the first call": (
            all_of_ours,
            f"{sum(row['right_after_first_call'] for row in needing)} of {len(needing)} that need one",
        ),
        "right at the end": (all_of_ours, f"{sum(row['right'] for row in theirs)} of {len(theirs)}"),
    }
    for key in TELLING:
        (words,) = [question.words for question in QUESTIONS if question.key == key]
        rows[f"*{words}*"] = _row(costs["questions"][key]), _row(peers["questions"][key])
    lines = [f"| {what} | {ours} | {theirs} |" for what, (ours, theirs) in rows.items()]
    head = f"| | audience-mcp | a tool per document (FastMCP {peers['fastmcp']}) |"
    return "\n".join([head, "|---|---|---|", *lines]) + "\n"


def _tools(of: Any) -> str:
    each = [tool if isinstance(tool, int) else tool["tokens"] for tool in of["definitions"].values()]
    return f"{len(each)}: {sum(each):,}"


def _sum(rows: list[Any], key: str) -> str:
    return f"{sum(row[key] for row in rows):,}"


def _row(row: Any) -> str:
    calls = f"{row['calls']} call{'s' * (row['calls'] != 1)}, {row['tokens']:,} tokens"
    return calls if row.get("right", True) else f"{calls}, wrong"


def stored_peers() -> dict[str, Any]:
    """What `peers` measured when it was last run."""
    found: dict[str, Any] = json.loads(PEERS.read_text(encoding="utf-8"))
    return found


def renew() -> None:
    """Put the table into the README, between its two marks."""
    text = README.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(START)}.*?{re.escape(END)}", re.S)
    README.write_text(marked.sub(lambda _: START + table() + END, text), encoding="utf-8")
