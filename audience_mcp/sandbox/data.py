"""The made-up audiences, row by row as each vendor sends them.

The same in every process and on every day: random numbers come from fixed seeds, dates from a fixed
range that ends in November 2026. What is rare at a vendor but matters to a reader is written out by
hand; the rest is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from functools import cache
from random import Random

from audience_mcp.sandbox.data_whop import whop_rows
from audience_mcp.sandbox.drawing import END, START, Row, iso, moment, seed_random, size
from audience_mcp.sandbox.ghost import ghost_rows
from audience_mcp.sandbox.hubspot import hubspot_rows
from audience_mcp.sandbox.klaviyo import klaviyo_rows
from audience_mcp.sandbox.linkedin import linkedin_rows
from audience_mcp.sandbox.mailchimp import mailchimp_rows
from audience_mcp.sandbox.meta import meta_rows
from audience_mcp.sandbox.names import CALLS, CITIES, MARKETS, REGIONS, SEGMENTS, THEMES

SMALLEST_UNLISTED: Row = {
    "_id": "68f0a1b2c3d4e5f601234567",
    "name": "Field sales – shared list",
    "description": "Made by a colleague: the organisation can read it, this user's list does not have it",
    "phoneNumberColumnName": "phone",
    "organization": "6633a0f2b1c4d5e6f7081920",
    "createdBy": "6633a0f2b1c4d5e6f7089999",
    "createdAt": "2025-10-16T07:41:06.000Z",
    "updatedAt": "2026-02-03T10:00:00.000Z",
}
"""An audience of Smallest.ai that can be requested by id, and that its list lacks."""


ATTACKED = "31127"
"""The id of CommBox's audience that `Sandbox(hostile=True)` renames to `names.HOSTILE`."""


def made_up(vendors: Collection[str] | None = None) -> dict[str, list[Row]]:
    """New rows, by vendor, of all or of these: 62 of CommBox, 235 of Batch, 40 of Smallest.ai, 250 of Whop,
    230 of the others. They are drawn once in a process, and only where they are asked for.
    """
    return {name: json.loads(_draw(name)) for name in _DRAWN if vendors is None or name in vendors}


@cache
def _draw(vendor: str) -> str:
    """A vendor's rows, kept so that every caller has its own to change."""
    return json.dumps(_DRAWN[vendor]())


