"""The same questions through one tool per vendor document, made by `FastMCP.from_openapi`. Run by hand:

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -q 'fastmcp==4.1.2' 'bpe-openai<0.2' pyyaml
    .venv-peers/bin/python -m tests.questions.peers FOLDER

FOLDER holds the vendors' documents `batch.json`, `commbox.json`, `smallest.yaml` and `whop.yaml`. It writes
`peers.json`, from which the README's table is made, and prints the table question by question.

What is counted is what a perfect agent needs, and every doubt is settled in its favour:

- It knows which vendors can have the answer, asks no other, and makes no mistake in finding, sorting and
  adding up hundreds of rows. Where an id is looked for, it stops at the page that has it.
- It asks for the largest page that the documents allow (Batch and Whop: 100). What the default pages (10
  and 20) would take is counted beside it.
- It is given keys, project and account, and sends them as the documents' parameters ask.
- A question that follows from what it had to read for the one before costs it nothing.
- It takes a number for what the document says that it is: Whop's `total_rows` of 0 is no rows, for the
  document knows neither lookalike nor engagement audiences. A total that leaves unsaid how many sizes are
  unknown is right all the same. CommBox's missing `user_count` is unknown.
- Batch's segments are on another page than its document, so an answer without them is right.
- Nothing is cached between other questions: each is the first of its conversation, as it is for our tools.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from audience_mcp.sandbox import Sandbox
from tests.questions import asking
from tests.questions.asked import TODAY, Question
from tests.questions.every import QUESTIONS
from tests.questions.readme import PEERS
from tests.questions.records import VENDORS, Record, records, truth

DOCUMENTS = {
    "commbox": "commbox.json",
    "batch": "batch.json",
    "smallest": "smallest.yaml",
    "whop": "whop.yaml",
}
LISTS = {"commbox": "data", "batch": "audiences", "smallest": "data", "whop": "data"}
LARGEST: Mapping[str, Mapping[str, Any]] = {"batch": {"limit": 100}, "whop": {"first": 100}}


@dataclass(frozen=True)
class Page:
    """One result: what it cost and what it says."""

    tokens: int
    body: dict[str, Any]


class Peer:
    """A vendor's only tool: how it is called, and what calling it cost."""

    def __init__(self, vendor: str, client: Any, tool: Any, always: Mapping[str, Any]) -> None:
        self.vendor = vendor
        given = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        self.definition = asking.tokens(asking.definition(given))
        self._client = client
        self._tool = tool.name
        self._always = always

    async def call(self, **arguments: Any) -> Page:
        result = await self._client.call_tool(self._tool, {**self._always, **arguments})
        (block,) = result.content
        return Page(asking.tokens(block.text), json.loads(block.text))

    async def pages(self, size: Mapping[str, Any]) -> list[Page]:
        """Every page, as the document says how to ask for the next."""
        found = [await self.call(**size)]
        while following := _following(self.vendor, found[-1].body):
            found.append(await self.call(**size, **following))
        return found


def _following(vendor: str, body: Mapping[str, Any]) -> dict[str, Any]:
    if vendor == "batch" and body["has_more"]:
        return {"from": body["next_from"]}
    if vendor == "whop" and body["page_info"]["has_next_page"]:
        return {"after": body["page_info"]["end_cursor"]}
    return {}


def _read(vendor: str, *pages: Page) -> list[Record]:
    """The rows as the documents explain them."""
    rows = [row for page in pages for row in page.body[LISTS[vendor]]]
    return records(vendor, rows, lambda row: int(row["total_rows"]))


@dataclass
class Measured:
    """Everything that was read, once: the questions are then reckoned over it."""

    peers: dict[str, Peer]
    largest: dict[str, list[Page]]
    default: dict[str, list[Page]]
    batch_count: Page

    async def question(self, question: Question) -> dict[str, Any]:
        """Calls, tokens, and whether the answer is right after the first call and at the end."""
        if question.peers == "one":
            pages = {"whop": [await self.peers["whop"].call(audience_id=question.call({})["audience"])]}
            default = pages
        else:
            pages = {vendor: self.largest[vendor] for vendor in question.vendors}
            default = {vendor: self.default[vendor] for vendor in question.vendors}
        first = question.vendors[0]
        right_at_first = _right(question, _read(first, pages[first][0]))
        right = _right(question, [r for vendor, of in pages.items() for r in _read(vendor, *of)])
        if question.peers == "count":
            assert self.batch_count.body["count"] == len(_read("batch", *pages["batch"]))
            pages = {**pages, "batch": [self.batch_count]}
            default = {**default, "batch": [self.batch_count]}
            right_at_first = question.vendors == ("batch",)
        if question.peers == "found":
            pages, default = ({first: _until_right(question, of[first])} for of in (pages, default))
        if question.peers == "known":
            pages, default = {}, {}
        found = {
            "calls": sum(map(len, pages.values())),
            "tokens": sum(page.tokens for of in pages.values() for page in of),
            "calls_by_default_pages": sum(map(len, default.values())),
            "tokens_by_default_pages": sum(page.tokens for of in default.values() for page in of),
        }
        if question.peers != "known":
            found["right_after_first_call"] = right_at_first
        return {**found, "right": right}


