"""What was read before: shared between processes, and remembered as history.

`open_store` makes a `Store` from the setting; nothing is opened, and no driver
imported, before its first use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audience_mcp.core.clock import Clock
    from audience_mcp.store.guard import Backend
    from audience_mcp.store.store import Store

DATABASE_SCHEMES = ("postgresql://", "postgres://")
"""How a setting begins that is a database and not a folder."""
SAVED_WITHIN_S = 0.7
"""Seconds that pending saves get at the shutdown of a server."""
AT_ONCE = 4
"""Connections to a database for each lane: readings, pace, history."""


def is_database(setting: str) -> bool:
    """Whether a setting of the store is a database's address."""
    return setting.startswith(DATABASE_SCHEMES)


def open_store(setting: str | None, clock: Clock | None = None) -> Store:
    """A store in a folder or a database; in the user's state folder where nothing is said."""
    from audience_mcp.store.store import Store

    def now() -> float:
        return time.time() if clock is None else clock.utc().timestamp()

    def make(told: Callable[[str], None]) -> Backend:
        if setting is not None and is_database(setting):
            from audience_mcp.store.postgres import PostgresStore

            return PostgresStore(setting, told=told)
        from audience_mcp.store.sqlite import SqliteStore

        return SqliteStore(Path(os.path.expanduser(setting)) if setting else default_folder(), now, told)

    # To a folder there is one connection a lane; a database may be far away.
    return Store(make, AT_ONCE if setting is not None and is_database(setting) else 1)


def default_folder() -> Path:
    """The folder for what programs remember for a user."""
    import platformdirs

    return platformdirs.user_state_path("audience-mcp", appauthor=False)
