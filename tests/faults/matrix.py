"""The table: every fault, and what an answer must be when it is played.

A case has an outcome for a page of the list and one for the question for a single audience, and says
where a vendor or a place differs. A question for a single audience that the vendor's own way of asking
for one does not answer is answered from the list; CommBox has only the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from audience_mcp.core.errors import Kind
from tests.faults.data import PAGED, PER_PAGE, PLACES, ROWS, VENDORS, Place, id_of, places, target
from tests.faults.outcomes import Exact, NoAnswer, Outcome, Partly, unread
from tests.support import faults
from tests.support.clock import START, FakeClock
from tests.support.faults import (
    CURSORS,
    IDS,
    MARKER,
    SIZES,
    Exchange,
    Fault,
    Raw,
    cursor_of,
    html,
    inner_error,
    redirect,
    refused,
    replied,
    rewritten,
    rows_of,
    with_cursor,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a fault is played: at which vendor and place, by whose clock, and where another host is."""

    vendor: str
    place: Place
    clock: FakeClock
    elsewhere: str


Make = Callable[[Stage], Fault]
WELL = Exact()


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. `times`: how often it is played, None for ever. `but`: other outcomes, by `vendor`,
    `vendor place` or `place`, the most particular first. `slow`: it needs a short read timeout.
    """

    group: str
    name: str
    make: Make
    page: Outcome
    one: Outcome | None = None
    times: int | None = None
    vendors: tuple[str, ...] = VENDORS
    places: tuple[Place, ...] = PLACES
    but: Mapping[str, Outcome] = field(default_factory=dict)
    slow: bool = False

    def applies(self, vendor: str, place: Place) -> bool:
        """Whether there is such a cell."""
        return vendor in self.vendors and place in self.places and place in places(vendor)

    def outcome(self, vendor: str, place: Place) -> Outcome:
        """What is expected of a cell."""
        for key in (f"{vendor} {place}", place, vendor):
            if key in self.but:
                return self.but[key]
        if place != "one" or self.one is None:
            return self.page
        if vendor == "commbox" and isinstance(self.page, Partly):
            return unread(self.page)  # it has no way to ask for one: its list is at fault
        return self.one


def _same(fault: Fault) -> Make:
    return lambda _: fault


def _redirected(status: int) -> Make:
    return lambda stage: redirect(status, stage.elsewhere)


def _date_in(seconds: float) -> str:
    return format_datetime(START + timedelta(seconds=seconds), usegmt=True)


# --- answers ------------------------------------------------------------------------------------------

PASSING: list[tuple[int, Kind]] = [
    *((status, "unavailable") for status in (425, 500, 502, 503, 504)),
    (408, "timeout"),
    (429, "rate_limited"),
]
LASTING: list[tuple[int, Kind]] = [
    (400, "invalid_request"),
    (401, "unauthorized"),
    (402, "forbidden"),
    (403, "forbidden"),
    (405, "invalid_request"),
    (409, "invalid_request"),
    (410, "invalid_request"),
    (422, "invalid_request"),
    (501, "unavailable"),
]

OWN_WORDS = {402: "the plan may not include this", 410: "says that what was requested is gone"}
"""What is said of a status that is told apart from others of its kind."""


def _statuses() -> list[Case]:
    cases = []
    for status, kind in PASSING:
        fault = _same(refused(status))
        cases += [
            Case("Status", f"{status}, once", fault, WELL, WELL, times=1),
            Case("Status", f"{status}, for ever", fault, Partly(kind), WELL),
        ]
    cases.append(Case("Status", "500, three times", _same(refused(500)), WELL, WELL, times=3))
    for status, kind in LASTING:
        but = {"commbox one": NoAnswer(kind, OWN_WORDS[status])} if status in OWN_WORDS else {}
        cases.append(Case("Status", f"{status}", _same(refused(status)), Partly(kind), WELL, but=but))
    cases.append(Case("Status", "404", _same(refused(404)), Partly("not_found"), WELL))
    for status in (204, 206, 304):
        cases.append(Case("Status", f"{status}", _same(replied(status, b"")), Partly("bad_response"), WELL))
    for status in (301, 302, 307):
        name = f"{status} to another host"
        cases.append(Case("Status", name, _redirected(status), Partly("bad_response"), WELL))
    told: list[tuple[int, Kind]] = [(401, "unauthorized"), (403, "forbidden"), (502, "unavailable")]
    for status, kind in told:
        blocked = NoAnswer(kind, "answered with a web page in place of data")
        but = {"commbox one": blocked} if status < 500 else {}
        cases += [
            Case("Status", f"{status} with a web page", _same(html(status)), Partly(kind), WELL, but=but),
            Case("Status", f"{status} with no body", _same(replied(status, b"")), Partly(kind), WELL),
        ]
    return cases


_PAGES: Mapping[str, Any] = {"places": ("first", "middle", "last")}


def _waits() -> list[Case]:
    cases = []
    for status in (429, 503):
        for name, after in (("3 s", "3"), ("a date in 3 s", _date_in(3))):
            fault = _same(refused(status, Retry_After=after))
            cases.append(Case("Waits", f"{status}, Retry-After {name}, once", fault, WELL, WELL, times=1))
        for name, after in (("an hour", "3600"), ("a date in an hour", _date_in(3600))):
            fault = _same(refused(status, Retry_After=after))
            left_alone = NoAnswer("rate_limited", "is rate limiting this key. Try again in 3,600 s")
            page = Partly("rate_limited", wait=3600)
            # A pause of the look-ups leaves the list alone, which has the audience too.
            but: dict[str, Outcome] = {"commbox one": left_alone}
            cases.append(Case("Waits", f"{status}, Retry-After {name}", fault, page, WELL, but=but))
    told: dict[str, list[Callable[[int], object]]] = {
        "whop": [lambda s: {"error": {"type": MARKER, "message": f"{MARKER}. Try again in {s} seconds."}}],
        "smallest": [
            lambda s: {"status": False, "error": MARKER, "code": MARKER, "retry_after": s},
            lambda s: {"message": MARKER, "rateLimit": {"routeClass": MARKER, "retryAfterSec": s}},
        ],
    }
    for vendor, ways in told.items():
        for number, body in enumerate(ways, 1):
            name = f"429, {vendor}'s own hint{f' ({number})' if len(ways) > 1 else ''}"
            alone = Partly("rate_limited", wait=60)
            short, long = _same(replied(429, body(12))), _same(replied(429, body(60)))
            cases += [
                Case("Waits", f"{name} 12 s, once", short, WELL, WELL, times=1, vendors=(vendor,)),
                Case("Waits", f"{name} 60 s", long, alone, WELL, vendors=(vendor,)),
            ]
    return cases


def _bodies() -> list[Case]:
    bad, gone = Partly("bad_response"), Partly("unavailable")
    group = "Body"
    bodies: list[tuple[str, object]] = [
        ("nothing", b""),
        ("a space", b" "),
        ("a web page", f"<!DOCTYPE html><html>{MARKER}</html>"),
        ("half of some JSON", b'{"data": [{"id": "' + MARKER.encode()),
        ("no UTF-8", b"\xff\xfe\xfd"),
        ("100,000 brackets", b"[" * 100_000),
        ("null", b"null"),
        ("an array", b"[]"),
        ("a number", b"7"),
        ("a text", b'"' + MARKER.encode() + b'"'),
        ("true", b"true"),
    ]
    cases = [Case(group, f"200 with {name}", _same(replied(200, body)), bad, WELL) for name, body in bodies]

    def without_list(exchange: Exchange, body: Any) -> object:
        return {name: value for name, value in body.items() if name not in LIST_NAMES}

    cases.append(Case(group, "the list is missing", _same(rewritten(without_list)), bad, WELL))
    for name, value in (("null", None), ("an object", {"x": MARKER}), ("a text", MARKER), ("a number", 0)):

        def other_list(exchange: Exchange, body: Any, value: object = value) -> object:
            return {name: value if name in LIST_NAMES else kept for name, kept in body.items()}

        # Null stands for an empty list, unless the vendor counts more rows: of these, Batch alone counts any.
        those: dict[str, Any] = {"vendors": ("batch",)} if value is None else {}
        cases.append(Case(group, f"the list is {name}", _same(rewritten(other_list)), bad, WELL, **those))
    signs: dict[str, dict[str, object]] = {
        "commbox": {"status": "error"},
        "batch": {"error_code": MARKER},
        "smallest": {"status": "error"},
        "whop": {"error": {"type": MARKER, "message": MARKER}},
    }

    def beside_nothing(exchange: Exchange, body: Any) -> object:
        if exchange.seen.kind != "one":
            rows_of(exchange.vendor, body).clear()
        return body | signs[exchange.vendor]

    failed = _same(inner_error())
    cases += [
        Case(group, "an error inside a 200, once", failed, WELL, WELL, 1, vendors=("commbox", "smallest")),
        Case(group, "an error inside a 200", failed, gone, WELL, vendors=("commbox", "smallest")),
        Case(group, "an error inside a 200 (undocumented)", failed, gone, WELL, vendors=PAGED),
        Case(group, "an error beside an empty list", _same(rewritten(beside_nothing)), gone, WELL),
    ]
    spoiled = _same(faults.zipped(spoil=True))
    strange = _same(replied(200, b"{}", {"Content-Encoding": "br"}))
    cases += [
        Case(group, "512 MiB", _same(faults.huge()), bad, WELL),
        Case(group, "a gzip bomb", _same(faults.bomb(16)), bad, WELL),
        Case(group, "good gzip", _same(faults.zipped()), WELL, WELL),
        Case(group, "gzip that cannot be unpacked", spoiled, bad, WELL),
        Case(group, "an encoding not asked for", strange, bad, WELL),
    ]
    return cases


LIST_NAMES = ("data", "audiences")


def _connections() -> list[Case]:
    gone = Partly("unavailable")
    cases = []
    for name, fault in (
        ("reset before the headers", faults.reset_before_headers),
        ("closed before the headers", faults.close_before_headers),
        ("reset in the body", faults.reset_in_body),
        ("cut off in the body", faults.cut_off),
        ("gzip cut off", faults.zipped(keep=0.5, framed=False)),
        ("no HTTP", faults.not_http()),
    ):
        cases += [
            Case("Connection", f"{name}, once", _same(fault), WELL, WELL, times=1),
            Case("Connection", f"{name}, for ever", _same(fault), gone, WELL),
        ]
    for name, fault in (
        ("silence before the headers", faults.hang_before_headers),
        ("silence in the body", faults.hang_in_body),
    ):
        cases += [
            Case("Connection", f"{name}, once", _same(fault), WELL, WELL, times=1, slow=True),
            Case("Connection", f"{name}, for ever", _same(fault), Partly("timeout"), WELL, slow=True),
        ]
    dripping: Make = lambda stage: faults.drip(lambda: stage.clock.advance(1))  # noqa: E731
    cases += [
        Case("Connection", "a byte a second, once", dripping, WELL, WELL, times=1),
        Case("Connection", "a byte a second, for ever", dripping, Partly("timeout"), WELL),
    ]
    return cases


# --- paging -------------------------------------------------------------------------------------------


def _paging() -> list[Case]:
    stopped, unclear = Partly("bad_response", "with"), Partly("bad_response")

    def case(name: str, change: Callable[[Exchange, Any], object], page: Outcome, **more: Any) -> Case:
        settings: dict[str, Any] = {"vendors": PAGED, **_PAGES, **more}
        return Case("Paging", name, _same(rewritten(change)), page, **settings)

    def cursor(value: object, flag: object = True) -> Callable[[Exchange, Any], object]:
        return lambda exchange, body: with_cursor(exchange.vendor, body, value, more=flag)

    def flagged(flag: object) -> Callable[[Exchange, Any], object]:
        return lambda exchange, body: with_cursor(
            exchange.vendor, body, cursor_of(exchange.vendor, body), more=flag
        )

    def own_again(exchange: Exchange, body: Any) -> object:
        (given,) = exchange.seen.asked.query[CURSORS[exchange.vendor]]
        return with_cursor(exchange.vendor, body, given)

    def earlier(exchange: Exchange, body: Any) -> object:
        return with_cursor(exchange.vendor, body, exchange.server.cursor_for(exchange.vendor, 2))

    def no_flag(exchange: Exchange, body: Any) -> object:
        given = cursor_of(exchange.vendor, body)
        body.pop("has_more", None)
        body.get("page_info", {}).pop("has_next_page", None)
        if given is None:
            with_info = body.get("page_info", body)
            with_info.pop("end_cursor", None)
        return body

    def silent(exchange: Exchange, body: Any) -> object:
        return {name: value for name, value in body.items() if name not in ("has_more", "next_from")}

    def no_info(value: object) -> Callable[[Exchange, Any], object]:
        return lambda _, body: body | {"page_info": value}

    def empty_first(exchange: Exchange, body: Any) -> object:
        exchange.server.stand_for(exchange.seen, "the-same-page")
        rows_of(exchange.vendor, body).clear()
        return with_cursor(exchange.vendor, body, "the-same-page")

    def again(exchange: Exchange, body: Any) -> object:
        rows = rows_of(exchange.vendor, body)
        rows += [*rows[:2], *exchange.server.sandbox.rows[exchange.vendor][:3]]
        return body

    def shifted(exchange: Exchange, body: Any) -> object:
        rows_of(exchange.vendor, body)[:3] = exchange.server.sandbox.rows[exchange.vendor][:3]
        return body

    def counted(change: Callable[[int], object]) -> Callable[[Exchange, Any], object]:
        return lambda _, body: body | {"count": change(len(ROWS["batch"]))}

    only_batch: dict[str, Any] = {"vendors": ("batch",)}
    first: dict[str, Any] = {**only_batch, "places": ("first",)}
    cases = [
        case("more follow, but the cursor is missing", cursor(None), stopped),
        case("more follow, but the cursor is empty", cursor(""), stopped),
        case("its own cursor again (A A)", own_again, stopped, places=("middle", "last")),
        case("an earlier cursor again (A B A)", earlier, stopped, places=("last",)),
        case("a cursor of 70,000 characters", cursor("x" * 70_000), stopped),
        case("a cursor that fits into no URL", cursor("=" * 40_000), stopped),
        case("a cursor of half a character", cursor("\ud800"), stopped),
        case("a cursor that is a list", cursor([MARKER]), unclear),
        case("a cursor that is an object", cursor({"x": MARKER}), unclear),
        case("a cursor that is true", cursor(True), unclear),
        case("a cursor that is a fraction", cursor(1.5), unclear),
        case("'more' is a text", flagged("true"), unclear),
        case("'more' is a number", flagged(1), unclear),
        case("'more' is missing, the cursor is there", no_flag, WELL, but={"whop last": stopped}),
        case("nothing is said of more", silent, stopped, **only_batch | {"places": ("first", "middle")}),
        case("nothing is said of more, on the last page", silent, WELL, **only_batch | {"places": ("last",)}),
        case("'no more', with a cursor", cursor("x", False), WELL, places=("last",)),
        case(
            "'no more' too early, against the count",
            cursor(None, False),
            stopped,
            **only_batch | {"places": ("first", "middle")},
        ),
        case("an empty page with a cursor", empty_first, WELL, times=1),
        case("rows that came before", again, Exact(told="duplicate rows")),
        case(
            "rows that took the place of others, against the count",
            shifted,
            Partly("bad_response", "all", lost=3),
            **only_batch | {"places": ("middle", "last")},
        ),
        case("a count that is too high", counted(lambda n: n + 5), Partly("bad_response", "all"), **first),
        case("a count that is too low", counted(lambda n: n - 5), Exact(told="it reports"), **first),
        case("a count of nothing", counted(lambda _: 0), WELL, **first),
        case(
            "another count on a later page",
            counted(lambda n: n + 50),
            WELL,
            **only_batch | {"places": ("middle", "last")},
        ),
    ]
    value: Any
    for name, value in (("null", None), ("a list", []), ("a text", MARKER)):
        cases.append(case(f"'page_info' is {name}", no_info(value), unclear, vendors=("whop",)))
    for name, value in (("an empty object", {}), ("nulls", {"has_next_page": None, "end_cursor": None})):
        cases.append(case(f"'page_info' is {name}", no_info(value), stopped, vendors=("whop",)))
    for name, value in (("true", True), ("a text", MARKER), ("negative", -1), ("1e400", Raw("1e400"))):
        cases.append(case(f"a count that is {name}", counted(_always(value)), WELL, **first))
    return cases


# --- the question for one audience --------------------------------------------------------------------


def _one() -> list[Case]:
    """What only the vendors' own ways of asking for one audience can get wrong; the list knows better."""

    def another(exchange: Exchange, body: Any) -> object:
        row = exchange.server.sandbox.rows[exchange.vendor][5]
        if exchange.vendor == "batch":
            return row
        return body | {"data": row if exchange.vendor == "smallest" else [row]}

    def unfiltered(exchange: Exchange, body: Any) -> object:
        rows = exchange.server.sandbox.rows["whop"][:PER_PAGE]
        return {"data": rows, "page_info": {"has_next_page": True, "end_cursor": "x"}}

    def with_others(exchange: Exchange, body: Any) -> object:
        rows = exchange.server.sandbox.rows["whop"][:10]
        return body | {"data": [None, *rows, *body["data"], *rows]}

    of_whop = ("whop",)
    cases = [
        ("200 with {}", _same(replied(200, {})), ASKED),
        ("an empty list", _same(replied(200, {"status": True, "data": []})), ASKED),
        ("an empty object", _same(replied(200, {"status": True, "data": {}})), ASKED),
        ("another audience", _same(rewritten(another)), ASKED),
        ("the filter is ignored", _same(rewritten(unfiltered)), of_whop),
        ("others beside it", _same(rewritten(with_others)), of_whop),
    ]
    return [
        Case("One audience", name, make, WELL, WELL, vendors=vendors, places=("one",))
        for name, make, vendors in cases
    ]


