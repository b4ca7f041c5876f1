"""Other simulators on what `benchmarks.turns` runs: conversations of 10 turns with an instant agent, offline.

    python -m benchmarks.peers [NAME …] [--cache FOLDER]    # installs each peer into a venv of its own first

Each runs in a process of its own, as many conversations at once as its row says, on one event loop, through
its public API and with a user that costs nothing: scripted where it has scripts, else a model that answers at
once. Processor time is that of this process, over the turns that the agent really saw. The agent is a
function in it; pipecat.evals talks to a bot over a socket, which is a process of its own and not counted.
A run, its imports and a first conversation included, is cut off after 120 s; one whose agent missed a turn
has failed. None of them captures the agent's spans or saves a run folder; we do both.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import venv
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

VERSIONS = {
    "agent-learning-kit": "0.3.3",
    "deepeval": "4.3.1",
    "langwatch-scenario": "1.6.0",
    "pipecat-ai": "1.14.0",
}
TURNS, LEAST, CUT_OFF = 10, 100, 120.0
LONG_ENOUGH = 20.0
"""Seconds after which no further conversations are begun, for a peer that waits between them."""
NOWHERE = "http://127.0.0.1:9"
QUIET = {
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGWATCH_API_KEY": "",  # without one its events are dropped at the end of the bus: nothing is sent
    "LANGWATCH_ENDPOINT": NOWHERE,
}
PROXIES = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOWHERE) | {"NO_PROXY": "127.0.0.1"}
"""So that whatever a peer sends home finds a closed port."""


class Agent:
    """Answers after `sleep` seconds, and knows how many turns it saw."""

    def __init__(self, sleep: float) -> None:
        self.sleep, self.seen = sleep, 0

    async def __call__(self) -> str:
        self.seen += 1
        await asyncio.sleep(self.sleep)
        return f"You said something, {self.seen} times in all"


async def agent_learning_kit(count: int, agent: Agent) -> None:
    """Its local text engine, whose synthetic user needs no model."""
    engines: Any = importlib.import_module("fi.simulate.simulation.engines")
    models: Any = importlib.import_module("fi.simulate.simulation.models")

    async def callback(_: Any) -> str:
        return await agent()

    persona = models.Persona(persona={"name": "Dana"}, situation="a parcel is lost", outcome="money back")

    async def one() -> None:
        scenario = models.Scenario(name="bench", dataset=[persona])
        await engines.LocalTextEngine().run(
            scenario=scenario,
            agent_callback=callback,
            max_turns=TURNS,
            min_turns=TURNS,
            stop_when=lambda *_: False,
        )

    await asyncio.gather(*(one() for _ in range(count)))


async def deepeval(count: int, agent: Agent) -> None:
    """Its simulator; the user's model answers at once and nothing ends the conversation early."""
    simulator: Any = importlib.import_module("deepeval.simulator")
    dataset: Any = importlib.import_module("deepeval.dataset")
    test_case: Any = importlib.import_module("deepeval.test_case")
    models: Any = importlib.import_module("deepeval.models")
    controller: Any = importlib.import_module("deepeval.simulator.controller")

    async def said(_: Any, prompt: str, schema: Any = None) -> Any:
        return schema(simulated_input="And my parcel?")

    names = {"load_model": lambda _: None, "get_model_name": lambda _: "instant", "a_generate": said}
    model = type("Instant", (models.DeepEvalBaseLLM,), {**names, "generate": said})()

    async def callback(input: str) -> Any:  # DeepEval's name
        return test_case.Turn(role="assistant", content=await agent())

    goldens = [
        dataset.ConversationalGolden(
            scenario="a parcel is lost", expected_outcome="money back", user_description="Dana"
        )
        for _ in range(count)
    ]
    driver = simulator.ConversationSimulator(
        model_callback=callback,
        simulator_model=model,
        max_concurrent=count,
        stopping_controller=lambda: controller.proceed(),
    )
    await asyncio.to_thread(driver.simulate, conversational_goldens=goldens, max_user_simulations=TURNS)


def _langwatch_conversation(agent: Agent) -> dict[str, Any]:
    """A script of ten lines and who takes part in it."""
    scenario: Any = importlib.import_module("scenario")

    async def call(_: Any, input: Any) -> str:  # langwatch-scenario's name
        return await agent()

    adapter = type("Instant", (scenario.AgentAdapter,), {"call": call})
    steps = [step for _ in range(TURNS) for step in (scenario.user("And my parcel?"), scenario.agent())]
    user = scenario.UserSimulatorAgent(model="openai/none")  # asked for, and never called
    return {
        "name": "bench",
        "description": "-",
        "agents": [adapter(), user],
        "script": [*steps, scenario.succeed("done")],
        "verbose": False,
    }


