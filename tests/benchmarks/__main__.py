"""Every benchmark, in one run: `python -m tests.benchmarks [FILE]` prints the tables, or writes them to FILE.

In FILE the tables stand between `<!-- measured -->` and `<!-- end of measured -->`; the rest is left alone.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import answer, callers, load, observed, pages, remember, scale, start

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"


def tables() -> str:
    """What was measured, as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("mcp", "httpx", "pydantic"))
    when = datetime.now(timezone.utc).date().isoformat()
    machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processors"
    parts = [
        f"Measured on {when}: Python {platform.python_version()}, {versions}; {machine}, shared.",
        "### Start\n\n" + "\n".join(start.rows()),
        "### Answer\n\n" + "\n".join(answer.rows()),
        "### Pages\n\n" + "\n".join(pages.rows()),
        "### Scale\n\n" + "\n".join(scale.rows()),
        "### Many callers\n\n" + "\n".join(callers.rows()),
        "### Load\n\n" + "\n".join(load.rows()),
        "### Observed\n\n" + "\n".join(observed.rows()),
        "### Remembering\n\n" + "\n".join(remember.rows()),
    ]
    return "\n\n".join(parts)


def main() -> None:
    measured = tables()
    if len(sys.argv) < 2:
        print(measured)
        return
    page = Path(sys.argv[1])
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
