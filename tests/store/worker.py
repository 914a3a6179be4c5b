"""What another process does with a store, for the tests: python -m tests.store.worker WHAT WHERE [NUMBER]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from audience_mcp.core.audience import Row
from audience_mcp.store.database import new_holder
from audience_mcp.store.guard import Backend
from audience_mcp.store.sqlite import SqliteStore
from audience_mcp.store.stored import StoredReading, from_ms
from tests.store.uses import owner, take_lease

RATE = (1, 0.05)
ROWS = 3000


def open_at(where: str, moments: list[float] | None = None) -> Backend:
    """The store there; `moments` takes down what time it was whenever the store asked."""
    seen = [] if moments is None else moments
    if not where.startswith("postgresql://"):
        return SqliteStore(Path(where), lambda: seen.append(time.time()) or seen[-1])  # type: ignore[func-returns-value]
    from audience_mcp.store.postgres import PostgresDatabase, PostgresStore

    plain = PostgresDatabase.now

    def now(self: Any) -> float:
        seen.append(plain(self))
        return seen[-1]

    PostgresDatabase.now = now  # type: ignore[method-assign]
    return PostgresStore(where)


def take_turns(where: str, number: int) -> None:
    """Take so many turns, and tell when each was taken, by the clock that the store goes by."""
    moments: list[float] = []
    store = open_at(where, moments)
    for _ in range(number):
        while wait := store.shared(lambda part: part.take_turn("k", "", [RATE])).wait_s:
            time.sleep(wait)
        print(repr(moments[-1]), flush=True)


def hold_lease(where: str) -> None:
    """Read a source for ever."""
    store = open_at(where)
    print(store.shared(lambda part: take_lease(part, "k", new_holder())), flush=True)
    sys.stdin.read()


def write(where: str) -> None:
    """Save and record without end; all sizes of one reading are the same."""
    store = open_at(where)
    for number in range(10**6):
        _write_one(store, number)
        print(number, flush=True)


def _write_one(store: Backend, number: int) -> None:
    rows = [Row(f"a{n}", f"Audience {n}", number) for n in range(ROWS)]
    moment = 1_795_000_000_000 + number
    store.history(lambda part: part.record(owner(), rows, moment))
    store.shared(lambda part: part.save_reading("k", StoredReading(rows, from_ms(moment), 1, 1, 1), "acme"))


def make(where: str) -> None:
    """Make the store, once somebody says so."""
    print("ready", flush=True)
    sys.stdin.readline()
    store = open_at(where)
    print(
        store.shared(lambda part: part.key_of("a")), store.history(lambda part: part.contents()), flush=True
    )


def main() -> None:
    """Do what the command line says."""
    what, where, *rest = sys.argv[1:]
    if what == "take_turns":
        take_turns(where, int(rest[0]))
    else:
        {"hold_lease": hold_lease, "write": write, "make": make}[what](where)
