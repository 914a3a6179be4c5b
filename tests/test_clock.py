"""The real clock, which is the only thing here that cannot be tried by hand."""

from __future__ import annotations

import time

import pytest

from audience_mcp.core.clock import SLACK_S, Clock

pytestmark = pytest.mark.anyio


async def test_hours_that_the_computer_slept_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wall = Clock(), time.time
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: wall() + 8 * 3600)  # the wall clock went on, the loop's did not
    assert clock.now() - before >= 8 * 3600 - SLACK_S
    monkeypatch.setattr(time, "time", lambda: wall() - 8 * 3600)
    assert clock.now() - before >= 8 * 3600 - SLACK_S


async def test_a_clock_set_a_little_forward_or_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wall = Clock(), time.time
    before = clock.now()
    for seconds in (1, -3600):
        monkeypatch.setattr(time, "time", lambda by=seconds: wall() + by)
        assert clock.now() - before < SLACK_S


async def test_a_deadline_is_left_when_it_comes() -> None:
    clock = Clock()
    with clock.move_on_at(clock.now()) as scope:
        await clock.sleep(3600)
    assert scope.cancelled_caught
