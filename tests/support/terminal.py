"""The program on a terminal of a given width: what a person sees, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.support.process import environment

SAYS_WITHIN_S = 60
"""How long a program may take over all it says; one that hangs fails its test and is ended."""

CTRL_C = "\x03"
"""Typed when the program waits quietly, and again while it does.

Python's `input` misses a signal that comes just before it begins to wait, until the next key.
"""
QUIET_S = 0.5

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Seen:
    """What came to the terminal, and the exit code."""

    raw: str
    code: int

    @property
    def lines(self) -> list[str]:
        """The lines without colours and without the space that fills them."""
        return [line.rstrip() for line in ESCAPES.sub("", self.raw).replace("\r\n", "\n").split("\n")]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def _own_terminal() -> None:
    """Make stdin the terminal that Ctrl-C comes from."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def on_a_terminal(
    *arguments: str,
    columns: int,
    typed: Sequence[tuple[str, str]] | None = None,
    progress: bool = False,
    **variables: str,
) -> Seen:
    """Run `python -m audience_mcp` on a terminal; stderr goes there too only where `progress` is wanted.

    typed: steps, each a text to wait for and what is then typed.
    """
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "audience_mcp", *arguments],
        stdin=its,
        stdout=its,
        stderr=its if progress or typed else subprocess.DEVNULL,
        env=environment(**{"TERM": "xterm-256color", "LANG": "C.UTF-8", **variables}),
        preexec_fn=_own_terminal,
    )
    os.close(its)
    came, after = bytearray(), 0
    steps = list(typed or ())
    try:
        for part in _parts(mine):
            came += part
            if not steps:
                continue
            awaited, answer = steps[0]
            place = came.find(awaited.encode(), after)
            if place >= 0 and not (part and answer == CTRL_C):
                os.write(mine, answer.encode())
                after = place + len(awaited.encode())
                steps = steps if answer == CTRL_C else steps[1:]
        return Seen(came.decode("utf-8"), process.wait(timeout=30))
    finally:
        os.close(mine)
        process.kill()
        process.wait()


def _parts(terminal: int) -> Iterator[bytes]:
    """What comes to the terminal until no one has it open; nothing, whenever it is quiet for a moment.

    Raises AssertionError after `SAYS_WITHIN_S`.
    """
    until = time.monotonic() + SAYS_WITHIN_S
    while True:
        ready, _, _ = select.select([terminal], [], [], QUIET_S)
        assert time.monotonic() < until, f"the program was not done after {SAYS_WITHIN_S} s"
        if not ready:
            yield b""
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that the terminal is closed at the other end
            return
        if not part:
            return
        yield part
