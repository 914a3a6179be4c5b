"""How this process lives and ends: the garbage collector's tuning, and an end that nothing can hold up."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

ALLOCATIONS_PER_COLLECTION = 100_000
"""Containers made, less those freed, before the collector looks at the new ones."""
YOUNG_PER_MIDDLE = 3
"""Collections of new containers before one of those that outlived a collection: what it goes through takes
about a tenth of a second.
"""
MIDDLE_PER_OLD = 100
"""Such collections before one of all containers."""


def tune_gc() -> None:
    """Exempt what the imports made from garbage collection, and collect the rest less often.

    What is imported stays. Readings are a great many small objects without cycles, which go when they are
    no longer referred to; by its default the collector goes through all of them again and again while
    they are read, which is half of the CPU time of a hundred thousand audiences. A collection holds up every
    thread, so what one goes through is kept small.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION, YOUNG_PER_MIDDLE, MIDDLE_PER_OLD)
    gc.enable()


def exit_within(seconds: float, code: Callable[[], int]) -> threading.Timer:
    """End the process after so many seconds, whatever still runs; cancel the timer to call that off.

    A thread that is stuck (a name look-up can be) would hold the exit for as long as it likes. `code` is
    asked for the exit code when the time is up.
    """
    timer = threading.Timer(seconds, lambda: os._exit(code()))
    timer.daemon = True
    timer.start()
    return timer


class HangupNote:
    """A handler of SIGHUP that does nothing but remember. came: whether it has come."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.came = True


def remember_hangup() -> None:
    """Let SIGHUP, which ends a process by default, leave a note for whoever can act on it later."""
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, HangupNote())


def fill_std_streams() -> None:
    """Stand in for a standard stream that was closed before the start: empty to read, nowhere to write.

    Python leaves None in its place, at which `print` writes to stdout; and the next file that is opened
    would get its number.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # noqa: PERF203 (three at most)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (open to the end)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
