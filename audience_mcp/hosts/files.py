"""Files of other programs: read in full or not at all, replaced atomically, with a backup."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from pathlib import Path

from audience_mcp.hosts.known import HostError


def read(path: Path) -> bytes | None:
    """Return a file's bytes, or None if it does not exist. Raises HostError, also for special files."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would never end
            raise HostError(
                f"{path} is not a regular file. Choose the host's configuration file with --file."
            )
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise HostError(f"{path} cannot be read: {e.strerror}.") from None


def decode(raw: bytes | None) -> str:
    """Return the text of a file with its line ends unchanged. Raises HostError."""
    try:
        text = (raw or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise HostError("It is not UTF-8 text, so it was not changed.") from None
    return text if text.strip("\ufeff \t\r\n") else ""


def replace(path: Path, before: bytes | None, text: str, *, secret: bool, backup: bool = True) -> Path | None:
    """Replace the file atomically and back up what was there. Returns the backup's path. Raises HostError.

    before: what was read; if the file is no longer that, nothing is written. secret: whether it holds
    keys now, so that only its owner may read it. backup: whether to keep what was there.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if before is not None else 0o600
        if secret:
            mode &= 0o700
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with open(handle, "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            if before is not None and hasattr(os, "chown"):
                with contextlib.suppress(PermissionError):  # with sudo, the file stays its owner's
                    os.chown(temporary, target.stat().st_uid, target.stat().st_gid)
            if read(path) != before:
                raise HostError(
                    f"{path} was changed by another program just now, so it was not changed. Try again."
                )
            saved = _back_up(path, before, mode) if backup and before is not None else None
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise HostError(f"{path} cannot be written: {e.strerror}.") from None
    return saved


def list_backups(path: Path) -> list[Path]:
    """Return the backups that `replace` has made of a file."""
    name = re.compile(rf"{re.escape(path.name)}\.bak\d*")
    return sorted(each for each in path.parent.glob("*") if name.fullmatch(each.name) and each.is_file())


def _back_up(path: Path, content: bytes, mode: int) -> Path:
    number = 1
    while True:
        backup = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except FileExistsError:
            number += 1
            continue
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(backup, mode)
        return backup
