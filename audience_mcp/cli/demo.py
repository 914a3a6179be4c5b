"""`demo`: a real MCP client asks a real server, started as a subprocess, a marketer's questions."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters

from audience_mcp.catalog.models import SourceReport
from audience_mcp.cli.exits import as_typed, wrap
from audience_mcp.cli.output import count_noun
from audience_mcp.cli.tables import name_unit, write_range
from audience_mcp.config import Environment

Answer = Mapping[str, Any]
WEEK_AGO = "a week ago"
"""Placeholder for that date in a question."""


NEXT = """
What to do next:
  {program} list --sandbox --html audiences.html
      writes these made-up audiences as a page; open it in a browser
  {program} install claude-desktop --sandbox
      lets Claude answer such questions from them
  {program} setup
      asks for the keys of your own platforms, tries them, and connects Claude
      or another program
  {program} check
      says which of your platforms can be read, and how to mend the others"""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the tool call that answers it, and how to print the answer."""

    words: str
    tool: str
    arguments: dict[str, Any]
    describe: Callable[[Answer], list[str]]


def _row(row: Answer) -> str:
    size = write_range(row["size"], row.get("size_max")) if "size" in row else "unknown"
    remark = ", ".join(str(row[key]) for key in ("type", "status", "size_note") if key in row)
    return f"{size:>11}  {row['name']}  [{row['ref']}]{f'  ({remark})' if remark else ''}"


def _rows(answer: Answer) -> list[str]:
    left = answer["matched"] - answer["returned"]
    return [_row(row) for row in answer["audiences"]] + ([f"… and {left:,} more"] if left else [])


def _total(answer: Answer) -> list[str]:
    return [
        f"{answer['sum_of_sizes']:,} in {answer['matched']:,} audiences; "
        f"{answer['unknown_sizes']:,} of them of unknown size, which are not in the sum"
    ]


def _by_source(answer: Answer) -> list[str]:
    lines = []
    for each in answer["sources"]:
        report = SourceReport.model_validate(each)
        total = write_range(report.sum_of_sizes or 0, report.sum_max)
        lines.append(f"{report.source:<9} {report.audiences:>4,} audiences, {total:>11} {name_unit(report)}")
    return [*lines, f"Is that all of them? {'Yes: every page was read.' if answer['complete'] else 'No.'}"]


def _groups(answer: Answer) -> list[str]:
    return [
        f"{group['sum_of_sizes']:>11,}  {group['key']} ({count_noun(group['matched'], 'audience')})"
        for group in answer["groups"]
    ]


def _one(answer: Answer) -> list[str]:
    lines = []
    for row in answer["audiences"]:
        lines.append(_row(row))
        facts = {key: row[key] for key in ("status", "created_at", "updated_at") if key in row}
        for key, value in {**facts, **row.get("details", {})}.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            lines.append(f"             {key.removesuffix('_at').replace('_', ' ')}: {text}")
    return lines


def _changes(answer: Answer) -> list[str]:
    """Return what grew, and between which two dates."""
    (first, *_) = answer["sources"]
    between = f"from {first['compared_to'][:10]} to {first['as_of'][:10]}, net"
    return [f"{row['change']:>+11,}  {row['name']}  [{row['ref']}]" for row in answer["audiences"]] + [
        between
    ]


QUESTIONS = (
    Question("Which are my five biggest audiences?", "list_audiences", {"limit": 5}, _rows),
    Question("How big is VIP, everywhere?", "list_audiences", {"search": "VIP"}, _rows),
    Question(
        "How many people are in our Whop audiences altogether?",
        "list_audiences",
        {"sources": ["whop"], "limit": 0},
        lambda a: [*_total(a), "A person in two audiences counts twice."],
    ),
    Question(
        "Lists, segments and tags at Mailchimp: how big are they?",
        "list_audiences",
        {"sources": ["mailchimp"], "group_by": "kind"},
        lambda a: [*_groups(a), *a.get("notes", [])],
    ),
    Question(
        "Which audiences failed to process?", "list_audiences", {"status": ["failed"], "limit": 5}, _rows
    ),
    Question(
        "Which are still being processed?", "list_audiences", {"status": ["processing"], "limit": 5}, _rows
    ),
    Question("What can you see, and is that all of them?", "list_audiences", {"limit": 0}, _by_source),
    Question(
        "What was created since October?",
        "list_audiences",
        {"created_since": "2026-10-01", "sort": "newest", "limit": 5},
        _rows,
    ),
    Question(
        "Which audiences grew most since last week?",
        "list_audiences",
        {"compare_to": WEEK_AGO, "sort": "growth", "limit": 5},
        _changes,
    ),
    Question(
        "Tell me about the audience VIP at Batch.",
        "get_audience",
        {"audience": "VIP", "source": "batch"},
        _one,
    ),
)


def _fill_dates(question: Question) -> Question:
    """Return the question with real dates."""
    day = (datetime.now(timezone.utc) - timedelta(days=7)).date().isoformat()
    arguments = {name: day if value == WEEK_AGO else value for name, value in question.arguments.items()}
    return replace(question, arguments=arguments)


def _print(line: str) -> None:
    """Print a line, broken between words where it is too long for the terminal."""
    print(wrap(line, shutil.get_terminal_size().columns) if sys.stdout.isatty() else line)


async def _ask(client: Client, question: Question) -> bool:
    question = _fill_dates(question)
    result = await client.call_tool(question.tool, question.arguments)
    print(f"\n? {question.words}\n  {question.tool}({json.dumps(question.arguments, ensure_ascii=False)})")
    if result.is_error or not isinstance(result.structured_content, dict):
        text = " ".join(block.text for block in result.content if isinstance(block, types.TextContent))
        print(f"  ! {text}")
        return False
    for line in question.describe(result.structured_content):
        _print(f"    {line}")
    return True


async def _demo(environment: Environment) -> bool:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "audience_mcp", "--sandbox"], env=dict(environment)
    )
    async with Client(server) as client:
        tools = await client.list_tools()
        _print("Connected over stdio to audience-mcp --sandbox (made-up audiences of ten vendors).")
        print(f"Tools: {', '.join(tool.name for tool in tools.tools)}")
        answered = [await _ask(client, question) for question in QUESTIONS]
    print(f"\n{sum(answered)} of {len(answered)} questions answered, one call each.")
    print(NEXT.format(program=as_typed()))
    return all(answered)


def run_demo(environment: Environment) -> int:
    """Print questions, tool calls and answers. Returns 0 if all were answered, else 1."""
    return 0 if anyio.run(_demo, environment) else 1
