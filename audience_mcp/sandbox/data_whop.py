"""Whop's made-up audiences: every status, and every kind the newer API knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

from audience_mcp.sandbox.drawing import END, START, Row, moment, seed_random, size
from audience_mcp.sandbox.names import PRODUCTS

_STATUSES = ("ready", "partial", "pending", "processing", "syncing", "failed")
_LARGEST = 250_000
_ID_CHARACTERS = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"


def whop_rows() -> list[Row]:
    """250 rows, oldest first; times are Unix seconds, as the API without a version header sends them."""
    draw = seed_random(250)
    rows = [
        _custom(draw, "All members 2020–2026", 1_204_377, auto_refresh=True),
        _custom(draw, "VIP", 5_031),
        _custom(draw, "Black Friday 2025", 88_412),
        _custom(draw, "Black Friday 2025", 2_500, matched=1_830),  # another, of the same name
        _custom(draw, "Checkout abandoners – 30 days", 61_207, "partial", unusable=8_412),
        _custom(draw, "Webinar leads (partner file)", 1_000, "partial", unusable=412),
        _custom(draw, "old-crm-export(3).csv", 0, "failed", error="No column with emails or phones"),
        _custom(draw, "Refunded customers – exclude", 0),
        _custom(draw, "Affiliés & ambassadeurs", 734, "syncing"),
        _custom(draw, "New upload", 0, "processing"),  # its rows are still being counted
    ]
    for product in PRODUCTS:
        buyers = _custom(draw, f"{product} – buyers", size(draw, _LARGEST))
        rows += [buyers, *(make(draw, product, str(buyers["id"])) for make in _KINDS)]
    return sorted(rows, key=lambda row: (str(row["created_at"]), str(row["id"])))


_Made = Callable[[Random, str, str], Row]
"""Makes an audience of a kind, given the product and the id of the audience of its buyers."""


def _upload(word: str) -> _Made:
    def make(draw: Random, product: str, _: str) -> Row:
        status = draw.choices(_STATUSES, (66, 10, 7, 8, 5, 4))[0]
        rows = size(draw, _LARGEST)
        unusable = rows // 9 if status == "partial" else 0
        error = "No row could be matched to a person" if status == "failed" else None
        return _custom(draw, f"{product} – {word}", rows, status, unusable=unusable, error=error)

    return make


def _people(word: str, status: str, auto_refresh: bool) -> _Made:
    def make(draw: Random, product: str, _: str) -> Row:
        row = _custom(draw, f"{product} – {word}", size(draw, _LARGEST), auto_refresh=auto_refresh)
        row["filters"] = {"status": [status], "product": product}
        return row

    return make


def _lookalike(percent: int) -> _Made:
    def make(draw: Random, product: str, source: str) -> Row:
        row = _row(draw, f"{product} – lookalike {percent} %", "ready", (0, 0, 0), 100)
        row |= {"audience_type": "lookalike", "source_audience_id": source, "lookalike_ratio": percent / 100}
        return row

    return make


def _engagement(word: str, thing: str, days: int) -> _Made:
    def make(draw: Random, product: str, _: str) -> Row:
        row = _row(draw, f"{product} – {word} {days} d", "ready", (0, 0, 0), 100)
        rule: Row = {
            "object": thing,
            "event": "engaged",
            "external_account_id": f"sacc_{_letters(draw)}",
            "retention_days": days,
        }
        row |= {
            "source_type": "engagement",
            "engagement": {"platform": "meta", "include": [rule], "exclude": []},
        }
        return row

    return make


_KINDS = (
    _upload("free trial"),
    _upload("waitlist"),
    _upload("newsletter CSV"),
    _people("active members", "active", auto_refresh=True),
    _people("cancelled members", "canceled", auto_refresh=False),
    _lookalike(1),
    _lookalike(3),
    _engagement("Instagram", "instagram_profile", 90),
    _engagement("Facebook", "facebook_page", 365),
)


def _custom(
    draw: Random,
    name: str,
    total: int,
    status: str = "ready",
    *,
    matched: int | None = None,
    unusable: int = 0,
    error: str | None = None,
    auto_refresh: bool | None = None,
) -> Row:
    """An uploaded list or, where `auto_refresh` is given, one made by people filters."""
    usable = total - unusable
    reached = int(usable * draw.uniform(0.55, 0.9)) if matched is None else matched
    share = draw.uniform(0.1, 0.9)
    counts, progress = {
        "pending": ((0, 0, 0), 0),
        "processing": ((total, int(total * share), 0), int(100 * share)),
        "syncing": ((total, total, int(reached * share)), 90),
        "failed": ((total, total, 0), 100),
    }.get(status, ((total, total, reached), 100))
    row = _row(draw, name, status, counts, progress)
    row["match_rates"] = [_match_rate(reached / total if total and status in ("ready", "partial") else None)]
    if unusable:
        error = f"{unusable:,} of {total:,} rows were skipped: no email address or phone number in them"
    if error is not None:
        row["error_message"] = error
    if auto_refresh is not None:
        row |= {"source_type": "people_filter", "auto_refresh": auto_refresh}
        row |= {"filters": {"status": ["active"]}, "last_refreshed_at": row["updated_at"]}
    return row


def _row(draw: Random, name: str, status: str, counts: tuple[int, int, int], progress: int) -> Row:
    """The keys of the first version, then those added since, which every version has."""
    total, processed, matched = counts
    created = int(moment(draw, START, END - timedelta(days=8)).timestamp())
    at_platform = status in ("syncing", "ready", "partial")
    return {
        "id": f"adaud_{_letters(draw)}",
        "name": name,
        "status": status,
        "total_rows": total,
        "processed_rows": processed,
        "matched_rows": matched,
        "progress_percent": progress,
        "error_message": None,
        "platform_audience_ids": [f"1202{draw.randrange(10**14):014}"] if at_platform else [],
        "created_at": created,
        "updated_at": created + draw.randrange(600, 7 * 86_400),
        "audience_type": "custom",
        "source_type": "csv_upload",
        "auto_refresh": False,
        "engagement": None,
        "filters": None,
        "last_refreshed_at": None,
        "lookalike_ratio": None,
        "lookalike_starting_ratio": None,
        "match_rates": [],
        "source_audience_id": None,
    }


def _match_rate(rate: float | None) -> Row:
    """The platform's estimate, in percent."""
    if rate is None:
        return {"platform": "meta", "status": "calculating", "lower_bound": None, "upper_bound": None}
    middle = round(100 * rate)
    bounds = {"lower_bound": max(middle - 4, 0), "upper_bound": min(middle + 4, 100)}
    return {"platform": "meta", "status": "available", **bounds}


def _letters(draw: Random) -> str:
    return "".join(draw.choices(_ID_CHARACTERS, k=13))