async def langwatch_scenario(count: int, agent: Agent) -> None:
    """On the caller's own loop, with the event bus as it is installed.

    Each conversation's bus is a thread with an HTTP client that takes at most ten events a second, and a turn
    makes two: a conversation lasts 2.6 s. After it, the spans of all are searched for its own.
    """
    scenario: Any = importlib.import_module("scenario")
    await asyncio.gather(*(scenario.arun(**_langwatch_conversation(agent)) for _ in range(count)))


async def langwatch_scenario_without_bus(count: int, agent: Agent) -> None:
    """With a bus that takes nothing, which only its executor lets one set. Spans are not cleared then."""
    scenario: Any = importlib.import_module("scenario")
    executor: Any = importlib.import_module("scenario.scenario_executor")
    scenario.setup_scenario_tracing()
    bus = type("NoBus", (), {"subscribe_to_events": lambda *_: None})()

    async def one() -> None:
        await executor.ScenarioExecutor(**_langwatch_conversation(agent), event_bus=bus).run()

    await asyncio.gather(*(one() for _ in range(count)))


def rtvi_bot(port: Any, seen: Any, sleep: float) -> None:
    """The least bot that pipecat's evals talk to: ready when asked, three messages in answer to a text."""
    websockets: Any = importlib.import_module("websockets.asyncio.server")

    def message(kind: str, **data: str) -> str:
        return json.dumps({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})

    ready = message("bot-ready", version="2.2.0")
    text = message("bot-llm-text", text="You said something")
    answer = [message("bot-llm-started"), text, message("bot-llm-stopped")]

    async def talk(socket: Any) -> None:
        async for line in socket:
            kind = json.loads(line)["type"]
            if kind == "client-ready":
                await socket.send(ready)
            elif kind == "send-text":
                seen.value += 1
                await asyncio.sleep(sleep)
                for said in answer:
                    await socket.send(said)

    async def serve() -> None:
        settings = {"backlog": 1000, "compression": None, "open_timeout": None, "ping_interval": None}
        async with websockets.serve(talk, "127.0.0.1", 0, **settings) as server:
            port.send(server.sockets[0].getsockname()[1])
            await asyncio.Future()

    asyncio.run(serve())


@functools.cache
def _started_bot(sleep: float) -> tuple[str, Any]:
    """The address of a bot in a process of its own, and the turns that it saw so far."""
    context = multiprocessing.get_context("spawn")
    receives, sends = context.Pipe(duplex=False)
    seen = context.Value("q", 0)
    context.Process(target=rtvi_bot, args=(sends, seen, sleep), daemon=True).start()
    return f"ws://127.0.0.1:{receives.recv()}", seen


async def pipecat_evals(count: int, agent: Agent) -> None:
    """Scripted sessions in text mode, without a judge: each line waits for the bot's answer."""
    importlib.import_module("loguru").logger.remove()  # as its own commands do
    script: Any = importlib.import_module("pipecat.evals.script")
    session: Any = importlib.import_module("pipecat.evals.script_session")
    url, seen = _started_bot(agent.sleep)
    before = seen.value

    async def one() -> Any:
        expect = [script.EvalExpectation(event="llm_response", text_contains="said")]
        turns = [script.EvalScriptTurn(user="And my parcel?", expect=expect) for _ in range(TURNS)]
        scenario = script.EvalScriptScenario(name="bench", turns=turns)
        return await session.EvalScriptSession.from_scenario(scenario, url).run()

    results = await asyncio.gather(*(one() for _ in range(count)))
    agent.seen += seen.value - before
    failed = [result.failures[0].reason for result in results if not result.passed]
    if failed:
        raise RuntimeError(f"{len(failed)} of {count} conversations failed: {failed[0]}")


Driver = Callable[[int, Agent], Awaitable[None]]
PEERS: dict[str, tuple[str, Driver]] = {
    "agent-learning-kit": ("agent-learning-kit", agent_learning_kit),
    "deepeval": ("deepeval", deepeval),
    "langwatch-scenario": ("langwatch-scenario", langwatch_scenario),
    "langwatch-scenario-without-bus": ("langwatch-scenario", langwatch_scenario_without_bus),
    "pipecat.evals": ("pipecat-ai", pipecat_evals),
}


