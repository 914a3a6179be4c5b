"""An agent in a few lines: the SDK's client, a loop, and a place for your model.

    python examples/agent_loop.py --sandbox "How big is VIP, everywhere?" "Which audiences failed?"

Without --sandbox the keys of your vendors are taken from the environment. No model provider is needed:
`model` below stands in for one with a few key words. Put the call of yours in its place: it gets the
question, the tools as the server describes them and what they have answered so far, and it returns the next
tool call, or the answer.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

QUESTIONS = ("Which are my five biggest audiences?", "How many audiences are there?")


def model(question: str, tools: list[Any], results: list[Any]) -> tuple[str, dict[str, Any]] | str:
    """Put your model here. This one picks a call by key words and answers with the rows that came back."""
    if results:
        answer = results[-1].structured_content
        if answer is None:  # an error has text alone, which says what to do
            return str(results[-1].content[0].text)
        rows = [f"{row['name']}: {row.get('size', row.get('size_note'))}" for row in answer["audiences"]]
        total = f"{answer['matched']:,} audiences, whose sizes add up to {answer['sum_of_sizes']:,}"
        return "; ".join(rows or [total]) + ("" if answer["complete"] else " (not complete)")
    words = question.lower().rstrip("?").replace(",", "").split()
    if "failed" in words:
        return "list_audiences", {"status": ["failed"], "limit": 5}
    if words[:3] == ["how", "big", "is"] and words[3:]:
        return "list_audiences", {"search": words[3], "limit": 5}
    return "list_audiences", {"limit": 5 if "biggest" in words else 0}


async def answered(client: Client, question: str) -> str:
    """The loop: ask the model, do what it asks for, give it the result, until it answers."""
    tools = (await client.list_tools()).tools
    results: list[Any] = []
    for _ in range(8):  # a model that never stops asking is stopped
        said = model(question, tools, results)
        if isinstance(said, str):
            return said
        results.append(await client.call_tool(*said))
    return "No answer after 8 tool calls."


async def main(arguments: list[str]) -> None:
    """Answer the questions of the command line, or two of our own."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # names are in any script, whatever the terminal's is
    flags = [each for each in arguments if each == "--sandbox"]
    starts = ["-m", "audience_mcp", *flags]
    server = StdioServerParameters(command=sys.executable, args=starts, env=dict(os.environ))
    async with Client(server) as client:
        for question in [each for each in arguments if each not in flags] or QUESTIONS:
            print(f"? {question}\n  {await answered(client, question)}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
