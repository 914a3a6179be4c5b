"""Files that are not as they should be cost nothing but themselves, and nothing of the user's is deleted."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audience_mcp.core.audience import Row
from audience_mcp.store import default_folder, guard, open_store, sqlite
from audience_mcp.store.filesystems import network_type
from audience_mcp.store.sqlite import HISTORY, READINGS, SqliteStore
from audience_mcp.store.store import Store
from audience_mcp.store.stored import StoredReading, from_ms
from tests.store.uses import find_baseline, find_reading, key_of, record, save_reading
from tests.support.process import with_tests

MOMENT = 1_795_000_000_000
ROWS = [Row(f"a{n}", f"Audience {n}", n) for n in range(3000)]
pytestmark = pytest.mark.anyio


async def use(store: Store, rows: list[Row] = ROWS) -> tuple[bool, bool]:
    """Save and find again, record and compare: whether the readings, and whether the history, did it."""
    reading = StoredReading(rows, from_ms(MOMENT), 1, 1, 1)
    await save_reading(store, "k", reading)
    found = await find_reading(store, "k")
    await record(store, "x", rows, from_ms(MOMENT))
    baseline = await find_baseline(store, "x", from_ms(MOMENT), from_ms(MOMENT + 1))
    return found is not None, baseline is not None and len(baseline.audiences) == len(rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def kept(folder: Path) -> bytes:
    """The bytes of a history that is there already."""
    store = open_store(str(folder))
    assert await use(store) == (True, True)
    await store.aclose()
    return (folder / HISTORY).read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.glob(pattern))


def occupy(place: Path) -> None:
    """Put a file where the folder should be."""
    place.write_text("not a folder")


def make_read_only(mount: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)


@contextlib.contextmanager
def mounted(at: Path, options: str) -> Iterator[None]:
    """A small file system of its own."""
    at.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", at], capture_output=True).returncode:
        pytest.skip("mounting a file system needs root: run these tests as root in a container")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
async def test_nobody_else_may_read_folder_or_files_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert await use(open_store(str(folder))) == (True, True)
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert {mode(each) for each in files(folder)} == {0o600}


async def test_the_default_folder_is_the_users_own_for_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert default_folder() == tmp_path / "audience-mcp"
    assert default_folder().name == "audience-mcp"


async def test_damaged_readings_are_made_anew_and_that_is_told_once(folder: Path, kept: bytes) -> None:
    (folder / READINGS).write_bytes(b"this is no database" * 1000)
    store = open_store(str(folder))
    assert await use(store) == (True, True)
    note = store.take_note()
    assert note is not None
    assert "readings were damaged" in note
    assert await use(store) == (True, True)
    assert store.take_note() is None


@pytest.mark.parametrize("damage", ["all", "middle", "cut"])
async def test_damaged_history_is_moved_aside_whole_and_a_new_one_begins(
    folder: Path, kept: bytes, damage: str
) -> None:
    damaged = {
        "all": b"\x00" * 16 + kept[16:],
        "middle": kept[:5000] + b"\xff" * (len(kept) - 6000) + kept[-1000:],
        "cut": kept[: len(kept) // 2],
    }[damage]
    (folder / HISTORY).write_bytes(damaged)
    store = open_store(str(folder))
    await find_baseline(store, "x", from_ms(MOMENT), from_ms(MOMENT + 1))
    assert await use(store) == (True, True)
    note = store.take_note()
    assert note is not None
    assert "moved aside" in note
    (aside,) = files(folder, "history-damaged-*.sqlite3")
    assert aside.read_bytes() == damaged


@pytest.mark.parametrize("name", [READINGS, HISTORY])
async def test_a_file_of_a_newer_version_is_left_as_it_is(folder: Path, kept: bytes, name: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / name)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (folder / name).read_bytes()
    store = open_store(str(folder))
    assert await use(store) == (name != READINGS, name != HISTORY)
    assert (folder / name).read_bytes() == before
    note = store.take_note()
    assert note is not None
    assert "newer audience-mcp" in note


async def test_a_locked_store_is_done_without_and_used_again_when_it_is_free(
    folder: Path, kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_S", 0.05)
    monkeypatch.setattr(guard, "AGAIN_AFTER_S", 0.0)
    store = open_store(str(folder))
    with contextlib.ExitStack() as locks:
        for name in (READINGS, HISTORY):
            other = locks.enter_context(contextlib.closing(sqlite3.connect(folder / name)))
            other.execute("BEGIN EXCLUSIVE")
        assert await use(store) == (False, False)
    note = store.take_note()
    assert note is not None
    assert "locked" in note
    assert store.find_passed() == set()
    assert await use(store) == (True, True)
    assert await store.pace(lambda shared: True)
    assert store.take_note() is None
    # Another reader of notes who was there is told, and one who comes now is not: it is free again.
    assert store.take_note(set()) == note
    assert store.take_note(store.find_passed()) is None


async def test_a_store_that_failed_is_left_alone_for_a_while(folder: Path) -> None:
    occupy(folder)
    store = open_store(str(folder))
    assert await use(store) == (False, False)
    os.unlink(folder)
    assert await use(store) == (False, False)  # 30 s have not passed


async def test_a_place_that_cannot_be_a_folder_is_told_with_what_to_do(folder: Path) -> None:
    occupy(folder)
    store = open_store(str(folder))
    assert await use(store) == (False, False)
    note = store.take_note()
    assert note is not None
    assert "its folder cannot be used" in note


async def test_a_full_disk_is_done_without_and_nothing_stored_is_lost(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "size=600k"):
        folder = tmp_path / "small" / "store"
        store = open_store(str(folder))
        assert await use(store, ROWS[:100]) == (True, True)
        filler = tmp_path / "small" / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        await save_reading(store, "k2", StoredReading(ROWS, from_ms(MOMENT), 1, 1, 1))
        assert not await record(store, "x", ROWS, from_ms(MOMENT + 1000))
        note = store.take_note()
        assert note is not None
        assert "disk is full" in note
        await store.aclose()
        filler.unlink()
        again = open_store(str(folder))
        assert await find_reading(again, "k") is not None
        assert await find_reading(again, "k2") is None
        baseline = await find_baseline(again, "x", from_ms(MOMENT * 2), from_ms(MOMENT * 2))
        assert baseline is not None
        assert (baseline.as_of, len(baseline.audiences)) == (from_ms(MOMENT), 100)
        await again.aclose()


LIMITED = """
import anyio, resource, signal, sys
from audience_mcp.store import open_store
from tests.store.test_files import ROWS, use
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))
store = open_store(sys.argv[1])
print(anyio.run(use, store, ROWS * 10), store.take_note())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits on files are POSIX's")
def test_a_limit_on_the_size_of_files_is_done_without(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", with_tests(LIMITED), str(folder)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("(False, ")
    assert "could not be used" in done.stdout


async def test_a_read_only_file_system_is_told_and_done_without(tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "size=4m"):
        folder = tmp_path / "fixed" / "store"
        first = open_store(str(folder))
        assert await use(first) == (True, True)
        await first.aclose()
        make_read_only(tmp_path / "fixed")
        store = open_store(str(folder))
        await save_reading(store, "k", StoredReading(ROWS, from_ms(MOMENT), 1, 1, 1))
        # What is there can still be read.
        baseline = await find_baseline(store, "x", from_ms(MOMENT), from_ms(MOMENT + 1))
        assert baseline is not None
        note = store.take_note()
        assert note is not None
        assert "may not be written to" in note
        await store.aclose()
        other = open_store(str(tmp_path / "fixed" / "new"))
        assert await use(other) == (False, False)
        note = other.take_note()
        assert note is not None
        assert "may not be written to" in note


@pytest.mark.skipif(os.name != "posix", reason="elsewhere an open file cannot be deleted")
@pytest.mark.parametrize("whole", [True, False])
async def test_files_deleted_while_it_runs_are_made_anew(folder: Path, whole: bool) -> None:
    store = open_store(str(folder))
    assert await use(store) == (True, True)
    for name in (READINGS, HISTORY):
        for suffix in ("", "-journal"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    if whole:
        os.rmdir(folder)
    assert await find_reading(store, "k") is None
    assert await use(store) == (True, True)
    assert (folder / HISTORY).stat().st_size > 0
    assert store.take_note() is None


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:50 / /srv/people rw,relatime shared:1 - nfs4 server:/home rw
41 40 0:51 / /srv/people/local rw,relatime - tmpfs tmpfs rw
42 22 0:52 / /mnt/with\\040space rw,relatime - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/people/ana/.local/state/audience-mcp", "nfs4"),
        ("/srv/people/local/x", None),
        ("/srv/peoples/x", None),
        ("/mnt/with space/x", "cifs"),
        ("/var/x", None),
    ],
)
def test_a_network_file_system_is_known_by_what_is_mounted(path: str, kind: str | None) -> None:
    assert network_type(Path(path), MOUNTS) == kind


async def test_on_a_network_file_system_no_file_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "network_type", lambda path: "nfs4")
    store = open_store(str(folder))
    assert await use(store) == (False, False)
    assert not files(folder.parent)
    note = store.take_note()
    assert note is not None
    assert "network file system" in note


async def test_what_has_a_key_in_it_is_never_written_as_it_is(folder: Path) -> None:
    store = open_store(str(folder))
    key = await key_of(store, "batch", "https://api.batch.com", "canary-key-0123456789")
    other = await key_of(store, "batch", "https://api.batch.com", "canary-key-0123456780")
    assert key is not None
    assert (len(key), key == other) == (16, False)
    await save_reading(store, f"batch:{key}", StoredReading(ROWS, from_ms(MOMENT), 1, 1, 1))
    await store.shared(lambda shared: shared.take_turn(key, "", [(1, 1.0)]))
    await store.aclose()
    secrets = "batch", "https://api.batch.com", "canary-key-0123456789"
    assert await key_of(open_store(str(folder)), *secrets) == key
    assert await key_of(open_store(str(folder) + "2"), *secrets) != key
    assert files(folder)
    for file in files(folder):
        assert b"canary" not in file.read_bytes()


def test_opening_files_twice_in_one_process_is_the_same_store(folder: Path) -> None:
    one, other = SqliteStore(folder), SqliteStore(folder)
    assert one.shared(lambda part: part.key_of("a")) == other.shared(lambda part: part.key_of("a"))
    assert set(one.bytes()) == {"readings", "history"}
