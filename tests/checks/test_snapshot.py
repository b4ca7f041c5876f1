"""``snapshot:``: written by --update, held afterwards, never passed where nothing can be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulate import Scenario
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict
from simulate.scoring.checks import Evidence, check_all
from simulate.trace.reading import ToolCall, TraceReading
from simulate.trace.span import Trace

CALLS = [
    ToolUse("lookup", {"id": "4417"}, turn=1, start=0.0),
    ToolUse("refund", {"amount": 42.5, "note": "n1", "api_key": "sk-live-8sdf7DSF987sdf"}, turn=1, start=1.0),
]


async def verdict(folder: Path, *uses: ToolUse, update: bool = False, **word: Any) -> Verdict:
    expect = {"snapshot": "snapshots/a.yaml", **word}
    scenario = Scenario.model_validate({"name": "x", "opens_with": "x", "expect": [expect]})
    talk = Conversation("ab" * 16)
    talk.utterances = [Utterance("caller", "Hi", 1, 0, 0), Utterance("agent", "Hello!", 1, 1, 1)]
    evidence = Evidence(scenario, talk, TraceReading(Trace("ab" * 16)), [ToolCall.of(use) for use in uses])
    evidence.folder, evidence.update_snapshots = folder, update
    (found,) = await check_all(scenario.expect, evidence)
    return found


async def test_it_is_written_and_then_holds(tmp_path: Path) -> None:
    assert (await verdict(tmp_path, *CALLS)).status == "not_run"
    assert (await verdict(tmp_path, *CALLS, update=True)).status == "passed"
    written = (tmp_path / "snapshots/a.yaml").read_text("utf-8")
    assert "refund" in written and "8sdf7DSF987sdf" not in written
    calls = [CALLS[0], ToolUse("refund", {"amount": 42.5, "note": "n1"}, turn=1, start=1.0)]
    assert (await verdict(tmp_path, *calls, update=True)).status == "passed"
    assert (await verdict(tmp_path, *calls)).status == "passed"


@pytest.mark.parametrize(
    ("uses", "fact"),
    [
        (CALLS[:1], "entry 2 never came"),
        ([*CALLS, CALLS[0]], "entry 3 is not expected"),
        (CALLS[::-1], "entry 1 differs"),
        ([CALLS[0], ToolUse("refund", {**CALLS[1].arguments, "amount": 50})], "$.with.amount"),
        ([CALLS[0], ToolUse("refund", {**CALLS[1].arguments, "to": "x"})], "to: not expected"),
    ],
)
async def test_what_differs_fails_with_its_place(tmp_path: Path, uses: list[ToolUse], fact: str) -> None:
    ignore = ["$[*].with.api_key"]
    await verdict(tmp_path, *CALLS, update=True, ignore=ignore)
    found = await verdict(tmp_path, *uses, ignore=ignore)
    assert (found.status, found.side) == ("failed", "agent")
    assert fact in found.fact


async def test_matchers_and_ignored_paths_let_things_differ(tmp_path: Path) -> None:
    file = tmp_path / "snapshots/a.yaml"
    file.parent.mkdir()
    file.write_text(
        "- called: refund\n  with: {amount: {about: 42, within: 1}, note: {any: true}}\n", "utf-8"
    )
    use = ToolUse("refund", {"amount": 42.5, "note": "n7", "at": "10:15"}, turn=1, start=0.0)
    assert (await verdict(tmp_path, use)).status == "failed"
    assert (await verdict(tmp_path, use, ignore=["$[*].with.at"])).status == "passed"


async def test_a_transcript(tmp_path: Path) -> None:
    await verdict(tmp_path, update=True, of="transcript")
    assert (await verdict(tmp_path, of="transcript")).status == "passed"
    file = tmp_path / "snapshots/a.yaml"
    file.write_text(file.read_text("utf-8").replace("Hello", "Good day"), "utf-8")
    assert (await verdict(tmp_path, of="transcript")).status == "failed"


async def test_what_cannot_be_known_is_neither_written_nor_passed(tmp_path: Path) -> None:
    hidden = ToolUse("refund", {}, arguments_known=False)
    assert (await verdict(tmp_path, hidden, update=True)).status == "not_run"
    assert not (tmp_path / "snapshots").exists()


async def test_a_file_that_is_no_snapshot_is_the_harnesss(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/a.yaml").write_text("a: 1", "utf-8")
    found = await verdict(tmp_path, *CALLS)
    assert (found.status, found.side) == ("error", "harness")