def _until_right(question: Question, pages: list[Page]) -> list[Page]:
    """The pages up to the one that has what is looked for."""
    (vendor,) = question.vendors
    return next(
        pages[:count] for count in range(1, len(pages) + 1) if _right(question, _read(vendor, *pages[:count]))
    )


def _right(question: Question, known: list[Record]) -> bool:
    if question.peers == "never":
        return False
    try:
        fact = question.fact_for_peers or question.fact
        return bool(fact(known) == fact([r for r in truth() if "code" not in r.raw]))
    except (LookupError, TypeError, ValueError):
        return False  # what the question is about was not read


async def measured(folder: Path) -> dict[str, Any]:
    """Ask the sandbox over HTTP through the tools that FastMCP makes of the documents in `folder`."""
    import fastmcp
    import httpx2
    import yaml

    from audience_mcp.sandbox.app import serve

    async with AsyncExitStack() as stack:
        environment = Sandbox().environment(await stack.enter_async_context(serve()))
        peers = {}
        for vendor in VENDORS:
            prefix = vendor.upper()
            key = environment["BATCH_REST_API_KEY" if vendor == "batch" else f"{prefix}_API_KEY"]
            always: Mapping[str, Any] = {
                "batch": {"X-Batch-Project": environment["BATCH_PROJECT_KEY"]},
                "smallest": {"Authorization": f"Bearer {key}"},
                "whop": {"account_id": environment["WHOP_ACCOUNT_ID"]},
            }.get(vendor, {})
            http = httpx2.AsyncClient(
                base_url=environment[f"{prefix}_BASE_URL"], headers={"Authorization": f"Bearer {key}"}
            )
            await stack.enter_async_context(http)
            document = yaml.safe_load((folder / DOCUMENTS[vendor]).read_text(encoding="utf-8"))
            server = fastmcp.FastMCP.from_openapi(document, client=http, name=vendor)
            client = await stack.enter_async_context(fastmcp.Client(server))
            (tool,) = await client.list_tools()
            peers[vendor] = Peer(vendor, client, tool, always)
        everything = Measured(
            peers,
            {vendor: await peer.pages(LARGEST.get(vendor, {})) for vendor, peer in peers.items()},
            {vendor: await peer.pages({}) for vendor, peer in peers.items()},
            await peers["batch"].call(limit=1),
        )
        return {
            "measured": TODAY,
            "fastmcp": fastmcp.__version__,
            "tokenizer": asking.TOKENIZER,
            "definitions": {vendor: peer.definition for vendor, peer in peers.items()},
            "largest_result": max(page.tokens for of in everything.largest.values() for page in of),
            "questions": {
                question.key: await everything.question(question)
                for question in QUESTIONS
                if question.peers != "none"
            },
        }


def _table(found: Mapping[str, Any]) -> str:
    ours = asking.stored()["questions"]
    yes = {True: "yes", False: "no", None: "-"}
    head = (
        "| question | calls | tokens | by default pages | right at first, at the end | ours: calls | tokens |"
    )
    rows = [
        f"| {question.words} | {peer['calls']} | {peer['tokens']:,} "
        f"| {peer['calls_by_default_pages']}, {peer['tokens_by_default_pages']:,} "
        f"| {yes[peer.get('right_after_first_call')]}, {yes[peer['right']]} "
        f"| {ours[question.key]['calls']} | {ours[question.key]['tokens']:,} |"
        for question in QUESTIONS
        if (peer := found["questions"].get(question.key))
    ]
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def main() -> None:
    found = anyio.run(measured, Path(sys.argv[1]))
    PEERS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(_table(found))


if __name__ == "__main__":
    main()
