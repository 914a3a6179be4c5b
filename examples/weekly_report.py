"""A weekly report on all audiences, in Markdown, read through the server over stdio.

    python examples/weekly_report.py --sandbox
    python examples/weekly_report.py --since 2026-11-09 --rows 5 > report.md
    python examples/weekly_report.py --sandbox --html report.html > report.md

Without --sandbox the keys of your vendors are taken from the environment. The exit code is 0 where every
source was read in full, 3 where the report is not complete (its first lines say what is missing), and 1
where there is nothing to report. With --html a page of all audiences and their changes is written beside it:
one file that needs nothing else, to send or print.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from audience_mcp.server.page import Question, render_page

Answer = Mapping[str, Any]
MOST_CHARS = "1000000"
"""As many characters as an answer may have: the page has all audiences and not as many as a model reads."""


class NoAnswer(Exception):
    """The server had nothing to tell; the text is its own."""


async def asked(client: Client, **arguments: object) -> Answer:
    """What list_audiences answers. Raises NoAnswer."""
    return (await asked_with_names(client, arguments))[0]


async def asked_with_names(client: Client, arguments: dict[str, Any]) -> tuple[Answer, Mapping[str, str]]:
    """The same, and what people call the codes in it. Raises NoAnswer."""
    result = await client.call_tool("list_audiences", arguments)
    if result.is_error or not isinstance(result.structured_content, dict):
        raise NoAnswer(" ".join(getattr(block, "text", "") for block in result.content))
    return result.structured_content, (result.meta or {}).get("audience-mcp/names", {})


async def read_to_the_end(client: Client) -> Answer:
    """The totals. A reading that outlasts a call goes on behind it, so ask again while more comes in."""
    whole = await asked(client, limit=0)
    before = -1
    while not whole["complete"] and whole["matched"] > before:
        before, whole = whole["matched"], await asked(client, limit=0)
    return whole


async def compared(client: Client, since: str, sort: str, rows: int) -> Answer:
    """What grew or shrank most since then; without a store there is no past, and its reason stands there."""
    try:
        return await asked(client, compare_to=since, sort=sort, limit=rows)
    except NoAnswer as e:
        return {"audiences": [], "sources": [], "notes": [str(e)], "complete": True}


def cell(text: object) -> str:
    """A vendor's text so that Markdown shows it and does nothing with it."""
    return re.sub(r"([\\`*_\[\]<>|~&]|:(?=//))", r"\\\1", str(text))


