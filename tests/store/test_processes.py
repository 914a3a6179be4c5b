"""Several real processes on one store, over each kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from audience_mcp.store.database import new_holder
from audience_mcp.store.guard import Backend
from audience_mcp.store.shared import RENEWED_WITHIN_S
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.store.stored import Baseline, to_ms
from tests.store.conftest import HandClock
from tests.store.uses import owner, take_lease
from tests.store.worker import RATE, ROWS, open_at
from tests.support.postgres import schema
from tests.support.process import with_tests

pytestmark = pytest.mark.slow

WITHIN_S = 60


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "store")
    else:
        with schema() as address:
            yield address


@contextmanager
def worker(what: str, where: str, *rest: object) -> Iterator[subprocess.Popen[str]]:
    code = with_tests("from tests.store.worker import main\nmain()")
    command = [sys.executable, "-c", code, what, where, *map(str, rest)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_four_processes_together_keep_to_the_pace_of_one(where: str) -> None:
    with (
        worker("take_turns", where, 10) as a,
        worker("take_turns", where, 10) as b,
        worker("take_turns", where, 10) as c,
        worker("take_turns", where, 10) as d,
    ):
        taken = [
            float(line) for each in (a, b, c, d) for line in each.communicate(timeout=WITHIN_S)[0].split()
        ]
    taken.sort()
    assert len(taken) == 40
    assert all(later - earlier >= RATE[1] - 1e-6 for earlier, later in pairwise(taken))


def test_a_reader_that_is_killed_is_replaced_at_once(where: str) -> None:
    store = open_at(where)
    with worker("hold_lease", where) as reader:
        assert line_of(reader) == "True"
        assert not store.shared(lambda part: take_lease(part, "k", new_holder()))
        reader.kill()
        reader.wait(WITHIN_S)
        assert store.shared(lambda part: take_lease(part, "k", new_holder()))
    store.close()


def test_a_reader_that_hangs_is_replaced_once_it_has_not_renewed_for_long(tmp_path: Path) -> None:
    clock = HandClock()
    with worker("hold_lease", str(tmp_path)) as reader:
        assert line_of(reader) == "True"
        os.kill(reader.pid, signal.SIGSTOP)
        store = SqliteStore(tmp_path, clock)
        (renewed,) = SqliteStore(tmp_path)._readings.query("SELECT renewed FROM audience_mcp_leases")[0]
        clock.time = renewed + RENEWED_WITHIN_S - 1
        assert not store.shared(lambda part: take_lease(part, "k", new_holder()))
        clock.time += 1
        assert store.shared(lambda part: take_lease(part, "k", new_holder()))
        store.close()


def test_a_process_killed_in_mid_write_leaves_whole_readings_behind(where: str) -> None:
    for kill_after in (1, 2, 3, 5, 8):
        with worker("write", where) as writer:
            for _ in range(kill_after):
                line_of(writer)
            writer.kill()
            writer.wait(WITHIN_S)
        store = open_at(where)
        _assert_whole(store)
        store.close()


def _assert_whole(store: Backend) -> None:
    reading = store.shared(lambda part: part.find_reading("k"))
    assert reading is not None
    assert {row.size for row in reading.rows} == {to_ms(reading.as_of) - 1_795_000_000_000}
    assert len(reading.rows) == ROWS
    for point in store.history(lambda part: part._tables.points(1)):
        baseline = store.history(lambda part, point=point: part.baseline(owner(), point, 2**50))  # type: ignore[misc]
        assert isinstance(baseline, Baseline)
        assert {past.size for past in baseline.audiences.values()} == {point - 1_795_000_000_000}
        assert len(baseline.audiences) == ROWS
    if isinstance(store, SqliteStore):
        for file in (store._readings, store._history):
            assert file.query("PRAGMA integrity_check") == [("ok",)]


def test_two_processes_that_make_a_store_at_once_make_one(where: str) -> None:
    with worker("make", where) as a, worker("make", where) as b:
        for each in (a, b):
            assert line_of(each) == "ready"
        for each in (a, b):
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        first, second = line_of(a), line_of(b)
    assert first == second
    assert len(first.split()[0]) == 16
