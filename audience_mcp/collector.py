"""The garbage collector, told what this program is like."""

from __future__ import annotations

import gc

ALLOCATIONS_PER_LOOK = 100_000
"""Containers made, less those freed, before the collector looks at the new ones."""


def settle() -> None:
    """Leave what the imports made alone, and look at the rest less often.

    What is imported stays. Readings are a great many small objects without cycles, which go when they are
    no longer referred to; by its default the collector goes through all of them again and again while
    they are read, which is half of the CPU time of a hundred thousand audiences.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS_PER_LOOK, 20, 20)
    gc.enable()
