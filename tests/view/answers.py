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
RECORD: dict[str, Any] = {
    "matched_by": "ref",
    "complete": True,
    "audiences": [
        {
            "ref": "mailchimp:list-0a1b",
            "name": "Newsletter",
            "size": 52_000,
            "size_max": 53_500,
            "source": "mailchimp",
            "vendor": "mailchimp",
            "id": "list-0a1b",
            "kind": "list",
            "type": "dynamic",
            "status": "processing",
            "history": [
                {"as_of": "2026-08-31", "size": 40_000, "from": "vendor"},
                {"as_of": "2026-09-30", "size": 44_000, "from": "vendor"},
                {"as_of": "2026-10-31", "size": 47_000, "from": "vendor"},
                {"as_of": "2026-11-20T06:00:00Z", "size": 51_000, "size_max": 52_100},
                {"as_of": "2026-11-26T06:00:00Z", "size": 52_000, "size_max": 53_500},
            ],
        }
    ],
    "sources": [report("mailchimp", {"list": "subscribed contacts", "tag": "contacts with it"})],
}
"""One line with one seam: the vendor's own record, then our readings, which are ranges."""
NESTED: dict[str, Any] = {
    "matched": 3,
    "returned": 3,
    "sum_of_sizes": 9_000,
    "unknown_sizes": 0,
    "complete": True,
    "audiences": [
        {
            "ref": "mailchimp-acme:segment-1.2",
            "name": "Opened",
            "size": 4_000,
            "type": "dynamic",
            "status": "processing",
            "kind": "segment",
            "part_of": "mailchimp-acme:list-1",
            "issues": [
                "too_small: under 100 people",
                "stale: not updated since 2025-02-04",
                "duplicate_name: 2 of this name at mailchimp-acme",
            ],
        },
        {
            "ref": "mailchimp-acme:segment-1.3",
            "name": "Opened",
            "size": 3_000,
            "part_of": "mailchimp-acme:list-9",
            "size_then": 2_000,
            "change": 1_000,
            "change_pct": 50.0,
            "then_from": "vendor",
            "then_as_of": "2026-10-31",
        },
        {"ref": "batch:x", "name": "Zoë", "size": 2_000, "status": "failed"},
    ],
    "compared": {
        "sum_now": 3_000,
        "sum_then": 2_000,
        "change": 1_000,
        "new": 0,
        "unknown": 2,
        "from_vendor": 1,
    },
    "sources": [
        report("mailchimp-acme", "contacts", vendor="mailchimp", label="Acme GmbH"),
        report("batch", "identifiers"),
    ],
    "notes": [
        "2 audiences within another matched one (part_of), not added to the sums again.",
        "Units differ: see size_counts.",
        "no match in: whop (read 2026-11-26T17:30Z or later)",
        "batch: nothing is stored at 2026-11-01T00:00:00Z or before.",
    ],
}
"""Audiences within others, issues, a size of a vendor's record: all that has a code and needs words."""
GONE: dict[str, Any] = {
    "matched_by": "ref",
    "complete": True,
    "audiences": [
        {
            "ref": "batch:old",
            "name": "Summer sale",
            "size": 1_200,
            "gone": True,
            "last_seen_at": "2026-10-03T06:00:00Z",
            "source": "batch",
        }
    ],
    "sources": [report("batch", "identifiers")],
}
ANSWERS = {
    "list": LIST,
    "compared": COMPARED,
    "grouped": GROUPED,
    "pending": PENDING,
    "history": HISTORY,
    "record": RECORD,
    "nested": NESTED,
    "gone": GONE,
}
