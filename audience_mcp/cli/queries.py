"""`list` and `get`: the two tools for people, without the limits that a model needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from audience_mcp.catalog.catalog import EVERYTHING, Catalog
from audience_mcp.catalog.models import AudienceList, AudienceMatch
from audience_mcp.catalog.query import GetQuery, ListQuery
from audience_mcp.cli.exits import INCOMPLETE, MISUSED, OK, Stop, refuse, say
from audience_mcp.cli.options import refuse_question
from audience_mcp.cli.output import Output, Page, ignore_broken_pipe, write_csv, write_json, write_page
from audience_mcp.cli.running import SAVES_WITHIN_S, explain_unconfigured, run_to_exit, show_progress, start
from audience_mcp.cli.tables import show_list, show_match
from audience_mcp.config import Environment
from audience_mcp.core.errors import ToolError
from audience_mcp.core.progress import Progress

AnswerT = TypeVar("AnswerT", AudienceList, AudienceMatch)

Form = Literal["text", "json", "csv"]


def choose_form(json: bool, csv: bool, page: Page | None) -> Form:
    """Return the form that the options ask for. Raises Stop."""
    if json + csv + (page is not None) > 1:
        raise Stop("choose one of --json, --csv and --html.", MISUSED)
    return "json" if json else "csv" if csv else "text"


def list_audiences(
    environment: Environment, query: ListQuery, form: Form, *, sandbox: bool, page: Page | None = None
) -> int:
    """List audiences and print rows, totals and notes: all of them unless `--limit` says otherwise."""
    if "limit" not in query.model_fields_set:
        query = query.model_copy(update={"limit": EVERYTHING})
    if form == "csv":
        query = query.model_copy(update={"detail": "full"})
    return _run(
        environment,
        lambda catalog, tell: catalog.list_audiences(query, tell, EVERYTHING),
        lambda answer, out: show_list(answer, query, out),
        form,
        sandbox=sandbox,
        page=page,
        compared=query.compare_to is not None,
    )


def get_audience(
    environment: Environment, query: GetQuery, form: Form, *, sandbox: bool, page: Page | None = None
) -> int:
    """Find one audience and print it in full."""
    return _run(
        environment,
        lambda catalog, tell: catalog.get_audience(query, tell, EVERYTHING),
        lambda answer, out: show_match(answer, out, since=query.since),
        form,
        sandbox=sandbox,
        page=page,
    )


def _run(
    environment: Environment,
    ask: Callable[[Catalog, Progress | None], Awaitable[AnswerT]],
    show: Callable[[AnswerT, Output], None],
    form: Form,
    *,
    sandbox: bool,
    page: Page | None,
    compared: bool = False,
) -> int:
    """Ask, then print the answer in that form or write it as a page."""

    async def main() -> int:
        startup = start(environment, sandbox=sandbox)
        if not startup.configuration.sources:
            return refuse(explain_unconfigured())
        async with startup.open_catalog(SAVES_WITHIN_S) as catalog:
            with show_progress("reading") as tell:
                try:
                    answer = await ask(catalog, tell)
                except ToolError as e:
                    return refuse_question(e)
        if page is not None:
            write_page(answer.content, page, catalog.name_codes(answer.content))
            _warn_of_errors(answer)
            return OK if answer.complete else INCOMPLETE
        with ignore_broken_pipe():
            if form == "json":
                write_json(answer.content)
            elif form == "csv":
                write_csv(answer, compared=compared)
                _warn_of_errors(answer)
            else:
                show(answer, Output())
        return OK if answer.complete else INCOMPLETE

    return run_to_exit(main)


def _warn_of_errors(answer: AudienceList | AudienceMatch) -> None:
    """Say on stderr which sources failed, as a program reads the rows on stdout."""
    for report in answer.sources:
        if report.error:
            say(f"audience-mcp: {report.error.message}")
