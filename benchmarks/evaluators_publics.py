"""What ragas, agentevals and jiwer make of the cases on stdin; run by `benchmarks.evaluators --publics`.

Their environment: ``pip install ragas==0.4.3 agentevals jiwer "langchain<1" "langchain-community<0.4"``.
"""

# pyright: basic
from __future__ import annotations

import asyncio
import json
import sys
import warnings

warnings.simplefilter("ignore")

import jiwer  # noqa: E402
from agentevals.trajectory.match import create_trajectory_match_evaluator  # noqa: E402
from ragas.dataset_schema import MultiTurnSample, SingleTurnSample  # noqa: E402
from ragas.messages import AIMessage, HumanMessage, ToolCall  # noqa: E402
from ragas.metrics import IDBasedContextRecall, ToolCallF1  # noqa: E402

MATCHERS = {
    mode: create_trajectory_match_evaluator(trajectory_match_mode=mode, tool_args_match_mode="ignore")
    for mode in ("strict", "unordered", "subset", "superset")
}


def messages(names):
    """Calls as OpenAI's messages."""
    calls = [
        {"id": str(at), "type": "function", "function": {"name": name, "arguments": "{}"}}
        for at, name in enumerate(names)
    ]
    said = [{"role": "assistant", "content": "", "tool_calls": [call]} for call in calls]
    return [{"role": "user", "content": "x"}, *said]


async def one(case):
    """One case by all of them."""
    called, expected = case["called"], case["expected"]
    answers = [AIMessage(content="", tool_calls=[ToolCall(name=name, args={}) for name in called])]
    reference = [ToolCall(name=name, args={}) for name in expected]
    calls = MultiTurnSample(user_input=[HumanMessage(content="x"), *answers], reference_tool_calls=reference)
    ids = SingleTurnSample(retrieved_context_ids=case["found"], reference_context_ids=case["relevant"])
    return {
        "f1": await ToolCallF1().multi_turn_ascore(calls),
        "recall": await IDBasedContextRecall().single_turn_ascore(ids),
        "wer": jiwer.wer(case["said"], case["heard"]),
        "paths": {
            mode: bool(match(outputs=messages(called), reference_outputs=messages(expected))["score"])
            for mode, match in MATCHERS.items()
        },
    }


async def main():
    """All cases, in order."""
    return [await one(case) for case in json.load(sys.stdin)]


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