def code(ref: str) -> str:
    """A ref, to be copied as it stands."""
    return cell(ref) if re.search(r"[`|\\]", ref) else f"`{ref}`"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table; columns of numbers are right-aligned."""
    numbers = ("Size", "Change", "Audiences", "Sum of sizes", "Of unknown size")
    rule = ["---:" if name in numbers else "---" for name in head]
    return [f"| {' | '.join(map(str, row))} |" for row in (head, rule, *rows)]


def ranged(low: int, high: int | None) -> str:
    """A number, or both ends of a range."""
    return f"{low:,}" if high is None or high == low else f"{low:,} to {high:,}"


def size(row: Answer) -> str:
    """The size, both ends of a range, or a word for not knowing it."""
    return ranged(row["size"], row.get("size_max")) if "size" in row else "unknown"


def unit(source: Answer) -> str:
    """What a size counts at a source; by kind of audience where kinds differ."""
    counts = source["size_counts"]
    return (
        counts if isinstance(counts, str) else "; ".join(f"{kind}: {text}" for kind, text in counts.items())
    )


def percent(row: Answer) -> str:
    """The change in percent; nothing where the audience was empty then."""
    return f"{row['change_pct']:+,}%" if "change_pct" in row else ""


def part(title: str, answer: Answer, column: str, value: Callable[[Answer], object]) -> list[str]:
    """A heading with the number of audiences, and the rows that came, with one more column of them."""
    shown = answer["audiences"]
    rows = [[cell(row["name"]), size(row), cell(value(row)), code(row["ref"])] for row in shown]
    left = answer["matched"] - len(shown)
    return [
        f"\n## {title} ({answer['matched']:,})\n",
        *(table(["Audience", "Size", column, "Ref"], rows) if shown else ["None."]),
        *([f"\n… and {left:,} more."] if shown and left else []),
    ]


def moments(answer: Answer) -> list[str]:
    """Which two moments are compared: a line for each pair, with its sources."""
    found: dict[tuple[str, str], list[str]] = {}
    for source in answer["sources"]:
        if "compared_to" in source:
            found.setdefault((source["compared_to"], source["as_of"]), []).append(source["source"])
    lines = [f"- {then} with {now}: {', '.join(names)}" for (then, now), names in found.items()]
    return ["\nCompared, net:\n", *lines] if lines else []


def changes(answer: Answer, title: str) -> list[str]:
    """What grew or shrank most; where nothing can be compared, why."""
    rows = [
        [cell(row["name"]), size(row), f"{row['change']:+,}", percent(row), code(row["ref"])]
        for row in answer["audiences"]
    ]
    told = [] if moments(answer) else [f"- {cell(note)}" for note in answer.get("notes", [])]
    shown = table(["Audience", "Size", "Change", "%", "Ref"], rows) if rows else ["None known.", *told]
    return [f"\n## {title}\n", *shown]


def only(answer: Answer, sign: int) -> Answer:
    """The rows that grew (1) or shrank (-1)."""
    rows = [row for row in answer["audiences"] if row.get("change", 0) * sign > 0]
    return {**answer, "audiences": rows}


def day(row: Answer, key: str) -> str:
    """The day of a date, where there is one."""
    return str(row.get(key, ""))[:10]


def head(whole: Answer, since: str) -> list[str]:
    """Whether it is complete, and the totals of each source."""
    lines = [f"# Audiences, since {since}\n"]
    if whole["complete"]:
        lines.append("Complete: every page of every source was read.")
    else:
        lines.append("**Not complete. Of sources that were read in part, the figures are a lower bound.**\n")
        told = ((s, s.get("error", {}).get("message", "not read in full")) for s in whole["sources"])
        lines += [f"- {cell(message)}" for source, message in told if not source["complete"]]
    rows = [
        [
            s["source"],
            f"{s['audiences']:,}" if "audiences" in s else "not read",
            ranged(s["sum_of_sizes"], s.get("sum_max")) if "sum_of_sizes" in s else "not read",
            f"{s['unknown_sizes']:,}" if "unknown_sizes" in s else "not read",
            cell(unit(s)),
        ]
        for s in whole["sources"]
    ]
    sums = ranged(whole["sum_of_sizes"], whole.get("sum_max"))
    total = [f"{whole['matched']:,}", sums, f"{whole['unknown_sizes']:,}"]
    rows.append(["**all**", *total, "different things: not people"])
    columns = ["Source", "Audiences", "Sum of sizes", "Of unknown size", "One unit of size is"]
    return [*lines, "\n## Totals\n", *table(columns, rows), "\nA person in two audiences counts twice."]


async def report(client: Client, since: str, rows: int) -> tuple[list[str], bool]:
    """The lines of the report, and whether it is complete. Raises NoAnswer."""
    whole = await read_to_the_end(client)
    biggest = await asked(client, limit=rows)
    new = await asked(client, created_since=since, sort="newest", limit=rows, detail="full")
    changed = await asked(client, updated_since=since, sort="updated", limit=rows, detail="full")
    failed = await asked(client, status=["failed"], limit=rows, detail="full")
    grown = await compared(client, since, "growth", rows)
    shrunk = await compared(client, since, "decline", rows)
    # Unknown sizes come last in every order by size, so they begin after the known ones.
    known = whole["matched"] - whole["unknown_sizes"]
    unknown = await asked(client, offset=known, limit=min(rows, whole["unknown_sizes"]))
    unknown = {**unknown, "matched": whole["unknown_sizes"]}
    lines = [
        *head(whole, since),
        *part("Biggest", biggest, "Status", lambda row: row.get("status", "ready")),
        *changes(only(grown, 1), "Grown most"),
        *changes(only(shrunk, -1), "Shrunk most"),
        *moments(grown),
        *part("New", new, "Created", lambda row: day(row, "created_at")),
        *part("Changed, new ones included", changed, "Updated", lambda row: day(row, "updated_at")),
        *part("Failed", failed, "Why", lambda row: row.get("details", {}).get("error_message", "")),
        *part("Of unknown size", unknown, "Why", lambda row: row.get("size_note", "")),
    ]
    return lines, all(a["complete"] for a in (whole, biggest, new, changed, failed, unknown))


async def page(client: Client, since: str) -> str:
    """A page of all audiences: their sizes, and since then their changes where sizes are stored."""
    arguments: dict[str, Any] = {"compare_to": since, "limit": 100_000}
    try:
        answer, names = await asked_with_names(client, arguments)
    except NoAnswer:  # nothing is stored
        del arguments["compare_to"]
        answer, names = await asked_with_names(client, arguments)
    return render_page(
        answer, Question(arguments=arguments, names=names, title="Weekly report on all audiences")
    )


async def main(options: argparse.Namespace) -> int:
    """Print the report; the exit code."""
    flags = ["--sandbox"] if options.sandbox else []
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "audience_mcp", *flags],
        env={**os.environ, "AUDIENCE_MCP_MAX_CHARS": MOST_CHARS},
    )
    async with Client(server) as client:
        try:
            lines, complete = await report(client, options.since, options.rows)
            written = await page(client, options.since) if options.html else None
        except NoAnswer as e:
            print(e, file=sys.stderr)
            return 1
    if written is not None:
        options.html.write_text(written, encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # names are in any script, whatever the terminal's is
    print("\n".join(lines))
    return 0 if complete else 3


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    a_week_ago = (datetime.now(timezone.utc) - timedelta(days=7)).date().isoformat()
    parser = argparse.ArgumentParser(description="A weekly report on all audiences, in Markdown.")
    parser.add_argument("--sandbox", action="store_true", help="made-up audiences, no keys")
    parser.add_argument("--since", default=a_week_ago, help="new and changed since; default: 7 days ago")
    parser.add_argument("--rows", type=int, default=10, help="rows of each table; default: 10")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page of all audiences as well")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(anyio.run(main, options(sys.argv[1:])))
