"""The history as a database holds it: series of accounts, moments of readings, intervals of sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from audience_mcp.store.database import Database
from audience_mcp.store.series import Interval, State


class HistoryTables:
    """What the tables of a history hold. Every method raises StoreError.

    Who changes something holds a transaction of the account; only `new_series` takes one of its own. Moments
    are milliseconds since 1970, audiences go by their numbers in the series' state.
    """

    def __init__(self, database: Database) -> None:
        self.db = database

    def series(self, account: str) -> tuple[int | None, State]:
        """The newest series of an account, and its state."""
        found = self.db.query(
            "SELECT id, state FROM audience_mcp_series WHERE account = ? ORDER BY id DESC LIMIT 1", (account,)
        )
        return (int(found[0][0]), State.decode(bytes(found[0][1]))) if found else (None, State())

    def account_of(self, series: int) -> str:
        """The account that a series belongs to."""
        return str(self.db.query("SELECT account FROM audience_mcp_series WHERE id = ?", (series,))[0][0])

    def state_of(self, series: int) -> State:
        """What is known of a series as of its newest reading."""
        data = self.db.query("SELECT state FROM audience_mcp_series WHERE id = ?", (series,))[0][0]
        return State.decode(bytes(data))

    def new_series(self, account: str) -> int:
        """Begin a series; its number is higher than any other's."""
        with self.db.transaction("series"):
            (highest,) = self.db.query("SELECT MAX(id) FROM audience_mcp_series")[0]
            series = (highest or 0) + 1
            self.db.execute(
                "INSERT INTO audience_mcp_series (id, account, state) VALUES (?, ?, ?)",
                (series, account, State().encode()),
            )
        return int(series)

    def write(self, series: int, state: State) -> None:
        """Keep the state of a series."""
        self.db.execute("UPDATE audience_mcp_series SET state = ? WHERE id = ?", (state.encode(), series))

    def points(self, series: int | None) -> list[int]:
        """The moments of a series' readings, the oldest first."""
        found = self.db.query(
            "SELECT moment FROM audience_mcp_points WHERE series = ? ORDER BY moment", (series,)
        )
        return [int(moment) for (moment,) in found]

    def find_ended(
        self, series: int, numbers: Iterable[int] | None = None, since: int = 0
    ) -> dict[int, list[Interval]]:
        """The intervals that are over, by the audience's number."""
        sql = "SELECT audience, first, last, size FROM audience_mcp_sizes WHERE series = ? AND last >= ?"
        wanted = None if numbers is None else set(numbers)
        only = next(iter(wanted)) if wanted and len(wanted) == 1 else None
        found = (
            self.db.query(f"{sql} ORDER BY last", (series, since))
            if only is None
            else self.db.query(f"{sql} AND audience = ? ORDER BY last", (series, since, only))
        )
        ended: dict[int, list[Interval]] = {}
        for number, *interval in found:
            if wanted is None or number in wanted:
                ended.setdefault(int(number), []).append(Interval(*interval))
        return ended

    def all_points(self) -> list[tuple[int, int]]:
        """The series and moment of every reading, the oldest first."""
        found = self.db.query("SELECT series, moment FROM audience_mcp_points ORDER BY moment")
        return [(int(series), int(moment)) for series, moment in found]

    def add_point(self, series: int, moment: int) -> None:
        """Add a reading."""
        self.db.execute("INSERT INTO audience_mcp_points (series, moment) VALUES (?, ?)", (series, moment))

    def delete_points(self, series: int, moments: Sequence[int]) -> None:
        """Forget readings, and the intervals in which no reading is left."""
        self.db.execute_many(
            "DELETE FROM audience_mcp_points WHERE series = ? AND moment = ?",
            [(series, each) for each in moments],
        )
        self.db.execute(
            "DELETE FROM audience_mcp_sizes WHERE series = ? AND last <= ? AND NOT EXISTS (SELECT 1 FROM "
            "audience_mcp_points p WHERE p.series = audience_mcp_sizes.series AND p.moment "
            "BETWEEN audience_mcp_sizes.first AND audience_mcp_sizes.last)",
            (series, max(moments)),
        )

    def numbers_used(self, series: int) -> set[int]:
        """The audiences of which an interval is over."""
        found = self.db.query("SELECT DISTINCT audience FROM audience_mcp_sizes WHERE series = ?", (series,))
        return {int(number) for (number,) in found}

    def end(self, series: int, over: Iterable[tuple[int, Interval]]) -> None:
        """Keep intervals that are over, by the audience's number."""
        self.db.execute_many(
            "INSERT INTO audience_mcp_sizes (series, last, audience, first, size) VALUES (?, ?, ?, ?, ?)",
            [(series, each.last, number, each.first, each.size) for number, each in sorted(over)],
        )

    def remove(self, series: int, number: int, over: Iterable[Interval]) -> None:
        """Take intervals of one audience away."""
        for each in over:
            self.db.execute(
                "DELETE FROM audience_mcp_sizes WHERE series = ? AND last = ? AND audience = ?",
                (series, each.last, number),
            )

    def renumber(self, series: int, renumbered: Mapping[int, int]) -> None:
        """Give audiences other numbers, as their state has them."""
        ended = self.find_ended(series)
        self.db.execute("DELETE FROM audience_mcp_sizes WHERE series = ?", (series,))
        self.end(series, [(renumbered[n], each) for n, intervals in ended.items() for each in intervals])

    def delete_series(self, series: int) -> None:
        """Forget a series."""
        for table in ("sizes", "points"):
            self.db.execute(f"DELETE FROM audience_mcp_{table} WHERE series = ?", (series,))  # noqa: S608
        self.db.execute("DELETE FROM audience_mcp_series WHERE id = ?", (series,))
