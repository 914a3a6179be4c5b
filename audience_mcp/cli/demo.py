"""A real client asks a real server, started as a subprocess, what a marketer would ask."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters

from audience_mcp.catalog.models import SourceReport
from audience_mcp.cli.tables import name_unit, write_range

Answer = Mapping[str, Any]
WEEK_AGO = "a week ago"
"""Stands for that day in a question."""


NEXT = """
What to do next:
  audience-mcp list --sandbox --html audiences.html
      writes these made-up audiences as a page; open it in a browser
  audience-mcp install claude-desktop --sandbox
      lets Claude answer such questions from them
  audience-mcp check
      with your own keys set: says which sources can be read, and which
      variables each vendor needs"""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the one tool call that answers it, and the answer in words."""

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
        f"{group['sum_of_sizes']:>11,}  in {group['matched']:,} of the kind {group['key']}"
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
    """What grew, from when to when: a change belongs to two moments."""
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
    Question("Which audiences failed to process?", "list_audiences", {"status": "failed", "limit": 5}, _rows),
    Question(
        "Which are still being processed?", "list_audiences", {"status": "processing", "limit": 5}, _rows
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


def _put_dates(question: Question) -> Question:
    """The question with the day that is meant."""
    day = (datetime.now(timezone.utc) - timedelta(days=7)).date().isoformat()
    arguments = {name: day if value == WEEK_AGO else value for name, value in question.arguments.items()}
    return replace(question, arguments=arguments)


async def _ask(client: Client, question: Question) -> bool:
    question = _put_dates(question)
    result = await client.call_tool(question.tool, question.arguments)
    print(f"\n? {question.words}\n  {question.tool}({json.dumps(question.arguments, ensure_ascii=False)})")
    if result.is_error or not isinstance(result.structured_content, dict):
        text = " ".join(block.text for block in result.content if isinstance(block, types.TextContent))
        print(f"  ! {text}")
        return False
    for line in question.describe(result.structured_content):
        print(f"    {line}")
    return True


async def _demo() -> bool:
    server = StdioServerParameters(command=sys.executable, args=["-m", "audience_mcp", "--sandbox"])
    async with Client(server) as client:
        tools = await client.list_tools()
        print("Connected over stdio to audience-mcp --sandbox (made-up audiences of eight vendors).")
        print(f"Tools: {', '.join(tool.name for tool in tools.tools)}")
        answered = [await _ask(client, question) for question in QUESTIONS]
    print(f"\n{sum(answered)} of {len(answered)} questions answered, one call each.")
    print(NEXT)
    return all(answered)


def run_demo() -> int:
    """Print questions, tool calls and answers; 0 where all were answered."""
    return 0 if anyio.run(_demo) else 1
