"""What ragas, agentevals and jiwer make of the cases on stdin; run by `benchmarks.evaluators --publics`.

Their environment: ``pip install ragas==0.4.3 agentevals jiwer "langchain<1" "langchain-community<0.4"``,
and ``deepeval`` where that is to be compared too.
"""

# pyright: basic
from __future__ import annotations

import asyncio
import json
import sys
import warnings
from types import SimpleNamespace

warnings.simplefilter("ignore")

import jiwer  # noqa: E402
from agentevals.trajectory.match import create_trajectory_match_evaluator  # noqa: E402
from ragas.dataset_schema import MultiTurnSample, SingleTurnSample  # noqa: E402
from ragas.messages import AIMessage, HumanMessage, ToolCall  # noqa: E402
from ragas.metrics import Faithfulness, IDBasedContextRecall, ToolCallF1  # noqa: E402
from ragas.metrics import LLMContextPrecisionWithReference as ContextPrecision  # noqa: E402

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


def judged(case):
    """What they make of a model's verdicts: the arithmetic behind the prompts."""
    ranked = [SimpleNamespace(verdict=int(one in case["relevant"])) for one in case["found"]]
    claims = SimpleNamespace(statements=[SimpleNamespace(verdict=int(one)) for one in case["claims"]])
    return {
        "precision": ContextPrecision._calculate_average_precision(None, ranked),
        "faithful": Faithfulness._compute_score(None, claims),
        "deepeval": deepeval_precision(case),
    }


def deepeval_precision(case):
    """Its contextual precision of the same verdicts; None where it is not installed."""
    try:
        from deepeval.metrics import ContextualPrecisionMetric
        from deepeval.metrics.contextual_precision.contextual_precision import Verdict
    except ImportError:
        return None
    ranked = [
        SimpleNamespace(verdict=Verdict.YES if one in case["relevant"] else Verdict.NO)
        for one in case["found"]
    ]
    return ContextualPrecisionMetric._calculate_score(
        SimpleNamespace(verdicts=ranked, strict_mode=False, threshold=0)
    )


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
        **judged(case),
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
