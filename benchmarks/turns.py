"""What the harness costs per text turn, beside a bare loop that writes the same three spans a turn.

    python -m benchmarks.turns            # the table
    python -m benchmarks.turns --sleep 1  # 1,000 conversations of 10 turns, the agent sleeps 1 s a turn

Both sides run in processes of their own, one after the other; ratios are within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TURNS = 10
LEAST = 100
"""Conversations in all, so that what a run costs once is spread as in a small suite."""


def _agent(sleep: float) -> Any:
    """An instant agent that leaves three spans a turn, as an instrumented one does."""
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider().get_tracer("bench")

    async def agent(message: str) -> str:
        with tracer.start_as_current_span("invoke_agent") as outer:
            outer.set_attribute("gen_ai.operation.name", "invoke_agent")
            with tracer.start_as_current_span("chat") as chat:
                chat.set_attribute("gen_ai.operation.name", "chat")
                chat.set_attribute("gen_ai.usage.input_tokens", 12)
            with tracer.start_as_current_span("execute_tool") as tool:
                tool.set_attribute("gen_ai.operation.name", "execute_tool")
            if sleep:
                await asyncio.sleep(sleep)
        return f"You said {message}"

    return agent


async def _ours(conversations: int, total: int, sleep: float, folder: Path) -> None:
    from simulate.interfaces.render.progress import NoProgress
    from simulate.model.loading.project import Project
    from simulate.model.scenario import Scenario
    from simulate.model.trial import TrialSpec
    from simulate.resources import Resources
    from simulate.run_folder import RunFolder
    from simulate.suite import Suite

    scenario = Scenario(
        name="bench",
        script=[{"says": f"line {number}"} for number in range(TURNS)],  # type: ignore[list-item]
        expect=[{"said": {"contains": "line 3"}}],  # type: ignore[list-item]
        trials=total,
    )
    stage = Resources(Project(folder), [scenario], agent=_agent(sleep))
    suite = Suite(RunFolder.create(folder / "run"), stage, jobs=conversations)
    loaded = TrialSpec(scenario, "bench.yaml", 1, None, id="bench", text="0")
    record = await suite.run([loaded], NoProgress())
    assert record.counts == {"passed": total}, record.counts


async def _bare(conversations: int, total: int, sleep: float, folder: Path) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    lines = (folder / "bare.jsonl").open("w")
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(out=lines, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")

    async def conversation() -> None:
        for number in range(TURNS):
            with tracer.start_as_current_span("invoke_agent") as outer:
                outer.set_attribute("gen_ai.operation.name", "invoke_agent")
                with tracer.start_as_current_span("chat") as chat:
                    chat.set_attribute("gen_ai.operation.name", "chat")
                    chat.set_attribute("gen_ai.usage.input_tokens", 12)
                with tracer.start_as_current_span("execute_tool") as tool:
                    tool.set_attribute("gen_ai.operation.name", "execute_tool")
                if sleep:
                    await asyncio.sleep(sleep)
                else:
                    await asyncio.sleep(0)
            assert f"You said line {number}"

    waiting = iter(range(total))

    async def work() -> None:
        for _ in waiting:
            await conversation()

    await asyncio.gather(*(work() for _ in range(conversations)))
    lines.close()


def _measure(side: str, conversations: int, sleep: float) -> dict[str, float]:
    """Run one side here and print what it took; called in a process of its own."""
    work = _ours if side == "ours" else _bare
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(work(1, 1, 0.0, Path(folder)))  # imports and first-time costs are not a turn's
    with tempfile.TemporaryDirectory() as folder:
        memory, cpu, wall = _memory(), time.process_time(), time.perf_counter()
        asyncio.run(work(conversations, max(conversations, LEAST), sleep, Path(folder)))
        taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return {**taken, "memory": _memory() - memory}


def _memory() -> float:
    """Peak resident memory so far, in kB."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # not ru_maxrss, which begins with the peak of the process that started this one and so hides growth
    return float(status.partition("VmHWM:")[2].split()[0])


def _in_process(side: str, conversations: int, sleep: float) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.turns",
        "--side",
        side,
        "--conversations",
        str(conversations),
    ]
    output = subprocess.run([*command, "--sleep", str(sleep)], check=True, capture_output=True, text=True)
    return json.loads(output.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=["ours", "bare"])
    parser.add_argument("--conversations", type=int, default=1)
    parser.add_argument("--sleep", type=float, default=0.0)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(_measure(args.side, args.conversations, args.sleep)))
        return
    if args.sleep:
        print(
            "| 1,000 conversations of 10 turns, agent sleeps a turn | wall s | CPU s | kB a conversation |\n"
            "|---|---|---|---|"
        )
        for side in ("bare", "ours"):
            taken = _in_process(side, 1000, args.sleep)
            print(f"| {side} | {taken['wall']:.1f} | {taken['cpu']:.1f} | {taken['memory'] / 1000:.0f} |")
        return
    print("| conversations at once | bare ms/turn | ours ms/turn | ratio |\n|---|---|---|---|")
    for conversations in (1, 50, 1000):
        bare, ours = (_in_process(side, conversations, 0.0)["cpu"] for side in ("bare", "ours"))
        turns = max(conversations, LEAST) * TURNS / 1000
        print(f"| {conversations} | {bare / turns:.3f} | {ours / turns:.3f} | {ours / bare:.2f} |")


if __name__ == "__main__":
    main()
