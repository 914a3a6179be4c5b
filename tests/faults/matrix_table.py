"""The matrix as the table in docs/reliability.md.

`python -m tests.faults.matrix_table --write` renews the table there; without `--write` it is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tests.faults.data import PLACES, VENDORS, Place
from tests.faults.matrix import CASES, CELLS, Case

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
TITLES = {"commbox": "CommBox", "batch": "Batch", "smallest": "Smallest.ai", "whop": "Whop"}
COLUMNS: dict[Place, str] = {
    "first": "first or only page",
    "middle": "middle page",
    "last": "last page",
    "one": "one audience",
}


def table() -> str:
    """Every fault with what is answered, faults that end alike in one row."""
    said = [f"{len(CASES)} faults, {len(CELLS):,} cells."]
    for group, cases in groupby(CASES, key=lambda case: case.group):
        said += ["", f"### {group}", "", _row(["fault", *COLUMNS.values()]), _row(["---"] * 5)]
        alike: dict[tuple[str, ...], list[str]] = {}
        for case in cases:
            alike.setdefault(tuple(_cell(case, place) for place in PLACES), []).append(case.name)
        said += [_row(["; ".join(names), *outcomes]) for outcomes, names in alike.items()]
    return "\n".join(said)


def _row(columns: Iterable[str]) -> str:
    return f"| {' | '.join(column.replace('|', chr(92) + '|') for column in columns)} |"


def _cell(case: Case, place: Place) -> str:
    """What is answered, by vendor where vendors differ or not all can have the fault."""
    by_outcome: dict[str, list[str]] = {}
    for vendor in VENDORS:
        if case.applies(vendor, place):
            by_outcome.setdefault(str(case.outcome(vendor, place)), []).append(TITLES[vendor])
    if not by_outcome:
        return "–"
    if len(by_outcome) == 1 and case.vendors == VENDORS:
        return next(iter(by_outcome))
    return "; ".join(f"{', '.join(vendors)}: {outcome}" for outcome, vendors in by_outcome.items())


def renewed(page: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())


if __name__ == "__main__":
    main()
