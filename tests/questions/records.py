"""What is true of every made-up audience, reckoned from the vendors' raw rows and from nothing else.

This is the contract's table once more, on purpose without the server's code: a fault there must show here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from audience_mcp.sandbox import Sandbox

VENDORS = (
    "commbox",
    "batch",
    "smallest",
    "whop",
    "mailchimp",
    "hubspot",
    "klaviyo",
    "meta",
    "linkedin",
    "ghost",
)
GENERATED = ("smallest", "whop", "klaviyo", "ghost")
"""Vendors that make up ids, in which no words are looked for."""
Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """One audience. `size` is None where nobody knows it; `size_max`: the upper end where it is a range.

    within: the ref of the audience that it lies in.
    """

    vendor: str
    id: str
    name: str
    size: int | None
    status: str
    type: str
    created: datetime | None
    updated: datetime | None
    raw: Raw
    within: str | None = None
    size_max: int | None = None

    @property
    def ref(self) -> str:
        return f"{self.vendor}:{self.id}"

    def says(self, *words: str) -> bool:
        """Whether every word occurs in its name, id or description, ignoring case and accents."""
        described = self.raw.get("description", self.raw.get("hs_description", ""))
        own = self.raw.get("code", self.id)
        text = plain(f"{self.name} {'' if self.vendor in GENERATED else own} {described}")
        return all(plain(word) in text for word in words)


def plain(text: str) -> str:
    """Lower case and without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


def truth() -> list[Record]:
    """Every audience of the sandbox."""
    rows = Sandbox().rows
    return [record for vendor in VENDORS for record in records(vendor, rows[vendor], whop_size)]


def whop_size(row: Raw) -> int | None:
    """None where Whop's 0 says nothing: no rows belong to the audience, or they are not counted yet."""
    if row["audience_type"] == "lookalike" or row["source_type"] == "engagement":
        return None
    if row["status"] in ("pending", "processing", "syncing") and row["total_rows"] == 0:
        return None
    return int(row["total_rows"])


def records(vendor: str, rows: Iterable[Any], size_at_whop: Callable[[Raw], int | None]) -> list[Record]:
    """A vendor's rows as records."""
    return [_RECORD[vendor](row, size_at_whop) for row in rows]


def biggest_first(of: Iterable[Record]) -> list[Record]:
    """In the order of `sort: size`: unknown sizes last, ties by ref."""
    return sorted(of, key=lambda r: (r.size is None, -(r.size or 0), r.ref))


def total(of: Iterable[Record]) -> int:
    """The sum of the known sizes, of which none lies within another."""
    these = list(of)
    refs = {r.ref for r in these}
    return sum(r.size for r in these if r.size is not None and r.within not in refs)


def at(of: Iterable[Record], *vendors: str) -> list[Record]:
    """Those of these vendors."""
    return [r for r in of if r.vendor in vendors]


def the_one(of: Iterable[Record], ref: str) -> Record:
    """The audience of that ref. Raises LookupError where there is none."""
    for record in of:
        if record.ref == ref:
            return record
    raise LookupError(f"there is no {ref}")


def date(text: str) -> datetime:
    """An ISO date or date-time in UTC, with any number of fractional digits."""
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|\+00:00))?", text)
    assert found, text
    *whole, fraction = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in whole)
    microsecond = int(f"{fraction or 0:0<6}"[:6])
    return datetime(year, month, day, hour, minute, second, microsecond, timezone.utc)


def _commbox(row: Raw, _: Any) -> Record:
    size = row.get("user_count") if row["type"] == "Static" else None
    made = date(row["created_time"])
    return Record(
        "commbox", row["id"], row["name"] or row["id"], size, "ready", row["type"].lower(), made, None, row
    )


def _batch(row: Raw, _: Any) -> Record:
    if "code" in row:
        return Record(
            "batch",
            f"segment-{row['code']}",
            row["display_name"],
            None,
            "ready",
            "dynamic",
            date(row["created_at"]),
            date(row["updated_at"]),
            row,
        )
    status = {"APPLIED": "ready", "REPLACED": "ready", "IN_PROGRESS": "processing"}[row["indexing_state"]]
    return Record(
        "batch",
        row["name"],
        row.get("display_name") or row["name"],
        None if status == "processing" and row["nb_ids"] == 0 else row["nb_ids"],
        status,
        "static",
        date(row["created"]),
        date(row["updated"]),
        row,
    )


