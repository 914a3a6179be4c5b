"""Values that a vendor may send where they do not belong, by what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NO_OBJECT: Mapping[str, object] = {"null": None, "number": 7, "text": "audience", "list": [], "true": True}
NO_ID: Mapping[str, object] = {
    "null": None,
    "empty": "",
    "blank": "  ",
    "true": True,
    "fraction": 1.5,
    "object": {"$oid": "6"},
    "list": ["1"],
    "two lines": "a\nb",
    "too long": "7" * 256,
    "invisible": "a\u200bb",
    "half a character": "a\ud83c",
}
NO_SIZE: Mapping[str, object] = {
    "null": None,
    "true": True,
    "negative": -1,
    "fraction": 12.5,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "too large": 2**53 + 1,
    "words": "many",
    "empty": "",
    "list": [5],
    "object": {"count": 5},
}
A_SIZE: Mapping[str, object] = {"zero": 0, "integral float": 41.0, "digits": "41", "largest": 2**53}
NO_NAME: Mapping[str, object] = {
    "null": None,
    "empty": "",
    "blank": " \t",
    "number": 12,
    "invisible": "\u2066\ufeff",
    "list": ["a"],
}
NO_DATE: Mapping[str, object] = {
    "words": "soon",
    "true": True,
    "list": [],
    "no such day": "2026-02-30",
    "null": None,
    "zero": 0,
}
ODD: Sequence[object] = [
    None,
    True,
    -7,
    10**400,
    float("inf"),
    "",
    "\ud83c",
    "\u202etxt",
    "x" * 100_000,
    [],
    [[[[[[1]]]]]],
    {"a": {}},
]
