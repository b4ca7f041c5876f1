"""Calls in LiveKit rooms on this machine: how many at once, what is left of them, what is found.

    python -m benchmarks.livekit load               # callers at once against agents that play recordings
    python -m benchmarks.livekit overload           # too much on purpose: who is blamed?
    python -m benchmarks.livekit soak --calls 50    # calls in a row in one process: what is left of them
    python -m benchmarks.livekit twins --times 20   # faulty twins of the example worker, each by its check

Server and agents run in processes of their own, on the same processors. ``load`` and ``soak`` hear by script
unless ``--ears real`` says otherwise; the callers' voices are real.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.voice_parts import Unhearing
from fixtures.rooms import TWINS, failures, twins
from simulate.conversation.voice.senses import Senses
from simulate.conversation.voice.speech_services import find_stt, find_tts
from simulate.conversation.voice.vad import Detector
from simulate.integrations.livekit.engine import LiveKitEngine
from simulate.integrations.livekit.server import LiveKitServer, need_server
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.percentile import percentile
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial

ROOT = Path(__file__).parents[1]
APART = 0.25
"""Seconds between the begins of two calls."""
P95_LIMIT_MS = 20.0


def _scenario(lines: int) -> Scenario:
    said = ["Hello, where is my order five zero two nine?", "Thank you very much.", "No, goodbye."]
    return Scenario(
        name="load",
        medium="voice",
        speaks_first="agent",
        agent="livekit:player",
        script=[{"says": text} for text in said[:lines]],  # type: ignore[list-item]
        limits={"reply": "8 s", "time": "90 s"},  # type: ignore[arg-type]
        expect=[{"no_dead_air": "3 s"}, {"ended_by": "caller"}],  # type: ignore[list-item]
    )


class Calls:
    """A server, agents that play recordings, and an engine to call them."""

    def __init__(self, resources: Resources, folder: Path) -> None:
        self.resources, self.folder = resources, folder
        self._calls = 0

    async def call(self, scenario: Scenario) -> Outcome:
        """One call."""
        self._calls += 1
        folder = self.folder / str(self._calls)
        self.resources.prepare(scenario)
        return await run_trial(TrialSpec(scenario, folder=folder), self.resources)

    async def calls(self, number: int, scenario: Scenario) -> list[Outcome]:
        """So many at once, begun one after the other."""

        async def later(seconds: float) -> Outcome:
            await asyncio.sleep(seconds)
            return await self.call(scenario)

        return await asyncio.gather(*(later(index * APART) for index in range(number)))


@asynccontextmanager
async def _line(ears: str) -> AsyncGenerator[Calls]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = LiveKitServer(need_server(), log=folder / "server.log")
        await server.start()
        keys = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": server.key, "LIVEKIT_API_SECRET": server.secret}
        command = [sys.executable, "-m", "fixtures.agents.livekit_player"]
        players = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={**os.environ, **keys}, stdout=asyncio.subprocess.PIPE
        )
        assert players.stdout is not None
        await players.stdout.readline()
        engine = LiveKitEngine(
            "livekit:player", url=server.url, api_key=server.key, api_secret=server.secret, root=ROOT
        )
        hears = find_stt(None) if ears == "real" else Unhearing()
        engine._senses = Senses(find_tts(None), hears, *([] if ears == "real" else [Detector]))
        try:
            async with Resources(Project(ROOT), [], agent=engine) as resources:
                yield Calls(resources, folder)
        finally:
            await engine.aclose()
            players.terminate()
            await players.wait()
            await server.stop()


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _row(number: int, outcomes: list[Outcome], processor: float) -> str:
    kept = [
        one.measures["pacing_p95_ms"] for one in outcomes if one.measures.get("pacing_p95_ms") is not None
    ]
    worst99 = max((one.measures.get("pacing_p99_ms") or 0.0 for one in outcomes), default=0.0)
    seconds = sum(one.conversation.duration or 0.0 for one in outcomes)
    ended = Counter(f"{one.status} ({one.side})" if one.side else one.status for one in outcomes)
    replies = [one.measures.get("reply_p50_seconds") for one in outcomes]
    reply = percentile([value for value in replies if value is not None], 50)
    cost = f"{processor / seconds:.3f}" if seconds else "-"
    p95 = f"{statistics.median(kept):.1f} / {max(kept):.1f}" if kept else "-"
    return (
        f"{number:>7} | {p95:>15} | {worst99:>8.1f} | {cost:>6} | "
        f"{'-' if reply is None else f'{reply:.2f}':>8} | "
        + ", ".join(f"{count} {what}" for what, count in ended.items())
    )


def _reasons(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        if not one.passed:
            late = one.measures.get("pacing_p99_ms")
            print(f"          {one.status} ({one.side}), p99 {late} ms: {str(one.reason)[:120]}")


HEAD = (
    "callers | pacing p95 ms   | p99 ms   | CPU-s  | reply    | calls\n"
    "        | median / worst  | worst    | a call-s | p50 s  | ended"
)


async def load(numbers: list[int], ears: str) -> bool:
    """More and more callers at once; the most that keep time."""
    print(HEAD)
    good = 0
    os.environ["SIMULATE_CALLS"] = str(max(numbers))
    async with _line(ears) as line:
        await line.call(_scenario(1))  # models and caches
        for number in numbers:
            before = _processor()
            outcomes = await line.calls(number, _scenario(3))
            print(_row(number, outcomes, _processor() - before), flush=True)
            _reasons(outcomes)
            worst = max((one.measures.get("pacing_p95_ms") or 1e9 for one in outcomes), default=1e9)
            if all(one.passed for one in outcomes) and worst < P95_LIMIT_MS:
                good = max(good, number)
    print(f"all calls passed with p95 under {P95_LIMIT_MS:g} ms up to {good} at once (asked for: 20)")
    return good >= 20


async def overload(callers: int, busy: int, ears: str) -> bool:
    """Callers beside processes that take all processor time."""
    print(f"{callers} callers beside {busy} busy processes")
    print(HEAD)
    os.environ["SIMULATE_CALLS"] = str(callers)
    async with _line(ears) as line:
        await line.call(_scenario(1))
        before = _processor()
        hogs = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
            for _ in range(busy)
        ]
        try:
            outcomes = await line.calls(callers, _scenario(3))
        finally:
            for hog in hogs:
                hog.kill()
                await hog.wait()
    print(_row(callers, outcomes, _processor() - before))
    _reasons(outcomes)
    blamed = [one for one in outcomes if one.side == "agent"]
    print(f"the agent is blamed {len(blamed)} times (asked for: 0)")
    return not blamed


def _held(server_rooms: int) -> dict[str, float]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "rooms": server_rooms,
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "megabytes": pages * resource.getpagesize() / 1e6,
    }


async def soak(calls: int, ears: str) -> bool:
    """The same call again and again: what the last leaves beside the fifth."""
    held: list[dict[str, float]] = []
    passed = 0
    async with _line(ears) as line:
        for number in range(1, calls + 1):
            outcome = await line.call(_scenario(1))
            passed += outcome.passed
            if not outcome.passed:
                print(outcome.explain())
            held.append(_held(await _rooms(line.engine)))
            if number == 1:
                print(f"{'after call':<12} " + " ".join(f"{name:>10}" for name in held[0]))
            if number in (1, 5, calls // 2, calls):
                print(
                    f"{number:<12} " + " ".join(f"{value:>10.0f}" for value in held[-1].values()), flush=True
                )
    early, late = held[min(4, calls - 1)], held[-1]
    growth = late["megabytes"] - early["megabytes"]
    print(f"{passed} of {calls} passed; {growth:+.1f} MB from the fifth to the last")
    same = all(late[name] <= early[name] for name in ("rooms", "tasks", "threads", "files"))
    return passed == calls and same and growth < 20


async def _rooms(engine: LiveKitEngine) -> int:
    from livekit import api

    url, key, secret = engine._given or ("", "", "")
    async with api.LiveKitAPI(url.replace("ws", "http", 1), key, secret) as lister:
        return len((await lister.room.list_rooms(api.ListRoomsRequest())).rooms)


async def all_twins(times: int) -> bool:
    """Each faulty twin by its check and no other, and the good worker by none, again and again."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        async with twins(Path(name)) as calling:
            for number in range(times):
                for fault, scenario in TWINS.items():
                    for worker in (fault, "none"):
                        outcome = await calling(worker, scenario, Path(name) / f"{number}-{fault}-{worker}")
                        key = f"{fault if worker == fault else 'the good worker'} | {scenario.name}"
                        found.setdefault(key, Counter())[", ".join(failures(outcome)) or "passed"] += 1
    good = True
    for key, counts in found.items():
        fault = key.split(" | ")[0]
        wanted = TWINS[fault].tags[0] if fault in TWINS else "passed"
        good &= counts == {wanted: times}
        print(f"{key:<62} {', '.join(f'{what}: {count} of {times}' for what, count in counts.items())}")
    return good


def main() -> int:
    """The subject that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subject", choices=["load", "overload", "soak", "twins"])
    parser.add_argument("--callers", type=int, nargs="+", help="at once")
    parser.add_argument("--busy", type=int, default=8, help="processes that take all processor time")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--ears", choices=["script", "real"], default="script")
    args = parser.parse_args()
    began = time.monotonic()
    subjects: dict[str, Any] = {
        "load": lambda: load(args.callers or [1, 5, 10, 20], args.ears),
        "overload": lambda: overload((args.callers or [20])[0], args.busy, args.ears),
        "soak": lambda: soak(args.calls, args.ears),
        "twins": lambda: all_twins(args.times),
    }
    good = asyncio.run(subjects[args.subject]())
    print(f"took {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
