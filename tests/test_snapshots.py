"""What clients get is, word by word, what it was."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.snapshots.taking import FOLDER, RENEW, SAME_TEXT, pretty, taken

FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture(scope="session")
async def shots(anyio_backend: str) -> dict[str, Any]:
    return await taken()


def difference(file: Path, shot: Any) -> str:
    """What has changed, line by line; "" where nothing has. In which order keys stand is no change."""
    before = json.loads(file.read_text(encoding="utf-8"))
    if before == shot:
        return ""
    then, now = (pretty(of, sort_keys=True).splitlines() for of in (before, shot))
    return "\n".join(difflib.unified_diff(then, now, f"stored: {file.name}", "now", lineterm=""))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_client_gets_what_the_snapshot_shows(file: Path, shots: dict[str, Any]) -> None:
    if found := difference(file, shots[file.stem]):
        pytest.fail(f"{found}\n\nIf that is meant: {RENEW}", pytrace=False)


def test_everything_taken_is_stored(shots: dict[str, Any]) -> None:
    assert sorted(shots) == [file.stem for file in FILES], f"{RENEW} stores it"


def test_a_mismatch_shows_the_lines_that_differ(tmp_path: Path) -> None:
    stored = tmp_path / "shot.json"
    stored.write_text(pretty({"same": 1, "size": 2}), encoding="utf-8")
    assert difference(stored, {"size": 2, "same": 1}) == ""
    shown = difference(stored, {"same": 1, "size": 3}).splitlines()
    assert '-  "size": 2' in shown
    assert '+  "size": 3' in shown
    assert '-  "same": 1' not in shown


def test_every_result_says_the_same_in_its_text_and_in_its_structured_content(shots: dict[str, Any]) -> None:
    results = [shot.get("result", shot) for shot in shots.values()]
    both = [result for result in results if "structuredContent" in result]
    assert len(both) >= 10
    for result in both:
        assert [block["text"] for block in result["content"]] == [SAME_TEXT]


def test_both_eras_list_the_same_tools(shots: dict[str, Any]) -> None:
    assert shots["tools_list_2025-11-25"]["tools"] == shots["tools_list_2026-07-28"]["tools"]
