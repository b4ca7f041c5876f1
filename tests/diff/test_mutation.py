"""The reader, by edits of recorded traces: diff and checks tell the edit, or say that they cannot know.

`python -m benchmarks.mutation` has every edit of every fixture; here is the same sample each time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import mutation
from benchmarks.mutation_edits import Text

SAMPLE = [
    "adk_traceai", "agent_framework", "langchain_openinference", "openai_agents_openllmetry",
    "openinference_anthropic_0_49", "openllmetry_openai", "otel_genai_openai", "pydantic_ai_agent",
    "strands_latest", "traceai_openai_client", "vercel_ai_6", "mcp_sdk",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in SAMPLE if name in mutation.names()])
def test_no_edit_of_a_recording_stays_green(name: str, tmp_path: Path) -> None:
    found = [told for case in mutation.cases(name) for told in mutation.told(name, case, tmp_path)]
    assert len({told.edit for told in found}) >= 4, "hardly an edit could be applied"
    assert [told for told in found if told.answer in ("silently green", "something else")] == []


def test_a_reader_that_reads_nothing_would_be_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The edits themselves are real: a comparison that never sees a change fails them."""
    empty = mutation.compare
    monkeypatch.setattr(mutation, "compare", lambda one, _: empty(one, one))
    found = [
        told
        for case in mutation.cases("pydantic_ai_agent")
        for told in mutation.told("pydantic_ai_agent", case, tmp_path)
    ]
    green = {told.edit for told in found if told.answer == "silently green"}
    assert {"another argument", "another result", "the answer reworded", "a call dropped"} <= green


def test_an_edit_reaches_every_level_of_escaping_and_leaves_the_protected_alone() -> None:
    edit = Text('{"a": "x \\"k\\": 1", "b": "keep \\"k\\": 1 keep"}')
    edit.replace('keep "k": 1 keep')
    assert edit.replace('"k": 1', '"k": 2') == 1
    assert edit.done() == '{"a": "x \\"k\\": 2", "b": "keep \\"k\\": 1 keep"}'
