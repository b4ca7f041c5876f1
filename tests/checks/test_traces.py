"""A recorded trace as the expectation: the same agent matches, a changed one is told what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fixtures.agents.support import Careless, Support
from simulate import Scenario, run
from simulate.model.outcome import Outcome
from simulate.trace.formats.otlp import write_otlp_jsonl

TEXT = """
name: recorded
opens_with: Hi, my order 4417 never turned up, I want my money back.
script: [{says: "Thanks, bye."}]
tools:
  lookup_order: {status: lost, total: 42.50}
  issue_refund: {ok: true}
"""


async def outcome(folder: Path, agent: Any, expect: str = "") -> Outcome:
    path = folder / "recorded.yaml"
    path.write_text(TEXT + expect)
    Scenario.load(path)
    return await run(path, agent=agent)


async def test_matching_and_what_changed(tmp_path: Path) -> None:
    recorded = await outcome(tmp_path, Support)
    write_otlp_jsonl(tmp_path / "good.jsonl", recorded.trace)
    expect = "expect: [{matches_trace: good.jsonl}]"
    same = await outcome(tmp_path, Support, expect)
    assert same.status == "passed", same.explain()
    changed = await outcome(tmp_path, Careless, expect)
    assert (changed.status, changed.side) == ("failed", "agent")
    assert "issue_refund" in changed.verdicts[0].fact
    assert "--update" in (changed.verdicts[0].hint or "")


async def test_a_file_that_is_no_trace_is_not_the_agents_fault(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text("<html>please log in</html>")
    found = await outcome(tmp_path, Support, "expect: [{matches_trace: good.jsonl}]")
    assert (found.status, found.side) == ("error", "harness")