ASKED = ("batch", "smallest", "whop")


# --- rows ---------------------------------------------------------------------------------------------


def drifted(change: Callable[[str, dict[str, Any]], object]) -> Make:
    """The audience at fault, changed, wherever it is sent."""

    def make(stage: Stage) -> Fault:
        vendor = stage.vendor
        wanted = id_of(vendor, target(vendor, stage.place))

        def changed(exchange: Exchange, body: Any) -> object:
            if exchange.seen.kind == "one" and vendor != "whop":
                row = change(vendor, body["data"] if vendor == "smallest" else body)
                return body | {"data": row} if vendor == "smallest" else row
            rows = rows_of(vendor, body)
            rows[:] = [change(vendor, row) if str(row[IDS[vendor]]) == wanted else row for row in rows]
            return body

        return rewritten(changed)

    return make


def _put(key: str | Mapping[str, str], value: object) -> Make:
    return drifted(lambda vendor, row: row | {key if isinstance(key, str) else key[vendor]: value})


def _drop(key: str | Mapping[str, str]) -> Make:
    def change(vendor: str, row: dict[str, Any]) -> object:
        without = key if isinstance(key, str) else key[vendor]
        return {name: value for name, value in row.items() if name != without}

    return drifted(change)


NAMES = {"commbox": "name", "batch": "display_name", "smallest": "name", "whop": "name"}
STATES = {"commbox": "type", "batch": "indexing_state", "smallest": "campaigns", "whop": "status"}
DATES = {"commbox": "created_time", "batch": "created", "smallest": "createdAt", "whop": "created_at"}
GARBAGE: list[tuple[str, object]] = [
    ("null", None),
    ("an object", {"x": [1]}),
    ("a list", [[1]]),
    ("a number", 31234),
    ("an unknown word", "brand_new"),
    ("1e400", Raw("1e400")),
]


