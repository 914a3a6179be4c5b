"""ActiveCampaign's lists and saved segments, as documents and live answers have them, over given rows.

A row with `segment` is a saved segment, every other one a list; both have their count under `count`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from audience_mcp.testing import Answer, Asked

KEY = "made-up-activecampaign-key"
PATH = re.compile(r"/api/3/(lists|audiences)(?:/([0-9A-Za-z-]+))?", re.ASCII)
KNOWN = {
    "lists": {"limit", "offset", "orders[id]", "filters[channel]"},
    "audiences": {"page", "page_size", "sort"},
}


def refused(status: int, title: str) -> Answer:
    return Answer(status, {"message": title})


def is_segment(row: Any) -> bool:
    return isinstance(row, dict) and row.get("segment") is True


def sent(row: Any) -> Any:
    """A row as ActiveCampaign sends it."""
    if not isinstance(row, dict):
        return row
    rest = {k: v for k, v in row.items() if k not in ("segment", "count", "id")}
    own = {"id": row["id"]} if "id" in row else {}
    if not is_segment(row):
        count = row.get("count")
        counts = {} if count is None else {"active_subscribers": str(count) if type(count) is int else count}
        return {**own, **rest, **counts}
    counts = {}
    if row.get("count") is not None:
        # The update was wanted a day after the run that counted had begun.
        times = {"run_id_start": "2026-02-01T23:50:00.000Z", "last_total_updated": "2026-02-02T00:00:00.000Z"}
        evaluated = {"count": row["count"], **times}
        counts = {"last_total": evaluated, "last_active_total": {"count": 9}}
    return {
        **own,
        "type": "segment-summary",
        "attributes": {**rest, "category": "audience", "counts": counts},
    }


def answer(
    asked: Asked,
    rows: Sequence[Any],
    total: Literal["told", "0", "absent"] = "told",
    segments_allowed: bool = True,
) -> Answer:
    """Both listings, and one of either. total: what `meta.total` says of the lists.

    segments_allowed: whether the plan and the user's rights include saved segments.
    """
    refused_here = "audiences" in asked.path and not segments_allowed
    if asked.headers.get("api-token") != KEY or refused_here:
        return refused(403, "You do not have permissions to access this resource.")
    path = PATH.fullmatch(asked.path)
    if asked.method != "GET" or asked.body or path is None:
        return refused(404, "No Result found")
    segments = path[1] == "audiences"
    own = [row for row in rows if is_segment(row) is segments]
    if path[2] is not None:
        found = next((row for row in own if isinstance(row, dict) and str(row.get("id")) == path[2]), None)
        if found is None:
            return refused(404, "No Result found")
        return Answer(200, {"data": [sent(found)]} if segments else {"list": sent(found)})
    query = {name: values[0] for name, values in asked.query.items()}
    if query.keys() - KNOWN[path[1]]:
        return refused(422, "Unknown parameter")
    if segments:
        size, page = int(query.get("page_size", "20")), int(query.get("page", "1"))
        listed = own[(page - 1) * size : page * size]
        return Answer(200, {"data": [sent(row) for row in listed]}) if listed else refused(404, "No segments")
    limit, offset = int(query.get("limit", "20")), int(query.get("offset", "0"))
    if query.get("filters[channel]") != "all":
        own = [row for row in own if not (isinstance(row, dict) and row.get("channel") == "sms")]
    meta = {} if total == "absent" else {"total": "0" if total == "0" else str(len(own))}
    return Answer(200, {"lists": [sent(row) for row in own[offset : offset + min(limit, 100)]], "meta": meta})
