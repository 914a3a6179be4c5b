"""Vendor text made safe to show, and names folded so that they can be found.

What a customer or vendor wrote reaches a model only through `clean`: on one line, of bounded length,
without characters that are not seen or that reorder what is seen.
"""

from __future__ import annotations

import json
import re
import unicodedata

MAX_TEXT = 200
"""Characters of vendor text shown in any one field."""

MAX_LOOKED_AT = 10_000
"""Characters of vendor text that are looked at to find those that are shown."""


CUT = "…"
"""Ends a text that was cut."""


# Seen by no one, yet read by models: fillers, joiners, variation selectors, the combining grapheme
# joiner, Mongolian and Khmer format characters, blank braille, the empty note head, interlinear anchors,
# and all of the tag plane. The rest of the invisible ones are found by their category (see `_HIDDEN`).
_DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IGNORABLE = re.compile(f"[{_DEFAULT_IGNORABLE}]")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Unicode takes none of these apart; without the first, "ILIK" would not find "ılık".
_STROKES = str.maketrans("ıøłđ", "iold")


def strip_invisible(text: str) -> str:
    """`text` on one line, without control, bidi, invisible, private or unassigned characters."""
    if text.isprintable() and (text.isascii() or not _IGNORABLE.search(text)):
        kept = text
    else:
        kept = "".join(
            " " if c.isspace() else "" if unicodedata.category(c) in _HIDDEN else c
            for c in _IGNORABLE.sub("", text)
        )
    return " ".join(kept.split()) if "  " in kept or kept[:1] == " " or kept[-1:] == " " else kept


def clean(text: object, limit: int = MAX_TEXT) -> str:
    """Vendor text as it may be shown: `visible`, and at most `limit` characters; "" for what is no text."""
    if not isinstance(text, str):
        return ""
    # Hidden characters are cut away before the length is: 5,000 of them must not push a name out, nor
    # must a text of a million characters be looked at to its end.
    shown = strip_invisible(text[:MAX_LOOKED_AT])
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + CUT


def fold(text: str) -> str:
    """`text` without case, accents and strokes, for comparing and searching."""
    if text.isascii():
        return text.lower()
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).casefold().translate(_STROKES)
    # Composed again: taken apart, a Korean syllable would begin with, and so be found by, shorter ones.
    return unicodedata.normalize("NFC", bare)


def to_json(value: object) -> str:
    """JSON without spaces, non-ASCII as it is: the form in which answers are counted and sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
