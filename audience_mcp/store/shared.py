"""What processes share and can make anew: readings, turns, pauses, leases, counted sizes.

Moments are by the database's own clock, and go in and out as "so long ago": hosts whose clocks differ still
agree. A clock that was set back makes what is stored look as if it were of the future: it is then taken to be
of now, so that nothing is held up for longer than it would have been.
"""

from __future__ import annotations

import os
import socket
from array import array
from collections.abc import Mapping, Sequence

from audience_mcp.store.database import Database, secret_in
from audience_mcp.store.encoding import decode_rows, encode_rows
from audience_mcp.store.values import StoredCount, StoredReading, Turn, from_ms, to_ms

READING_KEPT_S = 86_400
"""A reading is dropped after so long, wanted or not."""
COUNT_KEPT_S = 7 * 86_400
"""A counted size, likewise."""
STIRRED_WITHIN_S = 30
"""Whoever reads a source says so again and again; after so long without, another may read it."""
MAX_READINGS_BYTES = 256 * 1024 * 1024
"""Of all readings together; the oldest go first."""


class SharedPart:
    """The shared part of a store, over a database. Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def secret(self) -> bytes:
        """The random secret under which credentials become keys."""
        return secret_in(self._db, "audience_mcp_meta")

    # Readings

    def find_reading(self, key: str, begun_less_than_s: float | None = None) -> StoredReading | None:
        """The last complete reading, if there is one that began less than so long ago."""
        now = self._db.now()
        since = 0.0 if begun_less_than_s is None else now - begun_less_than_s
        found = self._db.query(
            "SELECT as_of, started, first_page, ended, data FROM audience_mcp_readings "
            "WHERE key = ? AND started > ? AND first_page > ? AND ended <= ?",
            (key, since, now - READING_KEPT_S, now),
        )
        if not found:
            return None
        as_of, started, first_page, ended, data = found[0]
        rows, facts = decode_rows(bytes(data))
        return StoredReading(rows, from_ms(as_of), now - started, now - first_page, now - ended, **facts)

    def save_reading(self, key: str, reading: StoredReading) -> None:
        """Keep a complete reading, unless one that began later is there; drop what has grown old."""
        facts = {
            "pages": reading.pages,
            "total": reading.total,
            "invalid": reading.invalid,
            "duplicates": reading.duplicates,
            "notes": list(reading.notes),
        }
        written = self._db.now()
        data = encode_rows(reading.rows, facts)
        with self._db.transaction("readings"):
            now = self._db.now()
            self._drop_old(now)
            took = now - written
            started = now - reading.started_ago_s - took
            if self._db.query(
                "SELECT 1 FROM audience_mcp_readings WHERE key = ? AND started > ?", (key, started)
            ):
                return
            self._db.execute("DELETE FROM audience_mcp_readings WHERE key = ?", (key,))
            self._db.execute(
                "INSERT INTO audience_mcp_readings (key, as_of, started, first_page, ended, data) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    key,
                    to_ms(reading.as_of),
                    started,
                    now - reading.first_page_ago_s - took,
                    now - reading.ended_ago_s - took,
                    data,
                ),
            )
            self._make_room()

    def _drop_old(self, now: float) -> None:
        # Those of the future are of a clock that was wrong.
        self._db.execute(
            "DELETE FROM audience_mcp_readings WHERE first_page <= ? OR ended > ?",
            (now - READING_KEPT_S, now),
        )
        self._db.execute("DELETE FROM audience_mcp_counts WHERE counted <= ?", (now - COUNT_KEPT_S,))

    def _make_room(self) -> None:
        rows = self._db.query("SELECT key, LENGTH(data) FROM audience_mcp_readings ORDER BY ended DESC")
        room = MAX_READINGS_BYTES
        for key, length in rows:
            room -= length
            if room < 0:
                self._db.execute("DELETE FROM audience_mcp_readings WHERE key = ?", (key,))

    # Turns and pauses

    def take_turn(self, key: str, kind: str, limits: Sequence[tuple[int, float]]) -> Turn:
        """Take a turn for one request of a kind, if one is free now.

        key: the account. limits: so many requests in any stretch of so many seconds, all of which hold.
        """
        if not limits:
            paused = self._paused_for(key, self._db.now())
            return Turn(paused, paused)
        lane = f"{key} {kind}"
        with self._db.transaction(lane):
            now = self._db.now()
            paused = self._paused_for(key, now)
            if paused > 0:
                return Turn(paused, paused)
            found = self._db.query("SELECT taken FROM audience_mcp_turns WHERE key = ?", (lane,))
            taken = array("d")
            if found:
                taken.frombytes(bytes(found[0][0]))
            ahead = taken[-1] - now if taken else 0.0
            if ahead > 0:
                taken = array("d", (moment - ahead for moment in taken))
            free = max(
                (taken[-count] + seconds for count, seconds in limits if len(taken) >= count), default=now
            )
            if free > now:
                if ahead > 0:
                    self._write_turns(lane, taken)
                return Turn(free - now)
            taken.append(now)
            self._write_turns(lane, taken[-max(count for count, _ in limits) :])
            return Turn(0.0)

    def _write_turns(self, lane: str, taken: array[float]) -> None:
        self._db.execute(
            "INSERT INTO audience_mcp_turns (key, taken) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET taken = excluded.taken",
            (lane, taken.tobytes()),
        )

    def pause(self, key: str, seconds: float) -> None:
        """Leave an account alone for so long from now, or for longer where it was to be so already."""
        with self._db.transaction(f"{key} pause"):
            now = self._db.now()
            if self._paused_for(key, now) < seconds:
                self._write_pause(key, now, seconds)

    def _paused_for(self, key: str, now: float) -> float:
        found = self._db.query("SELECT begun, seconds FROM audience_mcp_pauses WHERE key = ?", (key,))
        if not found:
            return 0.0
        begun, seconds = found[0]
        if begun > now:
            self._write_pause(key, now, seconds)
            begun = now
        return max(0.0, float(begun + seconds - now))

    def _write_pause(self, key: str, begun: float, seconds: float) -> None:
        self._db.execute(
            "INSERT INTO audience_mcp_pauses (key, begun, seconds) VALUES (?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET begun = excluded.begun, seconds = excluded.seconds",
            (key, begun, seconds),
        )

    # Leases

    def take_lease(self, key: str, holder: str, begun_less_than_s: float | None = None) -> bool:
        """Become the one who reads a source; False where another is, and lives.

        begun_less_than_s: do not wait for one who began longer ago than that, but take its place.
        """
        with self._db.transaction(f"{key} lease"):
            now = self._db.now()
            found = self._db.query(
                "SELECT holder, begun, stirred FROM audience_mcp_leases WHERE key = ?", (key,)
            )
            if found and found[0][0] != holder:
                other, begun, stirred = found[0]
                lives = 0 <= now - stirred < STIRRED_WITHIN_S and not _is_dead(other)
                too_old = begun_less_than_s is not None and now - begun >= begun_less_than_s
                if lives and not too_old:
                    return False
            self._db.execute(
                "INSERT INTO audience_mcp_leases (key, holder, begun, stirred) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, begun = excluded.begun, "
                "stirred = excluded.stirred",
                (key, holder, now, now),
            )
            return True

    def renew_lease(self, key: str, holder: str) -> None:
        """Say that the reading goes on. Nothing happens where another has taken its place."""
        with self._db.transaction(f"{key} lease"):
            self._db.execute(
                "UPDATE audience_mcp_leases SET stirred = ? WHERE key = ? AND holder = ?",
                (self._db.now(), key, holder),
            )

    def release_lease(self, key: str, holder: str) -> None:
        """Say that the reading is over."""
        with self._db.transaction(f"{key} lease"):
            self._db.execute("DELETE FROM audience_mcp_leases WHERE key = ? AND holder = ?", (key, holder))

    # Counted sizes

    def find_counts(self, key: str) -> dict[str, StoredCount]:
        """The sizes that were asked for one by one, by the audience's id."""
        now = self._db.now()
        found = self._db.query(
            "SELECT audience, size, size_max, note, counted FROM audience_mcp_counts "
            "WHERE key = ? AND counted > ? AND counted <= ?",
            (key, now - COUNT_KEPT_S, now),
        )
        return {
            id: StoredCount(size, size_max, note, from_ms(int(counted * 1000)), now - counted)
            for id, size, size_max, note, counted in found
        }

    def save_counts(self, key: str, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were asked for one by one."""
        with self._db.transaction(f"{key} counts"):
            now = self._db.now()
            self._db.execute_many(
                "INSERT INTO audience_mcp_counts (key, audience, size, size_max, note, counted) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key, audience) DO UPDATE SET size = excluded.size, "
                "size_max = excluded.size_max, note = excluded.note, counted = excluded.counted",
                [
                    (key, id, count.size, count.size_max, count.note, now - count.ago_s)
                    for id, count in counts.items()
                ],
            )

    # For people

    def readings(self) -> list[tuple[str, int]]:
        """The key and the moment of each kept reading."""
        return [
            (str(key), int(as_of))
            for key, as_of in self._db.query("SELECT key, as_of FROM audience_mcp_readings ORDER BY key")
        ]

    def clear(self, keys: Sequence[str] | None = None) -> None:
        """Forget the readings and counts of these keys; or everything, turns and pauses too."""
        with self._db.transaction("readings"):
            if keys is None:
                for table in ("readings", "counts", "turns", "pauses", "leases"):
                    self._db.execute(f"DELETE FROM audience_mcp_{table}")  # noqa: S608 (names of ours)
            for key in keys or ():
                self._db.execute("DELETE FROM audience_mcp_readings WHERE key = ?", (key,))
                self._db.execute("DELETE FROM audience_mcp_counts WHERE key = ?", (key,))


def _is_dead(holder: str) -> bool:
    """Whether the process that holds a lease is one of this computer, and has ended."""
    if os.name != "posix":  # elsewhere asking would end it
        return False
    host, _, rest = holder.rpartition(" ")[0].rpartition(" ")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
