"""Look-ups: one for all who want the same audience, and none for nobody."""

from __future__ import annotations

import anyio
import pytest

from audience_mcp.config import Account, Source
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.lookups import AT_ONCE, LookUp, LookUps
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.signal import ChangeSignal
from tests.support.clock import FakeClock
from tests.support.scripted import Direct, Script, settled

pytestmark = pytest.mark.anyio


def source() -> Source:
    vendor = Direct()
    return Source("direct", vendor, Account("direct", vendor, {"base_url": "https://acme.example"}, {}))


def asked(look_ups: LookUps) -> LookUp:
    look_up = look_ups.ask("a1")
    assert look_up is not None
    return look_up


async def test_who_comes_as_the_last_one_leaves_asks_anew_and_is_not_told_that_there_is_none() -> None:
    never, answer = anyio.Event(), {"id": "a1", "name": "One"}
    script, changes = Script(ones={"a1": [(never, answer), answer]}), ChangeSignal(FakeClock())
    async with anyio.create_task_group() as tasks:
        runtime = Runtime(tasks, changes, FakeClock(), Redactor())
        look_ups = LookUps(source(), script.fetch, runtime)
        first = asked(look_ups)
        first.waiting += 1
        await settled()
        first.leave()  # it is told to end, and has not ended yet
        second = asked(look_ups)
        await settled()
        assert second.row is not None
        assert second.row.name == "One"
        assert (first.row, first.error is not None) == (None, True)
    assert script.asked == ["a1", "a1"]


async def test_no_more_than_a_few_are_under_way_at_a_source() -> None:
    never = anyio.Event()
    script = Script(ones={f"a{n}": (never, {"id": f"a{n}"}) for n in range(50)})
    async with anyio.create_task_group() as tasks:
        clock = FakeClock()
        look_ups = LookUps(source(), script.fetch, Runtime(tasks, ChangeSignal(clock), clock, Redactor()))
        asked = [look_ups.ask(f"a{n}") for n in range(50)]
        await settled()
        assert len(script.asked) == AT_ONCE
        assert look_ups.ask("a0") is asked[0]
        for found in asked[AT_ONCE:]:
            assert found is not None
            assert found.error is not None
            assert "too many audiences at once" in found.error.message
        tasks.cancel_scope.cancel()
