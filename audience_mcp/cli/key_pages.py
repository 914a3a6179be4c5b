"""The text of the pages that say how a vendor's key is made: docs/keys of the repository, a page a vendor."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "keys", PACKAGE.parent / "docs" / "keys")
"""In an installed package, and in a clone."""

_DECLARED = re.compile(r"^- .*\n", re.M)
"""The variables at the head of a page: whoever reads it on a terminal is asked for them next."""
_SOURCES = re.compile(r"^\*\*Read\*\* .*\Z", re.M | re.S)
"""When and where a page was read, at its end."""
_END = "<!-- end -->\n"
_COMMENT = re.compile(r"<!--.*?-->\n?", re.S)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_MARKS = re.compile(r"[*`]")
_LINE_END = re.compile(r"(?<!\n)\n(?!\n|- |\d+\. ) *")
"""Within a paragraph or an item of a list, where a terminal has line ends of its own."""


class KeyPage(NamedTuple):
    """What a terminal shows of a page, and the vendor's own page that it leads to, empty if none."""

    text: str
    address: str


def find_key_page(vendor: str) -> KeyPage | None:
    """Return a vendor's key page; None if it is not installed."""
    for folder in FOLDERS:
        with suppress(OSError):
            return _read(folder / f"{vendor}.md")
    return None


def _read(path: Path) -> KeyPage:
    whole = path.read_text(encoding="utf-8")
    links = [address for _, address in _LINK.findall(whole) if address.startswith("https://")]
    head, end, text = whole.partition(_END)
    page = _COMMENT.sub("", _DECLARED.sub("", head) + end + _SOURCES.sub("", text)).removeprefix("# ")
    plain = _MARKS.sub("", _LINK.sub(_write_link, _LINE_END.sub(" ", page.strip())))
    return KeyPage(re.sub(r"\n{3,}", "\n\n", plain), links[0] if links else "")


def _write_link(link: re.Match[str]) -> str:
    """Write a link out: its text, then its address if that leads out of these pages."""
    return f"{link[1]} ({link[2]})" if link[2].startswith("https://") else link[1]
