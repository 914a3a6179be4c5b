"""Files that belong to other programs: read in full or not at all, replaced in one step, a copy kept."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from audience_mcp.hosts.known import HostError

MESSAGES = {
    "irregular": "{path} is not a regular file. Choose the host's configuration file with --file.",
    "unreadable": "{path} cannot be read: {why}.",
    "unwritable": "{path} cannot be written: {why}.",
    "not_utf8": "It is not UTF-8 text, so it was not changed.",
    "changed": "{path} was changed by another program just now, so it was not changed. Try again.",
}


def read(path: Path) -> bytes | None:
    """A file's bytes, or None where there is no file. Raises HostError, also for what is no regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be read for ever, a device written to
            raise HostError(MESSAGES["irregular"].format(path=path))
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise HostError(MESSAGES["unreadable"].format(path=path, why=e.strerror)) from None


def decode(raw: bytes | None) -> str:
    """The text of a file, its line ends as they are. Raises HostError."""
    try:
        text = (raw or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise HostError(MESSAGES["not_utf8"]) from None
    return text if text.strip("\ufeff \t\r\n") else ""


def replace(path: Path, before: bytes | None, text: str, *, secret: bool) -> Path | None:
    """Write the file in one step, keeping a copy of what was there; the copy. Raises HostError.

    before: what was read; if the file is no longer that, nothing is written. secret: whether it holds
    keys now, so that only its owner may read it.
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
                raise HostError(MESSAGES["changed"].format(path=path))
            backup = _backup(path, before, mode) if before is not None else None
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise HostError(MESSAGES["unwritable"].format(path=path, why=e.strerror)) from None
    return backup


def _backup(path: Path, content: bytes, mode: int) -> Path:
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
