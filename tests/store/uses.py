"""What tests do with a store, in a word each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from audience_mcp.core.audience import Row
from audience_mcp.store.shared import SharedPart
from audience_mcp.store.store import Store
from audience_mcp.store.stored import Baseline, NoBaseline, Owner, StoredReading, to_ms


def owner(name: str = "x") -> Owner:
    """An account that is known by an id of its own."""
    return Owner("acme", "https://acme.example", name, (("project", name, False),))


def found(baseline: Baseline | NoBaseline | None) -> Baseline:
    """The baseline that there must be."""
    assert isinstance(baseline, Baseline)
    return baseline


def take_lease(part: SharedPart, key: str, holder: str, older_than_s: float | None = None) -> bool:
    """Become the one who reads a source of which no reading serves; whether that was done."""
    return part.claim(key, holder, lambda _: False, older_than_s=older_than_s)[1]


async def save_reading(store: Store, key: str, reading: StoredReading) -> None:
    await store.shared(lambda shared: shared.save_reading(key, reading, "acme"))


async def find_reading(store: Store, key: str) -> StoredReading | None:
    return await store.shared(lambda shared: shared.find_reading(key))


async def record(store: Store, name: str, rows: Sequence[Row], as_of: datetime) -> bool:
    """Keep a reading in the history; whether that was done."""
    return await store.history(lambda history: history.record(owner(name), rows, to_ms(as_of))) or False


async def find_baseline(store: Store, name: str, at: datetime, before: datetime) -> Baseline | None:
    made = await store.history(lambda history: history.baseline(owner(name), to_ms(at), to_ms(before)))
    return made if isinstance(made, Baseline) else None


async def key_of(store: Store, *parts: str) -> str | None:
    return await store.shared(lambda shared: shared.key_of(*parts))