def peak() -> float:
    """Peak resident memory so far, in kB, as `benchmarks.turns` reads it."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(status.read_text().partition("VmHWM:")[2].split()[0])


def drive(peer: str, conversations: int, sleep: float) -> dict[str, float]:
    """Run one peer here; called in a process of its own, by its environment's Python."""
    driver, agent = PEERS[peer][1], Agent(sleep)
    asyncio.run(driver(1, agent))  # imports and first-time costs are not a turn's
    agent.seen = total = 0
    memory = peak()
    cpu, wall = time.process_time(), time.perf_counter()
    while not total or (not sleep and total < LEAST and time.perf_counter() - wall < LONG_ENOUGH):
        asyncio.run(driver(conversations, agent))
        total += conversations
    taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    if agent.seen != total * TURNS:
        raise RuntimeError(f"the agent saw {agent.seen} of {total * TURNS} turns")
    memory = peak() - memory
    return {**taken, "kb": memory / total, "turns": agent.seen}


def installed(package: str, cache: Path) -> Path:
    """The Python of the peer's own environment, made when it is not there."""
    home = cache / f"{package}-{VERSIONS[package]}"
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        print(f"installing {package} {VERSIONS[package]} …", file=sys.stderr)
        venv.create(home, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", f"{package}=={VERSIONS[package]}"]
        subprocess.run(command, check=True)
        (home / "installed").touch()
    return python


def measured(python: Path, peer: str, conversations: int, sleep: float) -> dict[str, float] | str:
    """What a run took, or in words why there is nothing."""
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    # langwatch-scenario makes an HTTP client a conversation, to which each proxy would add 25 ms
    away = {} if peer.startswith("langwatch") else PROXIES
    command = [str(python), __file__, "--drive", peer, "--conversations", str(conversations)]
    try:
        done = subprocess.run(
            [*command, "--sleep", str(sleep)],
            capture_output=True,
            text=True,
            timeout=CUT_OFF,
            env=plain | QUIET | away,
        )
    except subprocess.TimeoutExpired:
        return f"not finished after {CUT_OFF:.0f} s"
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["no word"])[-1][:80]
    return json.loads(done.stdout.strip().splitlines()[-1])


Side = Callable[[int, float], dict[str, float] | str]
"""Runs so many conversations at once, with an agent that sleeps so many seconds a turn."""


def ours(conversations: int, sleep: float) -> dict[str, float]:
    """The same of ours, with capture and run folder."""
    turns: Any = importlib.import_module("benchmarks.turns")
    taken = turns._in_process("ours", conversations, sleep)
    total = conversations if sleep else max(conversations, LEAST)
    return {**taken, "kb": taken["memory"] / total, "turns": total * TURNS}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all, if none is named")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "simulate-benchmarks")
    parser.add_argument("--drive", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--conversations", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--sleep", type=float, default=0.0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.drive:
        print(json.dumps(drive(args.drive, args.conversations, args.sleep)))
        return
    if unknown := set(args.names) - {"simulate", *PEERS}:
        parser.error(f"{sorted(unknown)} is none of: simulate, {', '.join(PEERS)}")
    tables(dict(sides(args.cache, args.names)))


def sides(cache: Path, names: list[str]) -> Iterator[tuple[str, Side]]:
    """Name and way to run of each that was asked for, ours first."""
    if not names or "simulate" in names:
        yield "simulate", ours
    for peer, (package, _) in PEERS.items():
        if not names or peer in names:
            python = installed(package, cache)
            yield f"{peer} {VERSIONS[package]}", functools.partial(measured, python, peer)


def tables(sides: dict[str, Side]) -> None:
    """Run all and print what they took."""
    print("| CPU ms a turn | 1 | 50 | 1,000 at once |\n|---|---|---|---|")
    for name, side in sides.items():
        cells = [cell(side(count, 0.0)) for count in (1, 50, 1000)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\n| 1,000 × 10 turns, agent sleeps 1 s | wall s | CPU s | kB a conversation |\n|---|---|---|---|")
    for name, side in sides.items():
        found = side(1000, 1.0)
        if isinstance(found, str):
            print(f"| {name} | {found} | | |", flush=True)
        else:
            print(f"| {name} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['kb']:.0f} |", flush=True)


def cell(found: dict[str, float] | str) -> str:
    """Milliseconds a turn."""
    return found if isinstance(found, str) else f"{found['cpu'] / found['turns'] * 1e3:.3f}"


if __name__ == "__main__":
    main()
