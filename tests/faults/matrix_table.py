"""Both matrices as the tables in docs/reliability.md.

`python -m tests.faults.matrix_table --write` renews the tables there; without `--write` they are printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from tests.faults import mechanisms, troubles
from tests.faults.data import PLACES, VENDORS, Place
from tests.faults.matrix import CASES, CELLS, Case
from tests.faults.mechanisms import BY_NAME, MECHANISMS
from tests.faults.troubles import TROUBLES, Trouble, outcome

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
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
        said += _rows({case.name: [_cell(case, place) for place in PLACES] for case in cases})
    return "\n".join(said)


def table_of_mechanisms() -> str:
    """The second matrix: what stands for what, and every fault with what is answered."""
    said = [f"{len(TROUBLES)} faults, {len(troubles.CELLS):,} cells.", "", _row(["mechanism", "vendor"])]
    said += [_row(["---"] * 2), *(_row([each.what, each.case.vendor.title]) for each in MECHANISMS), ""]
    said += [_row(["fault", *mechanisms.PLACES.values()]), _row(["---"] * (1 + len(mechanisms.PLACES)))]
    cells = {each.name: [_cell_of(each, place) for place in mechanisms.PLACES] for each in TROUBLES}
    return "\n".join([*said, *_rows(cells)])


def _rows(cells: Mapping[str, Iterable[str]]) -> list[str]:
    """A row for each fault; those that end alike are in one."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, outcomes in cells.items():
        alike.setdefault(tuple(outcomes), []).append(name)
    return [_row(["; ".join(names), *outcomes]) for outcomes, names in alike.items()]


def _row(columns: Iterable[str]) -> str:
    return f"| {' | '.join(column.replace('|', chr(92) + '|') for column in columns)} |"


def _cell(case: Case, place: Place) -> str:
    """What is answered, by vendor where vendors differ or not all can have the fault."""
    by_outcome: dict[str, list[str]] = {}
    for vendor in VENDORS:
        if case.applies(vendor, place):
            by_outcome.setdefault(str(case.outcome(vendor, place)), []).append(TITLES[vendor])
    return _said(by_outcome, named=case.vendors != VENDORS)


def _cell_of(trouble: Trouble, place: str) -> str:
    """The same of the second matrix."""
    by_outcome: dict[str, list[str]] = {}
    for name, mechanism in BY_NAME.items():
        if trouble.applies(name, place):
            title = mechanism.case.vendor.title
            by_outcome.setdefault(str(outcome(trouble, name, place)), []).append(title)
    return _said(by_outcome, named=len(trouble.vendors) < len(MECHANISMS))


def _said(by_outcome: Mapping[str, Iterable[str]], *, named: bool) -> str:
    """Outcomes, with the names of vendors where they differ or where not all can have the fault (`named`)."""
    if not by_outcome:
        return "–"
    if len(by_outcome) == 1 and not named:
        return next(iter(by_outcome))
    return "; ".join(f"{', '.join(vendors)}: {outcome}" for outcome, vendors in by_outcome.items())


def renewed(page: str) -> str:
    """The page with the tables as they are now."""
    for name, made in TABLES.items():
        before, _, rest = page.partition(mark(name, "begin"))
        _, _, after = rest.partition(mark(name, "end"))
        page = f"{before}{mark(name, 'begin')}\n{made()}\n{mark(name, 'end')}{after}"
    return page


def mark(name: str, side: str) -> str:
    """What a table stands between in the page."""
    return f"<!-- {name}: {side} -->"


TABLES = {"matrix": table, "mechanisms": table_of_mechanisms}


def main() -> None:
    if "--write" in sys.argv[1:]:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(*(made() for made in TABLES.values()), sep="\n\n")


if __name__ == "__main__":
    main()
