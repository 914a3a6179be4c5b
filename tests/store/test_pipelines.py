"""The guide to warehouses and BI: its script is run, and its SQL, over each kind of store."""

from __future__ import annotations

import csv
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.sandbox import Answer
from audience_mcp.store.history import HistoryPart
from audience_mcp.store.sqlite import HISTORY, SqliteStore
from audience_mcp.store.stored import Owner, to_ms
from tests.store.conftest import HandClock
from tests.support.commands import Switched, run_here
from tests.support.postgres import schema
from tests.support.process import environment

GUIDE = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text(encoding="utf-8")
SIZES = ["ref", "name", "source", "vendor", "kind", "as_of", "size", "size_max", "from"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```", GUIDE, re.M | re.S)


@pytest.mark.slow
@pytest.mark.parametrize("line", blocks("sh")[0].splitlines())
def test_each_command_of_the_guide_writes_the_columns_that_it_says(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    done = run_here([*words[1:], "--sandbox"], environment())
    assert done.returncode == 0, done.stderr
    told = [each.removesuffix("...") for each in re.findall(r"`([a-z_]+,[a-z_.,]+)`", GUIDE)]
    assert any(done.stdout.startswith(each) for each in told)


@pytest.fixture
def run_script(tmp_path: Path, sandbox: Switched, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Runs the script of the guide, at made-up vendors."""
    script = tmp_path / "audience-sizes"
    script.write_text(blocks("sh")[1])
    monkeypatch.setenv("AUDIENCE_MCP_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    def run_it() -> int:
        return subprocess.run(
            ["/bin/sh", str(script), str(tmp_path / "out")], timeout=120, check=False
        ).returncode

    return run_it


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of POSIX")
def test_the_script_writes_what_is_stored_and_keeps_the_last_file_where_nothing_is(
    run_script: Callable[[], int], sandbox: Switched, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "sizes.csv"
    file.parent.mkdir()
    file.write_text("of last night")
    others = {name: Answer(401, {}) for name in ("commbox", "batch", "smallest")}
    sandbox.instead |= {"whop": Answer(401, {}), **others}
    assert (run_script(), file.read_text()) == (1, "of last night")
    for name in others:
        del sandbox.instead[name]
    assert run_script() == 3
    with file.open(encoding="utf-8", newline="") as written:
        head, *rows = csv.reader(written)
    assert head == SIZES
    assert {row[2] for row in rows} == others.keys()


def test_the_cron_line_names_the_settings_file_and_the_script() -> None:
    (line,) = blocks("cron")
    *when, command = line.split(" ", 5)
    assert (len(when), "%" in command) == (5, False)
    home = "/home/ana"
    told = 'printf "%s\\n" "$AUDIENCE_MCP_ENV_FILE" "$PATH"'
    command = command.partition(" >> ")[0].replace('"$HOME/bin/audience-sizes"', f"sh -c {shlex.quote(told)}")
    said = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"HOME": home, "PATH": "/bin:/usr/bin"},
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout.decode()
    assert said.splitlines() == [f"{home}/.config/audience-mcp.env", "/bin:/usr/bin:/absolute/path/to"]


@pytest.mark.slow
def test_a_file_that_is_loaded_twice_adds_nothing_and_a_later_one_what_is_new() -> None:
    load = blocks("sql")[0]
    before, copy, after = re.split(r"^\\(copy .*)$", load, flags=re.M)
    assert copy == "copy loaded FROM 'sizes.csv' WITH (FORMAT csv, HEADER)"
    done = run_here(["history", "--daily", "--csv", "--sandbox", "--sources", "meta,batch"], environment())
    lines = done.stdout.splitlines(keepends=True)
    with schema() as address:
        import psycopg

        def load_it(text: str) -> int:
            with psycopg.connect(address) as warehouse:
                warehouse.execute(before.encode())
                with warehouse.cursor().copy("COPY loaded FROM STDIN WITH (FORMAT csv, HEADER)") as into:
                    into.write(text)
                warehouse.execute(after.encode())
                found = warehouse.execute("SELECT COUNT(*) FROM audience_sizes").fetchone()
                assert found is not None
                return int(found[0])

        first = "".join(lines[:100])
        assert [load_it(first), load_it(first), load_it(done.stdout)] == [99, 99, len(lines) - 1]


# The view

Ask = Callable[[str], list[tuple[Any, ...]]]
ACME = Owner("acme", "https://acme.example", "acme", (("project", "p", False),), kind="list")


def day(of_month: int, hour: int = 6) -> int:
    return to_ms(datetime(2026, 11, of_month, hour, tzinfo=timezone.utc))


@pytest.fixture(params=["sqlite", "postgres"])
def ask(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[Ask]:
    """Asks the view with plain SQL, of what was recorded on three days."""
    clock.time = day(9) / 1000

    readings = [
        (day(1), [Row("a", "A", 10), Row("b", "B", 5)]),
        (day(8), [Row("a", "A", 11), Row("b", "B", 5)]),
        (day(8, 9), [Row("a", "A", 30), Row("b", "B", None)]),
    ]

    def record(part: HistoryPart) -> list[bool]:
        return [part.record(ACME, rows, moment) for moment, rows in readings]

    if request.param == "sqlite":
        files = SqliteStore(tmp_path, clock)
        files.history(record)
        with closing(sqlite3.connect(tmp_path / HISTORY)) as other:
            yield lambda sql: other.execute(sql).fetchall()
        files.close()
        return
    with schema() as address:
        import psycopg

        from audience_mcp.store.postgres import PostgresStore

        database = PostgresStore(address, clock)
        database.history(record)
        with psycopg.connect(address, autocommit=True) as reader:
            reader.execute("SET TIME ZONE 'UTC'")
            yield lambda sql: reader.execute(sql.encode()).fetchall()
        database.close()


def test_each_query_of_the_guide_answers_what_it_says(ask: Ask) -> None:
    latest, total, growth = blocks("sql")[2:]
    assert {row[:3] for row in ask(latest)} == {("acme:a", "A", 30), ("acme:b", "B", None)}
    assert [(source, str(of), int(sum_), unknown) for source, of, sum_, unknown in ask(total)] == [
        ("acme", "2026-11-01", 15, 0),
        ("acme", "2026-11-08", 30, 1),
    ]
    changes = {(row[0], row[2], row[3], row[4]) for row in ask(growth)}
    assert changes == {
        ("acme:a", 10, 11, 1),
        ("acme:a", 10, 30, 20),
        ("acme:b", 5, 5, 0),
        ("acme:b", 5, None, None),
    }


def test_a_role_of_its_own_reads_the_view_and_nothing_else(clock: HandClock) -> None:
    clock.time = day(9) / 1000
    with schema() as address:
        import psycopg

        from audience_mcp.store.postgres import PostgresStore

        database = PostgresStore(address, clock)
        database.history(lambda part: part.record(ACME, [Row("a", "A", 10)], day(1)))
        database.close()
        role = f"bi_{os.getpid()}"
        with psycopg.connect(address, autocommit=True) as owner:
            name = owner.execute("SELECT current_schema()").fetchone()
            assert name is not None
            owner.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {name[0]} TO {role}".encode())
            try:
                owner.execute(blocks("sql")[1].replace(" bi;", f" {role}").encode())
                owner.execute(f"SET ROLE {role}".encode())
                assert owner.execute("SELECT ref, size FROM sizes").fetchall() == [("acme:a", 10)]
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute("SELECT * FROM audience_mcp_series")
            finally:
                owner.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}".encode())
