"""What processes share and can make again: readings, turns, pauses, leases, counted sizes.

Moments are by the database's own clock, and go in and out as seconds ago: hosts whose clocks differ still
agree. A clock that was set back makes what is stored look as if it were of the future: it is then taken to be
of now, so that nothing is held up for longer than it would have been.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from audience_mcp.store.database import SHARED_META, Database, hash_parts, place_of_processes, secret_in
from audience_mcp.store.encoding import Clean, as_it_is, decode_rows, encode_rows
from audience_mcp.store.stored import SAME_S, StoredCount, StoredReading, StoreError, Turn, from_ms, to_ms

READING_KEPT_S = 86_400
"""Seconds after which a reading is dropped, wanted or not."""
COUNT_KEPT_S = 7 * 86_400
"""Seconds after which a counted size is."""
PACE_KEPT_S = 7 * 86_400
"""Seconds after which turns, pauses and leases are."""
RENEWED_WITHIN_S = 30
"""Seconds after its last renewal for which a lease holds; then another process may take it."""
MAX_READINGS_BYTES = 256 * 1024 * 1024
"""Of all readings together; the oldest are dropped first."""


class SharedPart:
    """The shared part of a store, over a database. Every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def key_of(self, *parts: str) -> str:
        """The key of what belongs to these texts, of which some may be secret: 64 bits of an HMAC."""
        return hash_parts(secret_in(self._db, SHARED_META), parts)

    # Readings

    def find_reading(
        self, key: str, began_less_than_s: float | None = None, clean: Clean = as_it_is
    ) -> StoredReading | None:
        """The last complete reading, if there is one that began less than so many seconds ago.

        clean: takes keys out of its texts. One that cannot be decoded is deleted.
        """
        found = self._db.query(
            "SELECT as_of, started, first_page, ended, data, {now} FROM audience_mcp_readings "
            "WHERE key = ? AND started > {now} - ? AND first_page > {now} - ? AND ended <= {now}",
            (key, 1e12 if began_less_than_s is None else began_less_than_s, READING_KEPT_S),
        )
        if not found:
            return None
        as_of, started, first_page, ended, data, now = found[0]
        try:
            rows, facts = decode_rows(bytes(data), clean)
        except StoreError:
            self._db.note("readings_damaged")
            self._db.execute("DELETE FROM audience_mcp_readings WHERE key = ? AND as_of = ?", (key, as_of))
            return None
        return StoredReading(rows, from_ms(as_of), now - started, now - first_page, now - ended, **facts)

    def save_reading(self, key: str, reading: StoredReading, source: str) -> None:
        """Keep a complete reading, unless one that began later is there; drop what has grown old.

        source: the name under which the account is configured.
        """
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
                "INSERT INTO audience_mcp_readings (key, source, as_of, started, first_page, ended, data) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    key,
                    source,
                    to_ms(reading.as_of),
                    started,
                    now - reading.first_page_ago_s - took,
                    now - reading.ended_ago_s - took,
                    data,
                ),
            )
            self._make_room()

    def drop_old(self) -> None:
        """Delete what is too old to be used by anyone."""
        with self._db.transaction("readings"):
            self._drop_old(self._db.now())
            old = self._db.now() - PACE_KEPT_S
            self._db.execute("DELETE FROM audience_mcp_pauses WHERE begun + seconds <= ?", (old,))
            self._db.execute("DELETE FROM audience_mcp_leases WHERE renewed <= ?", (old,))
            taken = self._db.query("SELECT key, taken FROM audience_mcp_turns")
            for key, moments in taken:
                if array("d", bytes(moments))[-1:] <= array("d", [old]):
                    self._db.execute("DELETE FROM audience_mcp_turns WHERE key = ?", (key,))

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

    def take_turn(self, key: str, kind: str, limits: Sequence[tuple[int, float]], pause: str = "") -> Turn:
        """Take a turn for one request of a kind, if one is free now.

        key: the account. limits: so many requests in any stretch of so many seconds, all of which hold.
        pause: the name of the pause that holds for the request, beside that of the whole account.
        """
        if not limits:
            paused = self._paused_for(key, pause, self._db.now())
            return Turn(paused, paused)
        lane = f"{key} {kind}"
        with self._db.transaction(lane):
            # In one trip, since every request of every process waits for it.
            rows = self._db.query(
                "SELECT p.key, p.begun, p.seconds, t.taken FROM (SELECT 1 AS one) o "
                "LEFT JOIN audience_mcp_pauses p ON p.key IN (?, ?) "
                "LEFT JOIN audience_mcp_turns t ON t.key = ?",
                (key, _pause_key(key, pause), lane),
            )
            row = rows[0][3]
            now = self._db.now()
            paused = max(self._left_of(each, began, seconds, now) for each, began, seconds, _ in rows)
            if paused > 0:
                return Turn(paused, paused)
            taken = array("d")
            if row is not None:
                taken.frombytes(bytes(row))
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

    def pause(self, key: str, seconds: float, pause: str = "") -> None:
        """Make no request for `seconds` from now, or for longer where that was so already.

        pause: which requests of the account; all of them where it is empty.
        """
        with self._db.transaction(f"{key} pause"):
            now = self._db.now()
            if self._paused_for(key, pause, now) < seconds:
                self._write_pause(_pause_key(key, pause), now, seconds)

    def _paused_for(self, key: str, pause: str, now: float) -> float:
        keys = (key, _pause_key(key, pause))
        found = self._db.query(
            "SELECT key, begun, seconds FROM audience_mcp_pauses WHERE key IN (?, ?)", keys
        )
        left = (self._left_of(each, begun, seconds, now) for each, begun, seconds in found)
        return max(left, default=0.0)

    def _left_of(self, key: str, begun: float | None, seconds: float | None, now: float) -> float:
        """How many seconds are left of a pause."""
        if begun is None or seconds is None:
            return 0.0
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

    def claim(
        self,
        key: str,
        holder: str,
        is_fresh: Callable[[StoredReading], bool],
        *,
        began_less_than_s: float | None = None,
        older_than_s: float | None = None,
        clean: Clean = as_it_is,
    ) -> tuple[StoredReading | None, bool]:
        """Find a reading that serves, else become the one who reads: the reading, and whether that was done.

        A reading that does not serve is answered too, for when newer ones fail. is_fresh: whether one serves.
        began_less_than_s: of readings only one that began less than so many seconds ago. older_than_s: the
        place of a reader that began longer ago than that is taken.
        """
        found = self.find_reading(key, began_less_than_s, clean)
        if found is not None and is_fresh(found):
            return found, False
        with self._db.transaction(f"{key} lease"):
            ((started, now, *lease),) = self._db.query(
                "SELECT r.started, {now}, l.holder, l.begun, l.renewed FROM (SELECT 1 AS one) o "
                "LEFT JOIN audience_mcp_readings r ON r.key = ? LEFT JOIN audience_mcp_leases l ON l.key = ?",
                (key, key),
            )
            known_s = found.started_ago_s if found is not None else began_less_than_s or READING_KEPT_S
            has_newer = started is not None and now - started < known_s - SAME_S
            if not has_newer:
                return found, self._take(key, holder, lease, older_than_s)
        # It was saved meanwhile.
        newer = self.find_reading(key, None, clean)
        return newer or found, False

    def _take(self, key: str, holder: str, lease: Sequence[Any], older_than_s: float | None) -> bool:
        """Take a lease unless it holds. lease: its holder, and when it was taken and renewed."""
        now = self._db.now()
        other, begun, renewed = lease
        if other not in (None, holder):
            lives = 0 <= now - renewed < RENEWED_WITHIN_S and not _is_dead(other)
            too_old = older_than_s is not None and now - begun >= older_than_s
            if lives and not too_old:
                return False
        self._db.execute(
            "INSERT INTO audience_mcp_leases (key, holder, begun, renewed) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, begun = excluded.begun, "
            "renewed = excluded.renewed",
            (key, holder, now, now),
        )
        return True

    def renew_lease(self, key: str, holder: str) -> None:
        """Say that the reading continues. Nothing happens if another process has taken its place."""
        with self._db.transaction(f"{key} lease"):
            self._db.execute(
                "UPDATE audience_mcp_leases SET renewed = ? WHERE key = ? AND holder = ?",
                (self._db.now(), key, holder),
            )

    def release_lease(self, key: str, holder: str) -> None:
        """Say that the reading is over."""
        with self._db.transaction(f"{key} lease"):
            self._db.execute("DELETE FROM audience_mcp_leases WHERE key = ? AND holder = ?", (key, holder))

    # Counted sizes

    def find_counts(self, key: str) -> dict[str, StoredCount]:
        """The sizes that were requested one by one, by the audience's id."""
        found = self._db.query(
            "SELECT audience, size, size_max, note, sized_on, counted, {now} FROM audience_mcp_counts "
            "WHERE key = ? AND counted > {now} - ? AND counted <= {now}",
            (key, COUNT_KEPT_S),
        )
        return {
            id: StoredCount(size, size_max, note, from_ms(int(counted * 1000)), now - counted, sized_on)
            for id, size, size_max, note, sized_on, counted, now in found
        }

    def save_counts(self, key: str, counts: Mapping[str, StoredCount]) -> None:
        """Keep sizes that were asked for one by one."""
        with self._db.transaction(f"{key} counts"):
            now = self._db.now()
            self._db.execute_many(
                "INSERT INTO audience_mcp_counts (key, audience, size, size_max, note, sized_on, counted) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key, audience) DO UPDATE "
                "SET size = excluded.size, "
                "size_max = excluded.size_max, note = excluded.note, sized_on = excluded.sized_on, "
                "counted = excluded.counted",
                [
                    (key, id, count.size, count.size_max, count.note, count.sized_on, now - count.ago_s)
                    for id, count in counts.items()
                ],
            )

    # For people

    def readings(self) -> list[tuple[str, datetime]]:
        """The source's name and the moment of each kept reading."""
        found = self._db.query("SELECT source, as_of FROM audience_mcp_readings ORDER BY source, as_of")
        return [(str(source), from_ms(as_of)) for source, as_of in found]

    def clear(self, sources: Collection[str] | None = None) -> int:
        """Delete the readings and counts of these sources; or everything, turns and pauses too.

        Returns how many readings that were.
        """
        with self._db.transaction("readings"):
            found = self._db.query("SELECT key, source FROM audience_mcp_readings")
            keys = [str(key) for key, source in found if sources is None or source in sources]
            if sources is None:
                for table in ("readings", "counts", "turns", "pauses", "leases"):
                    self._db.execute(f"DELETE FROM audience_mcp_{table}")  # noqa: S608 (names of ours)
            for key in keys:
                self._db.execute("DELETE FROM audience_mcp_readings WHERE key = ?", (key,))
                self._db.execute("DELETE FROM audience_mcp_counts WHERE key = ?", (key,))
        self._db.shrink()
        return len(keys)


def _is_dead(holder: str) -> bool:
    """Whether the process that holds a lease is one of this computer that we would see, and has ended."""
    if os.name != "posix":  # elsewhere asking would end it
        return False
    place, _, rest = holder.rpartition(" ")[0].rpartition(" ")
    if place != place_of_processes() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _pause_key(key: str, pause: str) -> str:
    return f"{key} {pause}" if pause else key
