"""What all commands that read sources share: configuration, log, progress and a prompt exit."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio

from audience_mcp.cli.exits import FAILED, INTERRUPTED, MISUSED, Stop, as_typed, say, suggest
from audience_mcp.config import Configuration, Environment, Source, describe_needs
from audience_mcp.core.errors import ConfigurationError
from audience_mcp.core.process import exit_within
from audience_mcp.core.progress import Progress
from audience_mcp.server.startup import Startup

SAVES_WITHIN_S = 10.0
"""Seconds that saves get at the end of a command, which nobody waits for as they do for a server."""
END_WITHIN_S = 1.0
"""Seconds after the answer for which a stuck thread (a DNS look-up can be one) may delay the exit."""


def start(environment: Environment, *, sandbox: bool) -> Startup:
    """Load the configuration and set up the log. Raises Stop."""
    try:
        startup = Startup(environment, sandbox=sandbox)
    except ConfigurationError as e:
        raise Stop(str(e), MISUSED) from None
    startup.start_log(warn=warn)
    return startup


def warn(text: str) -> None:
    """Say what is probably a mistake, on stderr."""
    say(f"audience-mcp: {text}")


def explain_unconfigured() -> str:
    """Say what to do where no vendor is configured."""
    ways = {
        "setup": "asks for your keys, vendor by vendor",
        "check --all": "lists the variables that each vendor needs",
        "list --sandbox": "shows made-up audiences, without keys",
    }
    lines = [f"  {as_typed()} {way:<14}  {what}" for way, what in ways.items()]
    return "\n".join(["no vendor is configured. What to do:", *lines])


def choose_sources(configuration: Configuration, names: Sequence[str]) -> tuple[Source, ...]:
    """Return the sources that the names mean, or all if there is none. Raises Stop for an unknown name."""
    if not names:
        return configuration.sources
    chosen: dict[str, Source] = {}
    for name in names:
        found = configuration.find_sources(name)
        if not found:
            raise Stop(_explain_unknown(configuration, name), MISUSED)
        chosen |= {source.name: source for source in found}
    return tuple(chosen.values())


def _explain_unknown(configuration: Configuration, name: str) -> str:
    vendor = configuration.vendors.get(name.strip().lower())
    if vendor is not None:
        return f"{vendor.title} is not configured: set {describe_needs(vendor)}."
    there = [source.name for source in configuration.sources]
    clients = [source.client for source in configuration.sources if source.client]
    near = suggest(name, [*there, *clients])
    return f"there is no source '{name}'.{near} Configured: {', '.join(there) or 'nothing yet'}."


def run_to_exit(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` and return its exit code; threads that still hang are ended soon after."""
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
    except asyncio.CancelledError:  # Ctrl-C on Python 3.10; later versions raise KeyboardInterrupt
        return INTERRUPTED
    finally:
        if timer:
            timer.cancel()
    return code


@contextlib.contextmanager
def show_progress(what: str) -> Iterator[Progress | None]:
    """Show progress on stderr. Yields a function that reports it, or None if stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True, highlight=False)
    if not sys.stderr.isatty() or console.is_dumb_terminal:
        yield None
        return
    message_column = TextColumn(
        "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns = SpinnerColumn(), BarColumn(bar_width=20), TimeElapsedColumn(), message_column
    with Bar(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task(what, total=None)

        async def tell(done: float, total: float | None, message: str) -> None:
            # The clock of a bar that is full would stand still while the answer is waited for.
            left = total is not None and done < total
            bar.update(task, completed=done, total=total if left else None, description=message or what)

        yield tell