def _smallest(row: Raw, _: Any) -> Record:
    return Record(
        "smallest",
        row["_id"],
        row["name"],
        int(row["memberCount"]),
        "ready",
        "static",
        date(row["createdAt"]),
        date(row["updatedAt"]),
        row,
    )


def _whop(row: Raw, size_at_whop: Callable[[Raw], int | None]) -> Record:
    by_rule = row["source_type"] in ("engagement", "people_filter") or row["auto_refresh"]
    return Record(
        "whop",
        row["id"],
        row["name"],
        size_at_whop(row),
        row["status"] if row["status"] in ("ready", "partial", "failed") else "processing",
        "lookalike" if row["audience_type"] == "lookalike" else "dynamic" if by_rule else "static",
        datetime.fromtimestamp(row["created_at"], timezone.utc),
        datetime.fromtimestamp(row["updated_at"], timezone.utc),
        row,
    )


def _mailchimp(row: Raw, _: Any) -> Record:
    if "list_id" not in row:
        made = date(row["date_created"])
        size = row["member_count"]
        return Record("mailchimp", f"list-{row['id']}", row["name"], size, "ready", "static", made, None, row)
    return Record(
        "mailchimp",
        f"segment-{row['list_id']}.{row['id']}",
        row["name"],
        row["member_count"],
        "ready",
        {"static": "static", "saved": "dynamic", "fuzzy": "unknown"}[row["type"]],
        date(row["created_at"]),
        date(row["updated_at"]),
        row,
        f"mailchimp:list-{row['list_id']}",
    )


def _hubspot(row: Raw, _: Any) -> Record:
    return Record(
        "hubspot",
        row["listId"],
        row["name"],
        row.get("size"),
        {"COMPLETE": "ready", "PROCESSING": "processing", "PAUSED": "unknown"}[row["processingStatus"]],
        "dynamic" if row["processingType"] == "DYNAMIC" else "static",
        date(row["createdAt"]),
        date(row["updatedAt"]),
        row,
    )


def _klaviyo(row: Raw, _: Any) -> Record:
    segment = row["kind"] == "segment"
    return Record(
        "klaviyo",
        f"{row['kind']}-{row['id']}",
        row["name"],
        row.get("profile_count"),
        "processing" if segment and row["is_processing"] else "ready",
        "dynamic" if segment else "static",
        date(row["created"]),
        date(row["updated"]),
        row,
    )


def _meta(row: Raw, _: Any) -> Record:
    low = row["approximate_count_lower_bound"]
    operation, delivery = row["operation_status"]["code"], row["delivery_status"]["code"]
    return Record(
        "meta",
        row["id"],
        row["name"],
        None if low < 0 else low,
        {441: "processing", 433: "failed"}.get(operation, "ready" if delivery == 200 else "unknown"),
        {"CUSTOM": "static", "LOOKALIKE": "lookalike"}.get(row["subtype"], "dynamic"),
        datetime.fromtimestamp(row["time_created"], timezone.utc),
        datetime.fromtimestamp(row["time_updated"], timezone.utc),
        row,
        size_max=None if low < 0 else row["approximate_count_upper_bound"],
    )


def _linkedin(row: Raw, _: Any) -> Record:
    statuses = {"READY": "ready", "BUILDING": "processing", "UPDATING": "processing", "FAILED": "failed"}
    count = row.get("approximateMemberCount")
    return Record(
        "linkedin",
        str(row["id"]),
        row["name"],
        count if count or row["status"] in ("READY", "ARCHIVED") else None,
        statuses.get(row["status"], "unknown"),
        "static" if row["type"] == "BULK" else "unknown",
        datetime.fromtimestamp(row["created"]["time"] / 1000, timezone.utc),
        datetime.fromtimestamp(row["lastModified"]["time"] / 1000, timezone.utc),
        row,
    )


def _ghost(row: Raw, _: Any) -> Record:
    return Record(
        "ghost",
        f"{row['kind']}-{row['id']}",
        row["name"],
        row["members"],
        "ready",
        "static",
        date(row["created_at"]),
        date(row["updated_at"]),
        {**row, "description": row.get("description") or ""},
    )


_RECORD: Mapping[str, Callable[[Raw, Any], Record]] = {
    "commbox": _commbox,
    "batch": _batch,
    "smallest": _smallest,
    "whop": _whop,
    "mailchimp": _mailchimp,
    "hubspot": _hubspot,
    "klaviyo": _klaviyo,
    "meta": _meta,
    "linkedin": _linkedin,
    "ghost": _ghost,
}
