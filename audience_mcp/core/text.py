"""Makes vendor text safe to show, and folds text for comparing and searching.

Text that a customer or vendor wrote reaches a model only through `clean`: on one line, of bounded length,
without invisible characters or ones that reorder the visible text.
"""

from __future__ import annotations

import json
import re
import unicodedata

MAX_TEXT = 200
"""Characters of vendor text shown in any one field."""

MAX_LOOKED_AT = 10_000
"""Characters of vendor text that are examined to find those that are shown."""

CUT = "…"
"""Ends a text that was cut."""

# Invisible to people, yet read by models: fillers, joiners, variation selectors, the combining grapheme
# joiner, Mongolian and Khmer format characters, blank braille, the empty note head, interlinear anchors,
# and all of the tag plane. Other invisible characters are found by their category (see `_HIDDEN`).
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
# Unicode does not decompose these letters. Without the first, "ILIK" would not find "ılık".
_STROKES = str.maketrans("ıøłđ", "iold")

_TYPED_AS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "å": "aa", "Å": "Aa"}
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "oe", "Ø": "Oe"}
)
"""Letters with a customary form in plain ones. (ß is folded to ss in any case.)"""


class _Folding(dict[int, str]):
    """What each character folds to, worked out when it is first seen."""

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", chr(code).casefold())
        folded = self[code] = _MARKS.sub("", decomposed).casefold().translate(_STROKES)
        return folded


_FOLDING = _Folding()


def strip_invisible(text: str) -> str:
    """`text` on one line, without control, bidi, invisible, private-use or unassigned characters."""
    if text.isprintable() and (text.isascii() or not _IGNORABLE.search(text)):
        kept = text
    else:
        kept = "".join(
            " " if c.isspace() else "" if unicodedata.category(c) in _HIDDEN else c
            for c in _IGNORABLE.sub("", text)
        )
    return " ".join(kept.split()) if "  " in kept or kept[:1] == " " or kept[-1:] == " " else kept


def clean(text: object, limit: int = MAX_TEXT) -> str:
    """Vendor text as it may be shown: visible, at most `limit` characters; "" if it is not text."""
    if not isinstance(text, str):
        return ""
    # Invisible characters are removed before the text is cut, so that 5,000 of them do not hide a name; a
    # text of a million characters is not examined to its end.
    shown = strip_invisible(text[:MAX_LOOKED_AT])
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + CUT


def fold(text: str) -> str:
    """`text` without case, accents and strokes, for comparing and searching."""
    if text.isascii():
        return text.lower()
    # Composed again, because a decomposed Korean syllable begins with shorter ones and would be found by
    # them.
    return unicodedata.normalize("NFC", text.translate(_FOLDING))


def fold_forms(text: str) -> tuple[str, ...]:
    """`text` folded, and as it is typed on another keyboard: `kaufer` and `kaeufer` for "Käufer"."""
    folded = fold(text)
    if text.isascii():
        return (folded,)
    return tuple(dict.fromkeys((folded, fold(unicodedata.normalize("NFC", text).translate(_TYPED_AS)))))


def to_json(value: object) -> str:
    """Compact JSON with non-ASCII unescaped, in which answers are measured and sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
