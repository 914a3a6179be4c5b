"""How this process lives and ends: the garbage collector's tuning, and an end that nothing can hold up."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable

ALLOCATIONS_PER_COLLECTION = 100_000
"""Containers made, less those freed, before the collector looks at the new ones."""


def tune_gc() -> None:
    """Exempt what the imports made from garbage collection, and collect the rest less often.

    What is imported stays. Readings are a great many small objects without cycles, which go when they are
    no longer referred to; by its default the collector goes through all of them again and again while
    they are read, which is half of the CPU time of a hundred thousand audiences.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION, 20, 20)
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