def _commbox() -> list[Row]:
    draw = seed_random(31234)
    rows = [
        _commbox_row("31107", "All WhatsApp contacts", "2024-02-19T06:30:00Z", 1_018_642),
        _commbox_row("31112", "VIP", "2025-11-01T08:30:00Z", 8_204),
        _commbox_row("31120", "Black Friday 2025", "2025-11-12T14:05:09.4471203Z", 96_310),
        _commbox_row("31121", "Black Friday 2025", "2025-11-24T09:00:00Z", None),  # another, of the same name
        _commbox_row(ATTACKED, "Spring sale – every market", "2026-03-20T11:15:27.0038816Z", 41_870),
        _commbox_row("31133", "Import 2026-11-16 (empty file)", "2026-11-16T17:42:00Z", 0),
        _commbox_row("31134", "Test – my own number", "2024-03-04T10:10:10.1000001Z", 1),
        _commbox_row("31140", "Клиенты без ответа", "2026-05-27T12:00:00Z", None),
        _commbox_row("31146", "לקוחות מועדון 💙", "2025-06-15T07:20:31.9910045Z", 23_518),
        _commbox_row("31152", "Newsletter subscribers", "2024-09-02T13:45:00Z", 187_455),
        _commbox_row("31158", "Churn risk – silent for 90 days", "2026-08-11T05:00:00Z", None),
        _commbox_row("31163", "Señal débil (reintentar)", "2026-10-30T20:18:44.6154902Z", 3_977),
        _commbox_row("31170", "عملاء واتساب", "2026-01-14T09:09:00Z", 15_266),
        _commbox_row("31171", "", "2024-04-22T16:00:00Z", 12),  # nobody gave it a name
    ]
    for number in range(len(REGIONS) * len(SEGMENTS)):
        region, segment = REGIONS[number // len(SEGMENTS)], SEGMENTS[number % len(SEGMENTS)]
        created = moment(draw, START, END)
        fraction = f".{draw.randrange(10**7):07}" if number % 3 == 0 else ""
        dynamic = segment in ("abandoned chat", "open tickets > 7 days")
        users = None if dynamic else size(draw, 60_000)
        rows.append(
            _commbox_row(str(31200 + 7 * number), f"{region}-{segment}", iso(created, fraction), users)
        )
    return rows


def _commbox_row(id: str, name: str, created: str, users: int | None) -> Row:
    """A dynamic audience has no `user_count` at all."""
    count: Row = {} if users is None else {"user_count": users}
    kind = "Dynamic" if users is None else "Static"
    return {"id": id, "name": name, "created_time": created, **count, "type": kind}


def _batch() -> list[Row]:
    draw = seed_random(230)
    rows = [_batch_row(*each) for each in _BATCH_BY_HAND]
    for year in (2025, 2026):
        first, last = datetime(year, 1, 2, 6, tzinfo=timezone.utc), datetime(year, 10, 9, tzinfo=timezone.utc)
        for market, names in MARKETS.items():
            for theme, title in zip(THEMES, names, strict=True):
                name = f"{theme}_{market}_{year}"
                display = draw.choices((f"{title} {year}", name, None), (87, 5, 8))[0]
                ids = 0 if draw.random() < 0.04 else size(draw, 500_000)
                state = draw.choices(("APPLIED", "IN_PROGRESS", "REPLACED"), (88, 5, 7))[0]
                created = moment(draw, first, last)
                updated = created + timedelta(seconds=draw.randrange(30 * 86_400))
                rows.append(_batch_row(name, display, ids, state, iso(created), iso(updated)))
    return rows + [_batch_segment(*each) for each in _BATCH_SEGMENTS]


_BATCH_BY_HAND = (
    ("app_users_all", "All app users", 3_612_480, "APPLIED", "2024-01-08T07:30:00Z", "2026-11-16T04:00:11Z"),
    ("newsletter_all", "Newsletter", 2_948_113, "APPLIED", "2024-01-09T10:02:45Z", "2026-11-15T04:00:09Z"),
    ("push_all", "Push opt-ins 🔔", 1_876_905, "IN_PROGRESS", "2024-01-09T10:05:00Z", "2026-11-16T04:00:12Z"),
    ("VIP", None, 12_690, "APPLIED", "2024-05-13T15:20:31Z", "2026-10-02T08:00:00Z"),
    ("bf25_web", "Black Friday 2025", 402_118, "REPLACED", "2025-11-03T09:00:00Z", "2025-11-28T06:14:00Z"),
    ("bf25_app", "Black Friday 2025", 357_961, "APPLIED", "2025-11-03T09:01:00Z", "2025-12-01T12:00:00Z"),
    ("gdpr-suppression", "Do not contact", 0, "APPLIED", "2024-02-01T00:00:00Z", "2026-11-01T00:00:00Z"),
    ("xmas_2026", "🎄 Early birds", 0, "IN_PROGRESS", "2026-11-16T17:58:03Z", "2026-11-16T17:58:03Z"),
    ("qa-testers", "qa-testers", 14, "APPLIED", "2024-01-22T11:11:11Z", "2025-09-30T13:37:00Z"),
    ("grosskaeufer-24", "Großkäufer 2024", 68_020, "APPLIED", "2024-12-20T18:45:00Z", "2025-01-07T07:00:00Z"),
)


_BATCH_SEGMENTS = (
    ("active-7d", "Active in the app this week", "2025-02-10T09:00:00Z", "2026-10-21T14:05:33Z"),
    ("email-clicked-30d", "Clicked an e-mail in 30 days", "2025-02-10T09:20:00Z", "2026-09-02T07:41:10Z"),
    ("IOS-PUSH", "iPhones that can get a push", "2025-06-18T16:30:12Z", "2025-06-18T16:30:12Z"),
    ("viewed-not-bought", "Viewed a product, bought nothing", "2026-04-07T11:12:13Z", "2026-11-03T10:00:00Z"),
    ("no-order-180d", "Keine Bestellung seit 180 Tagen", "2026-05-26T13:00:00Z", "2026-05-27T08:15:00Z"),
)


def _batch_segment(code: str, display: str, created: str, updated: str) -> Row:
    return {
        "kind": "segment",
        "code": code,
        "display_name": display,
        "created_at": created,
        "updated_at": updated,
    }


def _batch_row(name: str, display: str | None, ids: int, state: str, created: str, updated: str) -> Row:
    """The order of Batch's schema; `display_name` is left out where there is none."""
    displayed: Row = {} if display is None else {"display_name": display}
    counted: Row = {"type": "CUSTOM_ID", "nb_ids": ids, "indexing_state": state}
    return {"name": name, **displayed, **counted, "created": created, "updated": updated}


_CAMPAIGN_STATUSES = ("draft", "scheduled", "processing", "running", "paused", "completed", "failed")


def _smallest() -> list[Row]:
    draw = seed_random(24)
    wanted: list[tuple[str, str | None, int]] = [
        ("VIP", "White-glove customers, human hand-over after the greeting", 412),
        ("Black Friday 2025 call-down", "Everyone who opted in to a call about the sale", 10_000),
        ("Überfällige Rechnungen", "Zahlungserinnerung, 2. Stufe", 1_523),
        ("空席待ちの電話", None, 0),
    ]
    wanted += [
        (f"{call} – {city}", description, size(draw, 9_900)) for call, description in CALLS for city in CITIES
    ]
    return [_smallest_row(draw, *each) for each in wanted]


def _smallest_row(draw: Random, name: str, description: str | None, members: int) -> Row:
    """Some times are written with milliseconds and some without, as in the vendor's own document."""
    created = moment(draw, START, END)
    updated = moment(draw, created, END)
    ms = draw.choice(("", ".000"))
    described: Row = {} if description is None else {"description": description}
    statuses = draw.choices(_CAMPAIGN_STATUSES, k=draw.choice((0, 0, 1, 1, 2)))
    campaigns = [
        {
            "_id": _object_id(draw, updated),
            "name": f"{name.split(' – ')[0]} #{number}",
            "status": status,
            "createdAt": iso(updated),
        }
        for number, status in enumerate(statuses, 1)
    ]
    return {
        "_id": _object_id(draw, created),
        "name": name,
        **described,
        "phoneNumberColumnName": draw.choice(("phone", "phone_number", "mobile")),
        "organization": SMALLEST_UNLISTED["organization"],
        "createdBy": "6633a0f2b1c4d5e6f7081921",
        "createdAt": iso(created, ms),
        "updatedAt": iso(updated, ms),
        "memberCount": members,
        "hasCampaigns": bool(campaigns),
        "campaigns": campaigns,
    }


def _object_id(draw: Random, made: datetime) -> str:
    """A Mongo object id begins with the second in which it was made."""
    return f"{int(made.timestamp()):08x}{draw.getrandbits(64):016x}"


_DRAWN: Mapping[str, Callable[[], list[Row]]] = {
    "commbox": _commbox,
    "batch": _batch,
    "smallest": _smallest,
    "whop": whop_rows,
    "mailchimp": mailchimp_rows,
    "hubspot": hubspot_rows,
    "klaviyo": klaviyo_rows,
    "meta": meta_rows,
    "linkedin": linkedin_rows,
    "ghost": ghost_rows,
}
"""What draws each vendor's rows, in the order in which the sandbox has them."""
