"""Deterministic evaluators beside reading the spans; the judge's calls; public formulas.

    python -m benchmarks.evaluators [--spans 10000]

The agreement with ragas, agentevals and jiwer runs where they are installed, in an environment of their own:

    python -m benchmarks.evaluators --publics PYTHON      # that environment's interpreter
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulate.model.reference import Reference
from simulate.scoring.evaluators import EvaluationContext, evaluators, score
from simulate.scoring.evaluators.evaluator import Evaluator, share
from simulate.scoring.evaluators.result import Part
from simulate.trace.files.reader import read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.span import Span

START = 1_795_335_466_000_000_000
SECOND = 1_000_000_000
PER_TRACE = 20
ROUNDS = 5
ROUNDED = 0.00005
"""ragas rounds to four digits."""
LATENCY = 0.25
"""Seconds that the judge's endpoint takes for a call."""
REFERENCE = Reference.model_validate(
    {
        "tools": [{"name": "lookup_order", "arguments": {"order_id": "4417"}}, "issue_refund"],
        "documents": ["p-1", "p-2"],
        "handoffs": [{"to": "billing"}],
        "transcript": ["my order never came"],
        "heard": ["I am sorry about that"],
        "injected": {"tools": ["send_mail"], "says": ["pwned"]},
        "forbidden": ["offer_replacement"],
        "goal": "Get the money back.",
    }
)


