"""An answer as a file of its own: all of it inside, and nothing in it that could run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from audience_mcp.server.page import Question, read_view, render_page

HOSTILE = '</script><!--<script>alert("1")</script> & \u2028 \ud800'


class Parsed(HTMLParser):
    """The texts of scripts by their id, and the policy."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: dict[str | None, str] = {}
        self.policy = ""
        self._inside: str | None = None
        self._within = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script":
            self._within, self._inside = True, found.get("id")
            assert self._inside not in self.scripts
            self.scripts[self._inside] = ""
        elif found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found.get("content") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self.scripts[self._inside] += data


def answer_named(name: str) -> dict[str, Any]:
    return {"matched": 1, "audiences": [{"ref": "batch:a", "name": name, "size": 5}], "complete": True}


def test_an_answer_comes_out_of_the_page_as_it_went_in() -> None:
    answer = answer_named(HOSTILE)
    question = Question(arguments={"search": HOSTILE}, names={"batch": HOSTILE}, title=HOSTILE)
    page = Parsed(render_page(answer, question))
    assert json.loads(page.scripts["answer"]) == answer
    assert json.loads(page.scripts["question"])["title"] == HOSTILE
    assert set(page.scripts) == {"answer", "question", None}  # no name made a further script


def test_a_page_can_be_written_as_utf_8_whatever_it_holds() -> None:
    assert render_page(answer_named(HOSTILE)).encode("utf-8")


def test_the_policy_lets_the_views_own_script_run_and_no_other() -> None:
    page = Parsed(render_page(answer_named("VIP")))
    own = page.scripts[None]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert f"'sha256-{digest}'" in rules["script-src"].split()
    assert "unsafe" not in page.policy


def test_the_document_that_hosts_get_holds_no_answer() -> None:
    render_page(answer_named("VIP"))
    assert re.search(r'id="answer">\s*</script>', read_view())
