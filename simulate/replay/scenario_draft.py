"""A scenario proposed from what happened in a trace: a person keeps it, or inverts what was wrong."""

from __future__ import annotations

import re
from typing import Any

import yaml

from simulate.model.loading.cases import literal
from simulate.model.shapes import object_of
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.python_values import without_types
from simulate.replay.matching.recordings import ToolRecording
from simulate.trace.reading.hidden import blacked_out

_HEAD = """\
# Proposed from a production trace{trace}.
# The caller's lines and the tools' answers are as recorded. Goal, facts and expectations are guesses:
# keep an expectation that should hold, and invert one that shows the failure (called → not_called).
"""


def scenario_from(cassette: Cassette, name: str | None = None) -> str:
    """The YAML of a scenario made from a trace's cassette."""
    trace_id = str(cassette.manifest.get("trace_id") or "")
    lines = [said for said in cassette.conversation if said["speaker"] == "caller"]
    texts = [
        said["text"] for said in cassette.conversation if said["speaker"] == "agent" and said.get("text")
    ]
    scenario: dict[str, Any] = {
        "name": name or f"replay-{trace_id[:8] or 'trace'}",
        "description": f"What a production user asked in trace {trace_id}." if trace_id else "From a trace.",
        "persona": {"name": "Recorded caller", "knows": _facts(lines)}
        if _facts(lines)
        else {"name": "Recorded caller"},
    }
    if lines:
        scenario["goal"] = f"Get what was asked for: {lines[0]['text'][:200]}"
    scenario["script"] = [{"says": said["text"]} for said in lines] + [{"hangs_up": True}]
    if cassette.tools:
        scenario["tools"] = pins_of(cassette.tools)
    scenario["expect"] = _expectations(cassette.tools, texts)
    text = yaml.safe_dump(literal(scenario), sort_keys=False, allow_unicode=True, width=100)
    return _HEAD.format(trace=f" ({trace_id})" if trace_id else "") + text


def pins_of(tools: list[ToolRecording]) -> dict[str, Any]:
    """Each tool's answers as a scenario pins them: one answer, by arguments, or one a call."""
    by_name: dict[str, list[ToolRecording]] = {}
    for tool in tools:
        by_name.setdefault(tool.name, []).append(tool)
    pins: dict[str, Any] = {}
    for name, calls in by_name.items():
        answers = [_given(call) for call in calls]
        if all(answer == answers[0] for answer in answers):
            pins[name] = answers[0]
        elif len({call.key for call in calls}) == len(calls):
            pins[name] = {"cases": [{"when": call.arguments, **_given(call)} for call in calls]}
        else:
            pins[name] = {"sequence": [without_types(call.result) for call in calls]}
    return pins


def _given(call: ToolRecording) -> dict[str, Any]:
    if call.error is not None:
        return {"error": str(call.error.get("message", "failed"))}
    return {"returns": without_types(call.result)}


def _expectations(tools: list[ToolRecording], texts: list[str]) -> list[dict[str, Any]]:
    expected: list[dict[str, Any]] = []
    seen: set[str] = set()
    for tool in tools:
        if tool.key not in seen:
            seen.add(tool.key)
            # what was hidden in the trace is no value that a call could have
            shown = {key: value for key, value in object_of(tool.arguments).items() if not blacked_out(value)}
            expected.append({"called": tool.name, **({"with": shown} if shown else {})})
    texts = [text for text in texts if not blacked_out(text)]
    if texts:
        sentence = re.split(r"(?<=[.!?])\s", texts[-1].strip())[0][:120]
        expected.append({"said": {"contains": sentence}})
    return expected or [{"ended_by": "caller"}]


_FACT = {
    "order_number": r"\b(?:order|booking|case|ticket)\b[^.!?\n]{0,20}?\b([A-Z]{0,4}-?\d{3,})\b",
    "email": r"[\w.+-]+@[\w-]+\.[\w.]+|<email:\w+>",
}


def _facts(lines: list[dict[str, Any]]) -> dict[str, str]:
    """What the caller plainly knew: numbers and addresses that they said."""
    text = "\n".join(str(said["text"]) for said in lines)
    found: dict[str, str] = {}
    for name, pattern in _FACT.items():
        match = re.search(pattern, text, re.I)
        if match:
            found[name] = match[1] if match.groups() else match[0]
    return found