def _rows() -> list[Case]:
    left_out = Exact(dropped=True, told="without a usable id")
    unknown = Exact(size=None)
    # CommBox can only be asked for its list, and what has no id there cannot be found by one.
    by_list: dict[str, Any] = {"one": WELL, "but": {"commbox one": NoAnswer("not_found", "No audience has")}}
    cases = []
    value: Any
    for name, value in (("null", None), ("an array", [1]), ("a text", "x"), ("a number", 7), ("true", True)):
        replaced = drifted(_replaced_by(value))
        cases.append(Case("Rows", f"a row is {name}", replaced, left_out, **by_list))
    cases.append(Case("Rows", "a row is {}", drifted(lambda *_: {}), left_out, **by_list))
    cases.append(Case("Rows", "the id is missing", _drop(IDS), left_out, **by_list))
    for name, value in (
        ("null", None),
        ("empty", ""),
        ("true", True),
        ("a list", ["x"]),
        ("an object", {"x": 1}),
        ("a fraction", 1.5),
        ("300 characters", "x" * 300),
        ("two lines", "a\nb"),
        ("NUL", "\0"),
        ("a bidi override", "a\u202eb"),
        ("half a character", "\ud800"),
    ):
        cases.append(Case("Rows", f"the id is {name}", _put(IDS, value), left_out, **by_list))
    as_int = drifted(lambda vendor, row: row | {IDS[vendor]: 10**17 + 7})
    cases.append(Case("Rows", "the id is a number", as_int, WELL, **by_list))

    cases.append(
        Case("Rows", "the size is missing", _drop(SIZES), unknown, unknown, but={"smallest one": WELL})
    )
    for name, value in (
        ("null", None),
        ("true", True),
        ("negative", -5),
        ("a fraction", 1.5),
        ("1e400", Raw("1e400")),
        ("NaN", Raw("NaN")),
        ("a word", "many"),
        ("empty", ""),
        ("a list", [1]),
        ("an object", {"x": 1}),
        ("2**60", 2**60),
        ("of 5,000 digits", Raw("9" * 5_000)),
        ("'1,000'", "1,000"),
        ("'٣'", "٣"),
    ):
        cases.append(
            Case(
                "Rows",
                f"the size is {name}",
                _put(SIZES, value),
                unknown,
                unknown,
                but={"smallest one": WELL},
            )
        )
    for name, value, size in (("7.0", 7.0, 7), ("'7'", "7", 7), ("0", 0, 0), ("2**53", 2**53, 2**53)):
        counts = Exact(size=size)
        cases.append(Case("Rows", f"the size is {name}", _put(SIZES, value), counts, counts))

    cases.append(Case("Rows", "the name is missing", _drop(NAMES), WELL, WELL))
    for name, value in (
        *GARBAGE,
        ("empty", ""),
        ("5,000 characters", "n" * 5_000),
        ("two lines", "a\r\nb"),
        ("only invisible", "\u200b\u2060"),
        ("half a character", "\ud800"),
        ("markup", "<b>&amp;</b>"),
    ):
        cases.append(Case("Rows", f"the name is {name}", _put(NAMES, value), WELL, WELL))
    for name, value in (*GARBAGE, ("2026-13-45", "2026-13-45"), ("negative", -1)):
        cases.append(Case("Rows", f"the date is {name}", _put(DATES, value), WELL, WELL))
    for name, value in (*GARBAGE, ("true", True), ("empty", "")):
        cases.append(Case("Rows", f"the status or type is {name}", _put(STATES, value), WELL, WELL))
    nested: Any = "deep"
    for _ in range(200):
        nested = {"x": [nested]}
    for name, value in (("200 levels deep", nested), ("a list of 10,000", list(range(10_000)))):
        put = drifted(_detailed(value))
        cases.append(Case("Rows", f"a detail is {name}", put, WELL, WELL))
    return cases


def _always(value: object) -> Callable[[int], object]:
    return lambda _: value


def _replaced_by(value: object) -> Callable[[str, dict[str, Any]], object]:
    return lambda _, __: value


def _detailed(value: object) -> Callable[[str, dict[str, Any]], object]:
    return lambda vendor, row: row | {DETAIL[vendor]: value, "unheard_of": value}


DETAIL = {"commbox": "type", "batch": "type", "smallest": "campaigns", "whop": "platform_audience_ids"}

CASES: tuple[Case, ...] = (
    *_statuses(),
    *_waits(),
    *_bodies(),
    *_connections(),
    *_paging(),
    *_one(),
    *_rows(),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a vendor and a place."""

    case: Case
    vendor: str
    place: Place

    @property
    def expected(self) -> Outcome:
        """What is expected here."""
        return self.case.outcome(self.vendor, self.place)

    def __str__(self) -> str:
        return f"{self.vendor} {self.place}: {self.case.name}"


CELLS: tuple[Cell, ...] = tuple(
    Cell(case, vendor, place)
    for case in CASES
    for vendor in VENDORS
    for place in PLACES
    if case.applies(vendor, place)
)
