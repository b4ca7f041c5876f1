"""What a client may know of its calls and executions, in the words of the hosted service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulate.cloud_protocol.execution import Execution, RunningCall
from simulate.model.percentile import percentile


def call_metrics(call: RunningCall) -> dict[str, Any]:
    """Of one call; what is not known yet, or never was, is null."""
    outcome = call.outcome
    said = [] if outcome is None else outcome.conversation.utterances
    return {
        "call_execution_id": call.id,
        "scenario": call.spec.scenario.name,
        "case": call.spec.case,
        "trial": call.spec.trial,
        "status": call.status,
        "verdict": None if outcome is None else outcome.status,
        "side": None if outcome is None else outcome.side,
        "reason": None if outcome is None else outcome.reason,
        "latency": _latency(call.latencies),
        "cost": None if outcome is None else outcome.measures.get("cost_usd"),
        "chat": {
            "messages": len(said),
            "turns": None if outcome is None else outcome.conversation.turns,
            "tokens": None if outcome is None else outcome.measures.get("tokens"),
        },
        "evaluations": [
            {"name": each.expectation, "result": each.status, "reason": each.fact}
            for each in (() if outcome is None else outcome.verdicts)
        ],
    }


def execution_metrics(execution: Execution) -> dict[str, Any]:
    """Of all calls of one execution."""
    calls = [call_metrics(call) for call in execution.calls.values()]
    counts: dict[str, int] = {}
    for call in calls:
        if call["verdict"] is not None:
            counts[call["verdict"]] = counts.get(call["verdict"], 0) + 1
    return {
        "execution_id": execution.id,
        "run_test_name": execution.test,
        "run": execution.suite.folder.path.name,
        "planned": execution.record.planned,
        "ended": execution.closed,
        "verdicts": counts,
        "latency": _latency([one for call in execution.calls.values() for one in call.latencies]),
        "calls": calls,
    }


def _latency(milliseconds: Sequence[float]) -> dict[str, float] | None:
    if not milliseconds:
        return None
    ordered = sorted(milliseconds)
    return {
        "average_ms": round(sum(ordered) / len(ordered), 1),
        **{f"p{share}_ms": round(percentile(ordered, share, 0.0), 1) for share in (50, 95, 99)},
    }