def traces(count: int) -> list[Span]:
    """Traces of 20 spans: four turns with model calls, tools and speech, a search, a handoff."""
    return [span for at in range(count // PER_TRACE) for span in _trace(at)]


def _trace(at: int) -> list[Span]:
    spans: list[Span] = []
    history: list[dict[str, Any]] = [{"role": "system", "parts": [_text("You help with orders. " * 20)]}]

    def add(name: str, kind: str, **attributes: Any) -> None:
        start = START + (at * PER_TRACE + len(spans)) * SECOND
        parent = spans[0].span_id if spans else None
        span_id = f"{at * PER_TRACE + len(spans) + 1:016x}"
        told = {"gen_ai.span.kind": kind, **attributes}
        resource = {"service.name": "support"}
        spans.append(
            Span(f"{at + 1:032x}", span_id, name, parent, start, start + SECOND // 2, told, resource=resource)
        )

    def says(text: str, answer: str) -> None:
        history.append({"role": "user", "parts": [_text(text)]})
        said = {"role": "assistant", "parts": [_text(answer)]}
        add(
            "chat gpt-5-mini",
            "LLM",
            **{
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.usage.input_tokens": 812,
                "gen_ai.usage.output_tokens": 64,
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.input.messages": json.dumps(history),
                "gen_ai.output.messages": json.dumps([said]),
            },
        )
        history.append(said)

    add("conversation", "AGENT", **{"gen_ai.agent.name": "front"})
    for turn in range(4):
        add("stt", "STT", **{"gen_ai.voice.transcript": "my order never came"})
        _tool(add, "lookup_order", {"order_id": "4417"}, {"status": "lost", "total": 42.5, "turn": turn})
        says(f"Where is my order, part {turn}?", f"Your order 4417 is lost, as of step {turn}. I am sorry.")
        add("tts", "TTS", **{"gen_ai.voice.text": "I am sorry about that"})
    documents = [{"id": f"p-{n}", "content": "Refunds are paid within 5 business days."} for n in range(3)]
    add("search", "RETRIEVER", **{"gen_ai.retrieval.documents": json.dumps(documents)})
    add("handoff", "HANDOFF", **{"gen_ai.handoff.source": "front", "gen_ai.handoff.target": "billing"})
    _tool(add, "issue_refund", {"order_id": "4417", "amount": 42.5}, {"ok": True})
    return spans


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _tool(add: Callable[..., None], name: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    add(
        f"execute_tool {name}",
        "TOOL",
        **{
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.arguments": json.dumps(arguments),
            "gen_ai.tool.call.result": json.dumps(result),
        },
    )


def best(work: Callable[[], Any]) -> float:
    """Seconds of processor time of the quickest of a few rounds: the least disturbed."""
    took: list[float] = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        took.append(time.process_time() - before)
    return min(took)


def speed(count: int) -> None:
    """Reading a file, and reading it with every deterministic evaluator run."""
    chosen: list[Evaluator] = [cls() for cls in evaluators().values() if not cls.judged()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traces.jsonl"
        write_otlp_jsonl(path, traces(count))
        found = read(path)
        scored = [result for one in _score(found, chosen) for result in one]
        unscored = sorted({one.evaluator for one in scored if one.status != "scored"})
        reading = best(lambda: read(path))
        viewing = best(lambda: [EvaluationContext(trace).reading.views for trace in found])
        scoring = best(lambda: _score(found, chosen))
    spans = sum(len(trace) for trace in found)
    print(f"{spans} spans in {len(found)} traces, {len(chosen)} evaluators, no judge, {len(scored)} results")
    print(f"  not scored: {', '.join(unscored) or 'none'}")
    print(f"{'reading':<44}{reading * 1000:8.0f} ms   1.00 ×")
    print(f"{'their canonical views alone':<44}{viewing * 1000:8.0f} ms   {viewing / reading:.2f} ×")
    print(f"{'evaluating, views included':<44}{scoring * 1000:8.0f} ms   {scoring / reading:.2f} ×   (≤ 3)")
    for one in chosen:
        alone = best(lambda one=one: _score(found, [one]))
        print(f"  {one.name:<42}{alone * 1000:8.0f} ms   {alone / reading:.2f} ×")


def _score(found: list[Any], chosen: list[Evaluator]) -> list[Any]:
    async def go() -> list[Any]:
        return [await score(EvaluationContext(trace, REFERENCE), chosen) for trace in found]

    return asyncio.run(go())


def concurrency() -> None:
    """A judge whose endpoint takes 250 ms and says 429 now and then: how near its own limit it is used."""
    from fixtures.agents.model_server import ModelServer
    from simulate.llm import ModelConfig
    from simulate.scoring.judge import Judge

    chosen = [cls() for name, cls in evaluators().items() if name in ("Faithfulness", "HallucinationScore")]

    async def go() -> None:
        brain = {"judge": _agreeable}
        async with ModelServer(
            brains=brain, latency=LATENCY, logprobs=False, retry_after="0"
        ).running() as server:
            judge = Judge(ModelConfig("judge", server.url, "k"), concurrency=16)
            server.fail("429", times=3)
            materials = [EvaluationContext(trace, REFERENCE) for trace in _groups(traces(PER_TRACE * 8))]
            before = time.perf_counter()
            found = [
                one
                for each in await asyncio.gather(*(score(m, chosen, judge=judge) for m in materials))
                for one in each
            ]
            took = time.perf_counter() - before
        calls = len(server.requests)
        ideal = calls * LATENCY / 16
        errors = sum(1 for one in found if one.status == "error")
        print(
            f"judge: {calls} calls of {LATENCY * 1000:.0f} ms, 16 at once, 3 × 429: {took:.2f} s, "
            f"{took / ideal:.2f} × the ideal;"
        )
        print(f"  at most {server.peak} were under way at once; {errors} results are errors")

    asyncio.run(go())


def _groups(spans: list[Span]) -> list[Any]:
    from simulate.trace.span import group

    return group(spans)


def _agreeable(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Finds no claim anywhere; what is measured is the way there."""
    import re

    letters = {
        label: letter for letter, label in re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
    }
    return {"content": json.dumps({"evidence": [], "reason": "so", "answer": letters["no claim"]})}


# -- public implementations ------------------------------------------------------------------------------

THEIRS = Path(__file__).with_name("evaluators_publics.py")


def agreement(python: str, count: int = 300) -> None:
    """The same random inputs for the public implementations and for ours."""
    chance = random.Random(3)
    cases = [_case(chance) for _ in range(count)]
    done = subprocess.run(
        [python, str(THEIRS)], input=json.dumps(cases), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the public implementations did not run:\n{done.stderr[-2000:]}")
    theirs = json.loads(done.stdout)
    ours = [asyncio.run(_ours(case)) for case in cases]
    once = [at for at, case in enumerate(cases) if _no_tool_twice(case)]
    print(f"agreement on {count} random cases")
    for name, places, note in (
        ("recall", range(count), "ContextRecall by ids, ragas IDBasedContextRecall"),
        ("precision", range(count), "ContextPrecision's arithmetic, ragas LLMContextPrecision"),
        ("deepeval", range(count), "ContextPrecision's arithmetic, deepeval ContextualPrecision"),
        ("faithful", range(count), "Faithfulness' arithmetic, ragas Faithfulness"),
        ("wer", range(count), "word error rate, jiwer"),
        ("f1", once, "ToolSelectionAccuracy, ragas ToolCallF1, no tool twice"),
        ("f1", range(count), "the same with repeated tools, which ragas' sets do not count"),
    ):
        if any(theirs[at][name] is None for at in places):
            print(f"  not installed: {note}")
            continue
        differ = [at for at in places if abs(ours[at][name] - theirs[at][name]) > ROUNDED]
        print(f"  {len(places) - len(differ):>3} of {len(places):>3} equal: {note}")
        if differ:
            case = {key: cases[differ[0]][key] for key in ("called", "expected", "found", "relevant")}
            print(f"      {case}: ours {ours[differ[0]][name]:.3f}, theirs {theirs[differ[0]][name]:.3f}")
    for mode in ("strict", "unordered", "subset", "superset"):
        same = sum(1 for a, b in zip(ours, theirs, strict=True) if a["paths"][mode] == b["paths"][mode])
        print(f"  {same:>3} of {count:>3} equal: TrajectoryScore, agentevals {mode}")


def _no_tool_twice(case: dict[str, Any]) -> bool:
    return all(len(set(case[key])) == len(case[key]) for key in ("called", "expected"))


def _case(chance: random.Random) -> dict[str, Any]:
    called = chance.choices("abcd", k=chance.randint(1, 4))
    expected = list(called)
    chance.shuffle(expected)
    if chance.random() < 0.5:
        expected = expected[: chance.randint(1, len(expected))] + chance.choices(
            "abcde", k=chance.randint(0, 1)
        )
    said = chance.choices(["order", "is", "lost", "my", "refund", "card"], k=chance.randint(2, 9))
    heard = [word for word in said if chance.random() > 0.2] + chance.choices(said, k=chance.randint(0, 2))
    relevant = chance.sample("pqrstu", k=chance.randint(1, 4))
    found = chance.sample("pqrstu", k=chance.randint(1, 5))
    claims = chance.choices([True, False], k=chance.randint(1, 6))
    texts: dict[str, Any] = {"claims": claims, "said": " ".join(said), "heard": " ".join(heard)}
    return {"called": called, "expected": expected, "relevant": relevant, "found": found, **texts}


async def _ours(case: dict[str, Any]) -> dict[str, Any]:
    from simulate.conversation.voice.normalise import word_errors
    from simulate.trace.span import group

    spans: list[Span] = []

    def add(name: str, kind: str, **attributes: Any) -> None:
        start = START + len(spans) * SECOND
        told = {"gen_ai.span.kind": kind, **attributes}
        spans.append(Span("1" * 32, f"{len(spans) + 1:016x}", name, None, start, start + 1, told))

    for name in case["called"]:
        _tool(add, name, {}, {})
    add(
        "search",
        "RETRIEVER",
        **{"gen_ai.retrieval.documents": json.dumps([{"id": one} for one in case["found"]])},
    )
    (trace,) = group(spans)
    known = evaluators()

    async def value(name: str, **more: Any) -> float:
        reference = Reference.model_validate(
            {"tools": case["expected"], "documents": case["relevant"], **more}
        )
        (result,) = await score(EvaluationContext(trace, reference), [known[name]()])
        return float(result.value or 0.0)

    orders = {"strict": "exact", "subset": "subset", "superset": "superset"}
    paths = {mode: bool(await value("TrajectoryScore", order=order)) for mode, order in orders.items()}
    # theirs is a match both ways; ours lets other calls stand between
    paths["unordered"] = paths["subset"] and paths["superset"]
    wrong, words = word_errors(case["said"], case["heard"])
    return {
        "f1": await value("ToolSelectionAccuracy"),
        "recall": await value("ContextRecall"),
        "precision": (precision := await value("ContextPrecision")),
        "deepeval": precision,
        "faithful": share([Part("", float(one)) for one in case["claims"]], "claims", "hold").value,
        "wer": wrong / words,
        "paths": paths,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument(
        "--publics", metavar="PYTHON", help="an interpreter that has ragas, agentevals, jiwer"
    )
    args = parser.parse_args()
    if args.publics:
        agreement(args.publics)
        return
    speed(args.spans)
    concurrency()


if __name__ == "__main__":
    sys.exit(main())
