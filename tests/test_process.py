"""How a process of this program lives: what the garbage collector is spared."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


PASSES = """
import gc
from audience_mcp.core.process import tune_gc

tune_gc()
passes = 0

def count(phase, info):
    global passes
    passes += phase == "start" and info["generation"] == 1

gc.callbacks.append(count)
rows = [[] for _ in range(2_000_000)]
print(passes)
"""


def printed_by(program: str) -> str:
    """What a Python program prints in a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=True
    ).stdout


@pytest.mark.slow
def test_no_collection_goes_through_so_much_that_every_other_caller_waits() -> None:
    assert int(printed_by(PASSES)) >= 3  # of half a million each; with 20 young ones to each there is none


def test_a_reading_of_many_audiences_is_not_searched_for_garbage_again_and_again() -> None:
    collections, enabled, imports_spared = printed_by(COUNTS).split()
    assert 1 <= int(collections) <= 10  # as Python comes, it is a hundred and more
    assert (enabled, imports_spared) == ("True", "True")
