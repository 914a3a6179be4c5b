"""What every command that asks vendors shares: the configuration, the log, the progress, the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator

import anyio

from audience_mcp.cli import FAILED, INTERRUPTED, MISUSED, Stop, say
from audience_mcp.config import Configuration, describe_needs
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.process import exit_within
from audience_mcp.core.progress import Progress
from audience_mcp.server.startup import Startup

END_WITHIN_S = 1.0
"""After the answer, a thread that is stuck (a name look-up can be) holds the exit no longer."""


def start(*, sandbox: bool) -> Startup:
    """What the environment configures, with the log set up. Raises Stop."""
    try:
        startup = Startup(os.environ, sandbox=sandbox)
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None
    startup.start_log(warn=_warn)
    return startup


def _warn(text: str) -> None:
    say(f"audience-mcp: {text}")


def explain_unconfigured(configuration: Configuration) -> str:
    """What to set, vendor by vendor."""
    needs = [f"  {v.title}: {describe_needs(v)}" for v in configuration.vendors.values()]
    return "\n".join(
        [
            "no vendor is configured. Set the variables of at least one:",
            *needs,
            "To look around without keys: audience-mcp list --sandbox",
        ]
    )


def run_to_exit(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` to its exit code, and end soon after it whatever still hangs."""
    code, timer = INTERRUPTED, None

    async def run_bounded() -> None:
        nonlocal code, timer
        try:
            code = await main()
        except Exception:
            code = FAILED
            raise
        finally:
            timer = exit_within(END_WITHIN_S, lambda: code)

    try:
        anyio.run(run_bounded)
    except asyncio.CancelledError:  # Ctrl-C, as Python 3.10 tells it; later ones raise KeyboardInterrupt
        return INTERRUPTED
    finally:
        if timer:
            timer.cancel()
    return code


@contextlib.contextmanager
def show_progress(what: str) -> Iterator[Progress | None]:
    """Shows pages as they come, on stderr where that is a terminal; gives None where it is not."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield None
        return
    message_column = TextColumn(
        "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns = SpinnerColumn(), BarColumn(bar_width=20), message_column
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task(what, total=None)

        async def tell(done: float, total: float | None, message: str) -> None:
            bar.update(task, completed=done, total=total, description=message or what)

        yield tell
