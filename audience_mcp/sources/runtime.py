"""What all sources of a catalog share while it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from audience_mcp.core.clock import Clock
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.signal import ChangeSignal
from audience_mcp.sources.traffic import Traffic

if TYPE_CHECKING:
    from audience_mcp.store.store import Store


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every reader, counter and look-up needs, handed down as one.

    tasks: where readings, counts and saves run; they outlive the call that started them. signal: what
    calls wait for. redactor: takes keys out of what vendors send and of what the store gives back. store:
    what is shared with other processes and kept over time; None where the store is off.
    patience_s: seconds that the store gets before a vendor is asked. traffic: counts requests to vendors.
    """

    tasks: TaskGroup
    signal: ChangeSignal
    clock: Clock
    redactor: Redactor
    store: Store | None = None
    patience_s: float = 2.0
    traffic: Traffic = field(default_factory=Traffic)
