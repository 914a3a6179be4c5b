"""Whether each source can be read: one page of each is asked for, all at the same time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio
from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.catalog.models import Problem
from audience_mcp.catalog.reports import to_problem
from audience_mcp.config import Configuration, Source
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reading import new_pager

log = logging.getLogger(__name__)

Told = Callable[["Checked"], Awaitable[None]]


class Checked(BaseModel):
    """What asking one source for one page has shown. What is unknown is absent: dump with `exclude_none`."""

    model_config = ConfigDict(extra="forbid")

    source: str
    vendor: str
    ok: bool
    audiences: int | None = Field(default=None, ge=0, description="how many the source holds")
    at_least: bool | None = Field(
        default=None, description="true where more pages follow and the vendor gives no count"
    )
    seconds: float = Field(ge=0, description="until the page, or the reason that there is none")
    error: Problem | None = None


async def check(
    configuration: Configuration, told: Told | None = None, clock: Clock | None = None
) -> list[Checked]:
    """Ask every source for its first page; `told` hears of each as it comes. In the order configured."""
    clock, pool = clock or Clock(), Pool()
    found: dict[str, Checked] = {}

    async def ask(source: Source) -> None:
        found[source.name] = checked = await _check_source(
            source, pool, clock, configuration.settings.deadline_s
        )
        if told:
            await told(checked)

    try:
        async with anyio.create_task_group() as tasks:
            for source in configuration.sources:
                tasks.start_soon(ask, source)
    finally:
        await pool.aclose()
    return [found[source.name] for source in configuration.sources]


def all_ok(checked: Sequence[Checked]) -> bool:
    """Whether there are sources, and every one could be read."""
    return bool(checked) and all(one.ok for one in checked)


async def _check_source(source: Source, pool: Pool, clock: Clock, within_s: float) -> Checked:
    begun = clock.now()
    pager, error = None, source.problem
    if source.account is not None:
        with clock.move_on_at(begun + within_s) as scope:
            pager, error = await _one_page(source, pool, clock)
        if scope.cancelled_caught:
            text = (
                f"{source.name}: {source.vendor.title} gave no answer within {within_s:g} s. Ask again later."
            )
            error = VendorError("timeout", text)
    checked = Checked(
        source=source.name,
        vendor=source.vendor.name,
        ok=error is None,
        seconds=round(max(0.0, clock.now() - begun), 3),
    )
    checked.error = to_problem(error)
    if error is None and pager is not None:
        checked.audiences = pager.vendor_total if pager.vendor_total is not None else len(pager.rows)
        checked.at_least = True if pager.vendor_total is None and not pager.done else None
    return checked


async def _one_page(source: Source, pool: Pool, clock: Clock) -> tuple[Pager | None, VendorError | None]:
    account = source.account
    try:
        assert account is not None  # noqa: S101 (the caller looked)
        pager = new_pager(source, VendorClient(account, pool, clock, Redactor(account.secrets)).fetch)
        await pager.next_page()
    except VendorError as e:
        return None, e
    except (
        Exception,
        SystemExit,
        GeneratorExit,
    ) as e:  # a vendor's code may be another package's; the other sources are still asked
        log.exception("%s: the check failed", source.name)
        text = f"{source.name}: the check failed inside audience-mcp ({type(e).__name__}); its log has more."
        return None, VendorError("bad_response", text)
    return pager, None
