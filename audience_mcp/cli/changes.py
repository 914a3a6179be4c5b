"""What changed since then, as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from audience_mcp.catalog.models import Audience, Compared, SourceReport
from audience_mcp.cli.output import Output, count_noun


def write_change(change: int) -> str:
    """`+1,204`, `-36`, `0`."""
    return f"{change:+,}" if change else "0"


def change_cell(audience: Audience) -> str | Text:
    """By how much it changed; `new`; `unknown` where a size is missing, then or now."""
    if audience.new:
        return Text("new", "green")
    if audience.change is None:
        return Text("unknown", "dim")
    return write_change(audience.change)


def show_compared(compared: Compared, out: Output) -> None:
    """Show the change over all that matched, and what is new, gone or unknown."""
    known = f"{compared.sum_then:,} then, {compared.sum_now:,} now: {write_change(compared.change)} net"
    out.line(f"Audiences known both times: {known}, not people added.")
    counts = [
        (compared.new, f"{compared.new:,} new"),
        (compared.gone, f"{compared.gone or 0:,} gone"),
        (compared.unknown, f"{compared.unknown:,} of unknown size then or now"),
    ]
    told = [text for count, text in counts if count]
    if told:
        out.line(f"Besides: {', '.join(told)}.")
    for gone in compared.gone_audiences or []:
        size = "unknown" if gone.size_then is None else f"{gone.size_then:,}"
        out.line(f"gone: {gone.name} [{gone.ref}], {size} then", indent=2)
    left = (compared.gone or 0) - len(compared.gone_audiences or [])
    if left:
        out.line(f"gone: {count_noun(left, 'more audience')}", indent=2)


def show_moments(reports: Sequence[SourceReport], out: Output) -> None:
    """Show which two moments are compared: those of each source."""
    out.line()
    out.line("Compared:")
    moments: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        if report.compared_to and report.as_of:
            moments.setdefault((report.compared_to, report.as_of), []).append(report.source)
    for (then, now), sources in moments.items():
        out.line(f"{then} with {now}: {', '.join(sources)}", indent=2)
