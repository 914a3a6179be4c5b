"""Parses `search` (words, phrases, exclusions, alternatives) and matches rows with it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from audience_mcp.catalog.display import display_name
from audience_mcp.core.audience import Row
from audience_mcp.core.text import MAX_LOOKED_AT, MAX_TEXT, clean, fold, fold_forms, strip_invisible
from audience_mcp.vendors import Vendor

_TOKEN = re.compile(r'(?P<minus>-?)"(?P<phrase>[^"]*)"?|(?P<bar>\|)|(?P<word>[^\s"|()]+)|(?P<paren>[()])')
_FIELD = re.compile(
    r"(?:name|title|id|ref|description|type|status|source|vendor|size|kind|tags?|label|"
    r"(?:created|updated)(?:_at)?):(?=\S)",
    re.I,
)
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»"), '"')
"""Typographic quotation marks, read as the plain one."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
SHOWN = 40
"""Characters of an ignored word that a note quotes."""

MESSAGES = {
    "empty": "search holds nothing that can be searched for, so nothing matches: use letters or digits.",
    "dropped": 'search takes words, "phrases", -word and OR; ignored: {what}.',
}


@dataclass(frozen=True, slots=True)
class Term:
    """A word, which may be part of another one, or a phrase of whole words.

    forms: the folded forms in which it is looked for. id: as it is compared with ids.
    """

    forms: Sequence[str]
    id: str
    whole: bool = False

    def among(self, rows: Sequence[Row], vendor: Vendor) -> list[Row]:
        """The rows in which it occurs. Their searchable texts must have been made."""
        if len(self.forms) == 1:
            (form,) = self.forms
            found = [row for row in rows if form in row.folded]
        else:
            found = [row for row in rows if any(form in row.folded for form in self.forms)]
        if self.whole:
            found = [row for row in found if any(_has_whole(row.folded, form) for form in self.forms)]
        by_id = self._by_id(rows, vendor)
        if not by_id:
            return found
        either = by_id | set(map(id, found))
        return [row for row in rows if id(row) in either]

    def _by_id(self, rows: Sequence[Row], vendor: Vendor) -> set[int]:
        """The rows (as `id(row)`) that it names: by part of an id that people chose, without our word for its
        kind; else by the whole id."""
        if vendor.ids_are == "chosen" and not self.whole:
            found = [row for row in rows if self.id in row.id.lower()]
            return {id(row) for row in found if self.id in vendor.own_id(row.id).lower()}
        ends = [row for row in rows if row.id.lower().endswith(self.id)]
        return {id(row) for row in ends if self.id in (row.id.lower(), vendor.own_id(row.id).lower())}


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search. A row must match one of the alternatives. notes: what was ignored."""

    alternatives: Sequence[tuple[Sequence[Term], Sequence[Term]]]
    notes: Sequence[str] = ()

    def among(self, rows: Sequence[Row], vendor: Vendor) -> list[Row]:
        """The rows of a vendor that match by name, description or id, in their order."""
        for row in rows:
            if not row.folded:
                searchable_text(row)
        # Word by word over all rows takes a third of the time of row by row.
        found: list[list[Row]] = []
        for wanted, unwanted in self.alternatives:
            left = list(rows)
            for term in wanted:
                left = term.among(left, vendor)
            for term in unwanted:
                if without := set(map(id, term.among(left, vendor))):
                    left = [row for row in left if id(row) not in without]
            found.append(left)
        if len(found) == 1:
            return found[0]
        either = {id(row) for each in found for row in each}
        return [row for row in rows if id(row) in either]


def searchable_text(row: Row) -> str:
    """A row's name and description, a line each, then their further forms; made once and kept in the row."""
    if not row.folded:
        name = strip_invisible(row.name[:MAX_LOOKED_AT])
        description = row.description[:MAX_LOOKED_AT] if isinstance(row.description, str) else ""
        if name.isascii() and not description:
            row.folded = f"{name.lower()}\n"
        else:
            names, others = fold_forms(name), fold_forms(strip_invisible(description))
            row.folded = "\n".join([names[0], others[0], *names[1:], *others[1:]])
    return row.folded


def _has_whole(text: str, phrase: str) -> bool:
    """Whether a phrase occurs in a text as whole words."""
    begin = text.find(phrase)
    while begin >= 0:
        end = begin + len(phrase)
        before, after = text[begin - 1 : begin], text[end : end + 1]
        if not _is_joined(before, phrase[0]) and not _is_joined(phrase[-1], after):
            return True
        begin = text.find(phrase, begin + 1)
    return False


def _is_joined(one: str, other: str) -> bool:
    """Whether two neighbouring characters belong to one word, in a script that puts spaces between words."""
    return all(
        c and (c.isalnum() or unicodedata.category(c).startswith("M")) and not _UNSPACED.match(c)
        for c in (one, other)
    )


def folded_name(row: Row) -> str:
    """The displayed name, folded: by it audiences are found, ordered and grouped."""
    line = searchable_text(row).partition("\n")[0] if len(row.name) <= MAX_TEXT else ""
    return line or fold(display_name(row))


def signature(folded: str) -> int:
    """64 bits, one of which each pair of neighbouring letters sets: similar texts share most of theirs."""
    codes = list(map(ord, f"\n{folded}\n"))
    bits = 0
    for first, second in pairwise(codes):
        bits |= 1 << (first * 31 + second & 63)
    return bits


def parse_search(text: str) -> Search:
    """Words must all occur, `"two words"` together and whole, `-word` not at all; `OR`, `|`: alternatives.

    A trailing `*` is ignored, because parts of words match anyway. Other operators, and words without a
    searchable character, are ignored with a note.
    """
    alternatives: list[tuple[list[Term], list[Term]]] = [([], [])]
    dropped: dict[str, None] = {}
    for found in _TOKEN.finditer(text.translate(_QUOTES)):
        if found["bar"] or found["word"] == "OR":
            alternatives.append(([], []))
        elif found["paren"]:
            dropped["parentheses"] = None
        elif found["word"] in ("AND", "NOT", "-"):
            dropped[found["word"]] = None
        else:
            _add_term(found, alternatives[-1], dropped)
    kept = [(wanted, unwanted) for wanted, unwanted in alternatives if wanted or unwanted]
    notes = [MESSAGES["dropped"].format(what=", ".join(dropped))] if dropped else []
    return Search(kept, notes if kept else [*notes, MESSAGES["empty"]])


def _add_term(found: re.Match[str], into: tuple[list[Term], list[Term]], dropped: dict[str, None]) -> None:
    word = found["word"]
    if word is None:
        exclude, term = bool(found["minus"]), found["phrase"]
    else:
        exclude, term = word.startswith("-"), word.lstrip("-").rstrip("*")
        if field := _FIELD.match(term):
            dropped[field.group().lower()] = None
            term = term[field.end() :]
    term = strip_invisible(term).strip()
    if fold(term):
        into[1 if exclude else 0].append(Term(fold_forms(term), term.lower(), whole=word is None))
    else:
        dropped[clean(found.group(), SHOWN) or "characters that cannot be searched for"] = None
