"""Checks whether each source can be read: one page, and one size where sizes are counted, all at once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import anyio
from pydantic import BaseModel, ConfigDict, Field

from audience_mcp.catalog.models import Problem
from audience_mcp.catalog.reports import to_problem
from audience_mcp.config import Account, Configuration, Source
from audience_mcp.core.clock import Clock
from audience_mcp.core.errors import VendorError
from audience_mcp.core.secrets import Redactor
from audience_mcp.sources.client import VendorClient
from audience_mcp.sources.connections import Pool
from audience_mcp.sources.counts import SizeCounter
from audience_mcp.sources.pager import Pager
from audience_mcp.sources.reading import new_pager
from audience_mcp.sources.responses import pinned_version
from audience_mcp.sources.runtime import Runtime
from audience_mcp.sources.signal import ChangeSignal

log = logging.getLogger(__name__)

WARNED_DAYS = 60
"""Days before the end of a pinned version from which it is told."""

Report = Callable[["Checked"], Awaitable[None]]


class Checked(BaseModel):
    """The result for one source. Unknown values are absent: dump with `exclude_none`."""

    model_config = ConfigDict(extra="forbid")

    source: str
    vendor: str
    ok: bool
    audiences: int | None = Field(default=None, ge=0, description="how many the source has")
    at_least: bool | None = Field(
        default=None, description="true if more pages follow and the vendor reports no total"
    )
    seconds: float = Field(ge=0, description="until the page or the error arrived")
    error: Problem | None = None
    warning: str | None = Field(default=None, description="what will fail soon, and how to prevent it")


async def check(
    configuration: Configuration, report: Report | None = None, clock: Clock | None = None
) -> list[Checked]:
    """Request every source's first page, and one size where sizes cost a request; in the configured order.

    report: called with each result as it arrives.
    """
    clock, pool = clock or Clock(), Pool()
    found: dict[str, Checked] = {}

    async def check_one(source: Source, runtime: Runtime) -> None:
        found[source.name] = checked = await _check_source(
            source, pool, runtime, configuration.settings.deadline_s
        )
        if report:
            await report(checked)

    try:
        async with anyio.create_task_group() as tasks:
            runtime = Runtime(tasks, ChangeSignal(clock), clock, Redactor(configuration.secrets))
            for source in configuration.sources:
                tasks.start_soon(check_one, source, runtime)
    finally:
        await pool.aclose()
    return [found[source.name] for source in configuration.sources]


def all_ok(checked: Sequence[Checked]) -> bool:
    """Whether there is a source, and every source could be read."""
    return bool(checked) and all(one.ok for one in checked)


async def _check_source(source: Source, pool: Pool, runtime: Runtime, within_s: float) -> Checked:
    clock = runtime.clock
    began_at = clock.now()
    pager, error = None, source.problem
    if source.account is not None:
        with clock.move_on_at(began_at + within_s) as scope:
            pager, error = await _read_page(source, source.account, pool, runtime)
        if scope.cancelled_caught:
            text = (
                f"{source.name}: {source.vendor.title} did not answer within {within_s:g} s. Try again later."
            )
            error = VendorError("timeout", text)
    checked = Checked(
        source=source.name,
        vendor=source.vendor.name,
        ok=error is None,
        seconds=round(max(0.0, clock.now() - began_at), 3),
    )
    checked.error = to_problem(error)
    if source.account is not None:
        checked.warning = _warn_of_end(source.account, clock.utc())
    if error is None and pager is not None:
        checked.audiences = pager.at_least if pager.vendor_total is None else pager.vendor_total
        checked.at_least = True if pager.vendor_total is None and not pager.done else None
    return checked


def _warn_of_end(account: Account, now: datetime) -> str | None:
    """What to say of a version that ends soon, or has ended; None where there is time."""
    version, title = pinned_version(account), account.vendor.title
    if version is None or now.date() < version.served_until - timedelta(days=WARNED_DAYS):
        return None
    variable = account.variables.get(version.setting)
    instead = f", or set {variable} to a later version" if variable else ""
    return (
        f"{title} serves version {version.name} of its API until {version.served_until}, as far as is known. "
        f"Update audience-mcp{instead}."
    )


async def _read_page(
    source: Source, account: Account, pool: Pool, runtime: Runtime
) -> tuple[Pager | None, VendorError | None]:
    try:
        fetch = VendorClient(account, pool, runtime.clock, Redactor(account.secrets)).fetch
        pager = new_pager(source, fetch)
        await pager.next_page()
        if pager.trouble is not None:  # of one listing of several
            return None, pager.trouble
        pending = next((row for row in pager.rows.values() if row.size_pending), None)
        if pending is not None:
            return pager, await SizeCounter(account, fetch, runtime).count_one(pending)
    except VendorError as e:
        return None, e
    # The vendor's code may be another package's. Whatever it raises, the other sources are still checked.
    except (Exception, SystemExit, GeneratorExit) as e:
        log.exception("%s: the check failed", source.name)
        text = f"{source.name}: the check failed inside audience-mcp ({type(e).__name__}); its log has more."
        return None, VendorError("bad_response", text)
    return pager, None
