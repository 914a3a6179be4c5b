"""Answers of every shape that the contract has, whatever the vendors of the sandbox give."""

from __future__ import annotations

from typing import Any


def report(source: str, counts: str | dict[str, str], **more: Any) -> dict[str, Any]:
    """A source's report."""
    told = {"audiences": 12, "complete": True, "as_of": "2026-11-26T17:30:00Z", "size_counts": counts}
    return {"source": source, **told, **more}


_ROWS: list[dict[str, Any]] = [
    {"ref": "batch:newsletter", "name": "Newsletter subscribers", "size": 184_220},
    {
        "ref": "meta:238",
        "name": "Lookalike of buyers",
        "size": 120_000,
        "size_max": 141_000,
        "type": "lookalike",
    },
    {"ref": "brevo:list-8", "name": "Clients fidèles", "size": 48_211, "kind": "list", "type": "unknown"},
    {"ref": "batch:vip", "name": "VIP", "size": 9_120},
    {"ref": "whop:w", "name": "Waitlist", "size": 310, "status": "processing"},
    {"ref": "batch:z", "name": "Emptied", "size": 0},
    {"ref": "commbox:9", "name": "Hot leads", "type": "dynamic", "size_note": "CommBox gives no size here"},
]
_SOURCES = [
    report("batch", "identifiers"),
    report("meta", "people, as a range"),
    report("brevo", {"list": "contacts", "segment": "contacts when last counted"}),
    report("commbox", "contacts"),
]
LIST: dict[str, Any] = {
    "matched": 7,
    "returned": 7,
    "sum_of_sizes": 361_861,
    "sum_max": 382_861,
    "unknown_sizes": 1,
    "complete": True,
    "audiences": _ROWS,
    "sources": _SOURCES,
    "notes": ["1 audience without that date was left out."],
}
_THEN = {"batch:newsletter": 164_911, "meta:238": 122_123, "brevo:list-8": 48_211, "batch:vip": 9_499}
COMPARED: dict[str, Any] = {
    **LIST,
    "audiences": [
        {**row, "size_then": _THEN[row["ref"]], "change": row["size"] - _THEN[row["ref"]]}
        if row["ref"] in _THEN
        else {**row, **({"new": True} if row["ref"] == "whop:w" else {})}
        for row in _ROWS
    ],
    "compared": {
        "sum_now": 361_551,
        "sum_then": 344_744,
        "change": 16_807,
        "new": 1,
        "gone": 1,
        "unknown": 1,
        "gone_audiences": [{"ref": "batch:old", "name": "Summer sale", "size_then": 1_200}],
    },
    "sources": [{**source, "compared_to": "2026-11-01T06:00:00Z"} for source in _SOURCES],
}
GROUPED: dict[str, Any] = {
    "matched": 40,
    "returned": 3,
    "sum_of_sizes": 390_000,
    "unknown_sizes": 5,
    "complete": True,
    "groups": [
        {"key": "batch", "matched": 12, "sum_of_sizes": 240_000, "unknown_sizes": 0},
        {"key": "mailchimp", "matched": 25, "sum_of_sizes": 150_000, "unknown_sizes": 2},
        {"key": "commbox", "matched": 3, "sum_of_sizes": 0, "unknown_sizes": 3},
    ],
    "sources": _SOURCES,
}
PENDING: dict[str, Any] = {
    **LIST,
    "complete": False,
    "sizes_pending": 3,
    "sources": [
        *_SOURCES[:2],
        report(
            "brevo",
            "contacts",
            complete=False,
            error={
                "kind": "rate_limited",
                "message": "Brevo is rate limiting this key.",
                "retry_after_s": 40,
            },
        ),
        report("commbox", "contacts", complete=False),
    ],
}
_SIZES = (7_900, 7_950, 7_930, 8_200, 8_410, 8_410, 8_690, 8_930, 9_120)
HISTORY: dict[str, Any] = {
    "matched_by": "ref",
    "complete": True,
    "audiences": [
        {
            "ref": "batch:vip",
            "name": "VIP",
            "size": 9_120,
            "source": "batch",
            "vendor": "batch",
            "id": "vip",
            "type": "static",
            "status": "ready",
            "created_at": "2026-01-04T09:12:00Z",
            "details": {"indexing_state": "APPLIED"},
            "history": [
                {"as_of": f"2026-11-{3 * n + 1:02}T06:00:00Z", "size": s} for n, s in enumerate(_SIZES)
            ],
        }
    ],
    "sources": _SOURCES[:1],
}
ANSWERS = {"list": LIST, "compared": COMPARED, "grouped": GROUPED, "pending": PENDING, "history": HISTORY}
