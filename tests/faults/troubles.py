"""The second matrix: the usual faults at one vendor for each mechanism, and a rule for what comes of them.

Unlike in the first one, nothing is said cell by cell. A fault says what kind of failure it is, whether the
vendor is asked again, and how long it lasts; `outcome` makes an expectation of that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from audience_mcp.core.errors import Kind
from tests.faults.mechanisms import BY_NAME, PLACES, Mechanism
from tests.faults.outcomes import Exact, Outcome, Partly
from tests.support import faults
from tests.support.faults import MARKER, Exchange, Fault, encoded

LONG_S = 600
"""Seconds that one answer may take: more than all pauses of a cell, so that only silence is cut short."""
COUNTS = ("size", "sizes")


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault may need: the vendor, a way to let its time pass, and a wait for its other requests."""

    mechanism: Mechanism
    advance: Callable[[float], None]
    wait_for_the_last: Callable[[], Awaitable[None]]


Make = Callable[[Stage], Fault]
Places = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault. lasting: what kind of failure it is where it lasts. again: whether the vendor is asked again.
    times: how often it is played, None for ever. vendors, places: where it can be, everywhere if not said.
    unreadable: whether the answer is whole JSON that lacks what it should have. foreign: whether it comes
    from what stands in front of the vendor.
    """

    name: str
    make: Make
    lasting: Kind
    again: bool = False
    times: int | None = None
    vendors: tuple[str, ...] = tuple(BY_NAME)
    places: Places = tuple(PLACES)
    unreadable: bool = False
    foreign: bool = False

    def applies(self, vendor: str, place: str) -> bool:
        """Whether there is such a cell. Null for some lists is an empty one, and no fault."""
        mechanism = BY_NAME[vendor]
        if vendor not in self.vendors or place not in self.places or place not in mechanism.places:
            return False
        return not self.unreadable or mechanism.places[place][0] in mechanism.asked_for


def outcome(trouble: Trouble, vendor: str, place: str) -> Outcome:
    """The rule.

    A fault that is gone when the vendor is asked again is none, nor is a refused token that could be
    replaced, nor many sizes refused at once, since each half is then asked for. Sizes that cannot be read
    are unknown. Everything else is told.
    """
    if place in COUNTS and trouble.unreadable:
        return Exact(size=None)
    if trouble.times is not None and (trouble.again or renews(trouble, vendor, place)):
        return Exact()
    if place == "sizes" and trouble.lasting == "invalid_request" and BY_NAME[vendor].splits:
        return Exact()
    return Partly(trouble.lasting)


def renews(trouble: Trouble, vendor: str, place: str) -> bool:
    """Whether a fault is a refused token that another one is fetched for."""
    return trouble.lasting == "unauthorized" and BY_NAME[vendor].renews and place != "token"


def words(exchange: Exchange) -> str:
    """What a vendor may say that nobody must be shown: its own words, and whatever it was sent."""
    asked = exchange.seen.asked
    return " ".join([MARKER, *asked.headers.values(), asked.body.decode(), exchange.seen.target])


def told(
    status: int, body: Callable[[str], object] = lambda said: {"message": said}, wait: str | None = None
) -> Make:
    """A status, a body that is made of words, and `Retry-After`."""
    headers = {} if wait is None else {"Retry-After": wait}

    async def play(exchange: Exchange) -> None:
        made = body(words(exchange))
        # As bytes: what is said here is not counted as delivered.
        await exchange.reply(status, made if isinstance(made, (str, bytes)) else encoded(made), headers)

    return lambda stage: play


def always(fault: Fault) -> Make:
    """The same wherever it is played."""
    return lambda stage: fault


def keep_silent(stage: Stage) -> Fault:
    """Nothing comes, for longer than an answer may take."""

    async def play(exchange: Exchange) -> None:
        if exchange.seen.kind != "token":  # for which the others wait
            await stage.wait_for_the_last()
        stage.advance(LONG_S + 1)
        await exchange.hang()

    return play


def withhold(stage: Stage) -> Fault:
    """The answer, with null where the thing that is asked for should be."""

    async def play(exchange: Exchange) -> None:
        path = stage.mechanism.asked_for[exchange.seen.kind]
        *way, last = path.split(".")
        body = inner = exchange.body
        for key in way:
            inner = inner[key]
        if path:
            inner[last] = None
        await exchange.reply(200, encoded(body if path else None))

    return play


def send_first_again(stage: Stage) -> Fault:
    """The first page again, with its cursor, where the second should be."""

    async def play(exchange: Exchange) -> None:
        kind = exchange.seen.kind
        delivered = exchange.server.delivered
        first = next(body for seen, body in delivered if (seen.kind, seen.page) == (kind, 1))
        await exchange.reply(200, encoded(first))

    return play


def fail_beside_data(stage: Stage) -> Fault:
    """An error and all of the data beside it."""

    async def play(exchange: Exchange) -> None:
        await exchange.reply(200, encoded(exchange.body | {"errors": [{"message": words(exchange)}]}))

    return play


def graphql(code: str) -> Make:
    """A failure as Shopify writes it: under HTTP 200."""
    return told(200, lambda said: {"errors": [{"message": said, "extensions": {"code": code}}], "data": None})


def graph(code: int, wait: str | None = None) -> Make:
    """A failure as Meta writes it: under HTTP 400."""
    return told(400, lambda said: {"error": {"message": said, "code": code}}, wait)


def coded(code: int) -> Make:
    """A failure as TikTok writes it: under HTTP 200."""
    return told(200, lambda said: {"code": code, "message": said, "data": {}})


def coded_by_microsoft(code: int) -> Make:
    """A failure as Microsoft Advertising writes it: by a number, the status says little."""
    return told(400, lambda said: {"Errors": [{"Code": code, "Message": said}]})


def typed(kind: str) -> Make:
    """A failure as Criteo writes it: under HTTP 200, in place of the rows or sizes."""
    return told(200, lambda said: {"data": None, "errors": [{"type": kind, "detail": said}]})


def oauth(said: str) -> object:
    """What a token endpoint says where it refuses."""
    return {"error": "invalid_grant", "error_description": said}


def once_and_for_ever(name: str, make: Make, kind: Kind, **more: Any) -> list[Trouble]:
    """A fault that is worth asking again for, once and for ever."""
    return [
        Trouble(f"{name}, once", make, kind, again=True, times=1, **more),
        Trouble(f"{name}, for ever", make, kind, again=True, **more),
    ]


def only(vendor: str, **more: Any) -> dict[str, Any]:
    """At this vendor alone."""
    return {"vendors": (vendor,), **more}


SECOND = ("second", "within")
PAGE = "<!DOCTYPE html><html><body>{}</body></html>"

TROUBLES: tuple[Trouble, ...] = (
    *once_and_for_ever("connection reset", always(faults.reset_before_headers), "unavailable"),
    *once_and_for_ever("body cut off in the middle", always(faults.cut_off), "unavailable"),
    *once_and_for_ever("silence", keep_silent, "timeout"),
    *once_and_for_ever("500", told(500), "unavailable"),
    *once_and_for_ever("502 with a web page", told(502, PAGE.format), "unavailable"),
    Trouble("429, Retry-After 3 s, once", told(429, wait="3"), "rate_limited", again=True, times=1),
    Trouble("401, once", told(401), "unauthorized", times=1),
    Trouble("401, for ever", told(401), "unauthorized"),
    Trouble("200 with a web page", told(200, PAGE.format), "bad_response"),
    Trouble("200 with nothing", told(200, lambda said: b""), "bad_response"),
    Trouble("null for what was asked", withhold, "bad_response", unreadable=True),
    Trouble("the first page again", send_first_again, "bad_response", places=SECOND),
    *once_and_for_ever(
        "403 without JSON: too much at once", told(403, "{}".format, "3"), "rate_limited", **only("mailchimp")
    ),
    Trouble("403 with a web page", told(403, PAGE.format), "forbidden", foreign=True),
    *once_and_for_ever("200 with THROTTLED", graphql("THROTTLED"), "rate_limited", **only("shopify")),
    *once_and_for_ever(
        "200 with INTERNAL_SERVER_ERROR", graphql("INTERNAL_SERVER_ERROR"), "unavailable", **only("shopify")
    ),
    Trouble("200 with ACCESS_DENIED", graphql("ACCESS_DENIED"), "forbidden", **only("shopify")),
    Trouble(
        "200 with an error beside the data",
        fail_beside_data,
        "invalid_request",
        places=("first", "second"),
        **only("shopify"),
    ),
    *once_and_for_ever("400 with code 2", graph(2), "unavailable", **only("meta")),
    *once_and_for_ever("400 with code 17", graph(17, "3"), "rate_limited", **only("meta")),
    Trouble("400 with code 190", graph(190), "unauthorized", **only("meta")),
    Trouble("400 with code 100", graph(100), "invalid_request", **only("meta")),
    *once_and_for_ever("200 with code 50002", coded(50002), "unavailable", **only("tiktok")),
    Trouble("200 with code 40100, once", coded(40100), "rate_limited", again=True, times=1, **only("tiktok")),
    Trouble("200 with code 40105", coded(40105), "unauthorized", **only("tiktok")),
    Trouble("200 with code 40002", coded(40002), "invalid_request", **only("tiktok")),
    Trouble(
        "400 with INVALID_ARGUMENT",
        told(400),
        "invalid_request",
        **only("ga4", places=("first", "second", "sizes")),
    ),
    Trouble(
        "426: the version has ended",
        told(426, lambda said: {"message": said, "status": 426, "code": "NONEXISTENT_VERSION"}),
        "invalid_request",
        **only("linkedin"),
    ),
    Trouble(
        "400 with invalid_grant",
        told(400, oauth),
        "unauthorized",
        vendors=("googleads", "microsoftads", "datamanager", "snapchat"),
        places=("token",),
    ),
    *once_and_for_ever(
        "400 with code 0", coded_by_microsoft(0), "unavailable", **only("microsoftads", places=("first",))
    ),
    Trouble(
        "400 with code 105, once",
        coded_by_microsoft(105),
        "unauthorized",
        times=1,
        **only("microsoftads", places=("first",)),
    ),
    Trouble(
        "400 with code 106", coded_by_microsoft(106), "forbidden", **only("microsoftads", places=("first",))
    ),
    *once_and_for_ever(
        "200 with an ERROR",
        told(200, lambda said: {"request_status": "ERROR", "debug_message": said}),
        "unavailable",
        **only("snapchat", places=SECOND),
    ),
    *once_and_for_ever("409 at random", told(409), "unavailable", **only("openaiads")),
    *once_and_for_ever(
        "200 with an error of type availability",
        typed("availability"),
        "unavailable",
        **only("criteo", places=("first", "second", "other", "sizes")),
    ),
    Trouble(
        "200 with an error of type access-control",
        typed("access-control"),
        "forbidden",
        **only("criteo", places=("first", "second", "other", "sizes")),
    ),
    Trouble("403 with JSON", told(403), "unauthorized", **only("listmonk")),
    Trouble(
        "401 with code 102",
        told(401, lambda said: {"Code": 102, "Message": said}),
        "forbidden",
        **only("campaignmonitor", places=("first",)),
    ),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a vendor and a place."""

    trouble: Trouble
    vendor: str
    place: str

    @property
    def expected(self) -> Outcome:
        """What is expected here."""
        return outcome(self.trouble, self.vendor, self.place)

    @property
    def tries(self) -> int:
        """How many requests are answered with the fault: four, or one where asking again is of no use.

        A page that fails in passing is tried once more after the rest, where there is any, and so is a size
        that is refused.
        """
        if self.trouble.times:
            return self.trouble.times
        renewed = renews(self.trouble, self.vendor, self.place)
        tries = 4 if self.trouble.again else 2 if renewed else 1
        return tries

    def __str__(self) -> str:
        return f"{self.vendor} {self.place}: {self.trouble.name}"


CELLS: tuple[Cell, ...] = tuple(
    Cell(trouble, vendor, place)
    for trouble in TROUBLES
    for vendor in BY_NAME
    for place in PLACES
    if trouble.applies(vendor, place)
)
