"""Write `costs.json` and the table in the README anew: `python -m tests.questions.renew`."""

from __future__ import annotations

import json

import anyio

from tests.questions import asking, readme


def main() -> None:
    costs = asking.costs(anyio.run(asking.asked))
    asking.COSTS.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    readme.renew()
    together = sum(tool["tokens"] for tool in costs["definitions"].values())
    answers = sum(question["tokens"] for question in costs["questions"].values())
    print(f"{len(costs['questions'])} questions, {answers:,} tokens; the tools {together:,}. Written.")


if __name__ == "__main__":
    main()
