"""`list` and `get`: the two tools for people, who get all that there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from audience_mcp.catalog.catalog import Catalog
from audience_mcp.catalog.models import AudienceList, AudienceMatch, to_dict
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli import INCOMPLETE, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.asking import explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.csv_output import write_csv
from audience_mcp.cli.options import in_words_of_options
from audience_mcp.cli.output import Output, ignore_broken_pipe, write_json
from audience_mcp.cli.tables import show_list, show_match
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress

AnswerT = TypeVar("AnswerT", AudienceList, AudienceMatch)

Form = Literal["text", "json", "csv"]
EVERYTHING = 10**12
"""A limit, and a number of characters, that nothing reaches: people and scripts get all that there is."""


def choose_form(json: bool, csv: bool, page: str | None) -> Form:
    """The form that the options ask for. Raises Stop."""
    if json + csv + (page is not None) > 1:
        raise Stop("choose one of --json, --csv and --html.", MISUSED)
    return "json" if json else "csv" if csv else "text"


def list_audiences(query: ListQuery, form: Form, *, sandbox: bool, page: str | None = None) -> int:
    """Ask, and print rows, totals and what the reader must know: all of it, unless `--limit` says less."""
    if "limit" not in query.model_fields_set:
        query = query.model_copy(update={"limit": EVERYTHING})
    if form == "csv":
        query = query.model_copy(update={"detail": "full"})
    return _run(
        lambda catalog, tell: catalog.list_audiences(query, tell, EVERYTHING),
        lambda answer, out: show_list(answer, query, out),
        form,
        sandbox=sandbox,
        page=page,
        compared=query.compare_to is not None,
    )


def get_audience(query: GetQuery, form: Form, *, sandbox: bool, page: str | None = None) -> int:
    """Ask, and print the audience in full."""
    return _run(
        lambda catalog, tell: catalog.get_audience(query, tell, EVERYTHING),
        show_match,
        form,
        sandbox=sandbox,
        page=page,
    )


def _run(
    ask: Callable[[Catalog, Progress | None], Awaitable[AnswerT]],
    show: Callable[[AnswerT, Output], None],
    form: Form,
    *,
    sandbox: bool,
    page: str | None,
    compared: bool = False,
) -> int:
    """Ask, then print in that form, or write a file that is a page."""

    async def main() -> int:
        startup = start(sandbox=sandbox)
        if not startup.configuration.sources:
            return refuse(explain_unconfigured(startup.configuration))
        async with startup.open_catalog() as catalog:
            with show_progress("reading") as tell:
                try:
                    answer = await ask(catalog, tell)
                except ToolError as e:
                    return refuse(in_words_of_options(str(e)))
        if page is not None:
            from audience_mcp.cli.page_output import write_page

            write_page(to_dict(answer), page)
            _warn_of_errors(answer)
            return OK if answer.complete else INCOMPLETE
        with ignore_broken_pipe():
            if form == "json":
                write_json(to_dict(answer))
            elif form == "csv":
                write_csv(answer, compared=compared)
                _warn_of_errors(answer)
            else:
                show(answer, Output())
        return OK if answer.complete else INCOMPLETE

    return run_to_exit(main)


def _warn_of_errors(answer: AudienceList | AudienceMatch) -> None:
    """What makes the answer less than it seems, beside the rows that a program reads."""
    for report in answer.sources:
        if report.error:
            say(f"audience-mcp: {report.error.message}")
