"""How a process of this program lives: what the garbage collector is spared."""

from __future__ import annotations

import subprocess
import sys

from tests.support.process import environment

COUNTS = """
import gc
from audience_mcp.core.process import tune_gc

gc.disable()
imported = [[] for _ in range(5000)]
tune_gc()
began = 0

def count(phase, info):
    global began
    began += phase == "start"

gc.callbacks.append(count)
rows = [[] for _ in range(300_000)]
print(began, gc.isenabled(), gc.get_freeze_count() >= 5000)
"""


def test_a_reading_of_many_audiences_is_not_searched_for_garbage_again_and_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTS],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    collections, enabled, imports_spared = done.stdout.split()
    assert 1 <= int(collections) <= 10  # as Python comes, it is a hundred and more
    assert (enabled, imports_spared) == ("True", "True")
