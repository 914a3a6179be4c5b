"""What every command that asks vendors shares: the configuration, the log, the progress, the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import anyio

from audience_mcp import logs
from audience_mcp.cli import FAILED, INTERRUPTED, MISUSED, Stop
from audience_mcp.config import (
    Configuration,
    Environment,
    configuration,
    of_sandbox,
    required_variables,
)
from audience_mcp.errors import ConfigurationError
from audience_mcp.gathering import Progress
from audience_mcp.logs import Redactor
from audience_mcp.vendors import BUILT_IN, vendors

END_WITHIN_S = 1.0
"""After the answer, a thread that is stuck (a name look-up can be) holds the exit no longer."""


@contextlib.asynccontextmanager
async def configured(environment: Environment, *, sandbox: bool) -> AsyncIterator[Configuration]:
    """What is configured; with `sandbox`, the embedded vendors, which are served meanwhile. Raises Stop."""
    if not sandbox:
        yield _read(lambda: configuration(environment, vendors().values()))
        return
    from audience_mcp.sandbox import Sandbox
    from audience_mcp.sandbox.app import serve

    made_up, kinds = Sandbox(), [kind() for kind in BUILT_IN]
    async with serve(made_up) as origin:
        yield _read(lambda: of_sandbox(environment, made_up.environment(origin), kinds))


def _read(read: Callable[[], Configuration]) -> Configuration:
    try:
        found = read()
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None
    for warning in found.warnings:
        print(f"audience-mcp: {warning}", file=sys.stderr)
    return found


def log_to_stderr(configuration: Configuration) -> Redactor:
    """Log as the server does; what hides this configuration's keys."""
    redactor = Redactor(configuration.secrets)
    logs.set_up(configuration.settings.log_level, redactor)
    return redactor


def nothing_configured(configuration: Configuration) -> str:
    """What to set, vendor by vendor."""
    needs = [f"  {v.title}: {' and '.join(required_variables(v))}" for v in configuration.vendors]
    return "\n".join(
        [
            "no vendor is configured. Set the variables of at least one:",
            *needs,
            "To look around without keys: audience-mcp list --sandbox",
        ]
    )


def finish(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` to its exit code, and end soon after it whatever still hangs."""
    code, watchdog = INTERRUPTED, None

    async def watched() -> None:
        nonlocal code, watchdog
        try:
            code = await main()
        except Exception:
            code = FAILED
            raise
        finally:
            watchdog = threading.Timer(END_WITHIN_S, _leave, (lambda: code,))
            watchdog.daemon = True
            watchdog.start()

    try:
        anyio.run(watched)
    except asyncio.CancelledError:  # Ctrl-C, as Python 3.10 tells it; later ones raise KeyboardInterrupt
        return INTERRUPTED
    finally:
        if watchdog:
            watchdog.cancel()
    return code


def _leave(code: Callable[[], int]) -> None:
    os._exit(code())


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress | None]:
    """Shows pages as they come, on stderr where that is a terminal; gives None where it is not."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield None
        return
    said = TextColumn(
        "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns = SpinnerColumn(), BarColumn(bar_width=20), said
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task(what, total=None)

        async def tell(done: float, total: float | None, message: str) -> None:
            bar.update(task, completed=done, total=total, description=message or what)

        yield tell
