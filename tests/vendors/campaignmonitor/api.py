"""Campaign Monitor's lists and segments, as documented and recorded, over given rows.

A row is flat and has its `kind`; its `Name` is a segment's title, its `size` is given by requests of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from audience_mcp.testing import Answer, Asked
from audience_mcp.vendors.parsing import basic

KEY, CLIENT = "made-up-campaignmonitor-key", "4a397ccaaa55eb4e6aa1221e1e2d7122"
PATH = re.compile(
    r"/api/v3\.3/(?:clients/(?P<client>[^/]+)/(?P<all>lists|segments)"
    r"|(?P<kind>list|segment)s/(?P<id>[^/]+)(?P<stats>/stats)?)\.json",
    re.ASCII,
)
BUSY = "(is being counted)"
"""What the name of a segment ends with whose count is not there just now."""


def is_segment(row: Any) -> bool:
    return isinstance(row, dict) and row.get("kind") == "segment"


def refused(status: int, code: int) -> Answer:
    return Answer(status, {"Code": code, "Message": "…"})


def listed(row: Any) -> Any:
    """A row as a listing has it."""
    if not isinstance(row, dict):
        return row
    rest = {name: value for name, value in row.items() if name not in ("kind", "size")}
    if not is_segment(row):
        return rest
    if "ListID" in rest:
        rest["SegmentID"] = rest.pop("ListID")
    if "Name" in rest:
        rest["Title"] = rest.pop("Name")
    if "within" in rest:
        rest["ListID"] = rest.pop("within")
    return rest


def answer(asked: Asked, rows: Sequence[Any]) -> Answer:
    """Both listings, one of either, and the count of a list."""
    if asked.headers.get("authorization") != basic(KEY, "x"):
        return refused(401, 100)
    path = PATH.fullmatch(asked.path)
    if path is None or asked.method != "GET" or asked.query or asked.body:
        return refused(404, 404)
    if path["all"]:
        if path["client"] != CLIENT:
            return refused(401, 102)
        return Answer(200, [listed(row) for row in rows if is_segment(row) is (path["all"] == "segments")])
    own = [row for row in rows if is_segment(row) is (path["kind"] == "segment")]
    found = next((row for row in own if isinstance(row, dict) and row.get("ListID") == path["id"]), None)
    if found is None:
        return refused(400, 271) if path["kind"] == "segment" else refused(401, 101)
    if str(found.get("Name", "")).endswith(BUSY):
        return refused(400, 278)
    if is_segment(found):
        rules = [{"Rules": [{"RuleType": "EmailAddress", "Clause": "CONTAINS @example.com"}]}]
        size = {"ActiveSubscribers": found["size"]} if "size" in found else {}
        return Answer(200, {**size, "RuleGroups": rules, **listed(found)})
    if path["stats"]:
        size = {"TotalActiveSubscribers": found["size"]} if "size" in found else {}
        return Answer(200, {**size, "TotalUnsubscribes": 2, "TotalDeleted": 0, "TotalBounces": 0})
    rest = {name: value for name, value in listed(found).items() if name != "Name"}
    named = {"Title": found["Name"]} if "Name" in found else {}
    about = {"ConfirmedOptIn": False, "UnsubscribeSetting": "AllClientLists"}
    return Answer(200, {**rest, **named, **about})
