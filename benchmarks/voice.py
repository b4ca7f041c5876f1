"""Calls by voice: how well is heard, what a call costs, how fast virtual time is, what is found and left.

    python -m benchmarks.voice accuracy            # word error rates and ids over three lines
    python -m benchmarks.voice cost                # processor time a second of call, in real time
    python -m benchmarks.voice virtual             # seconds of call a second, and the same transcripts
    python -m benchmarks.voice twins --times 20    # faulty twins of the example bot, each found by its check
    python -m benchmarks.voice overload            # too many calls at once: is the agent blamed?
    python -m benchmarks.voice lasting --calls 50  # calls in a row in one process: what is left of them

``all`` runs them one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks.voice_parts import ID_SENTENCES, SENTENCES, Echoing, Humming, Recorded, Unhearing, idle_bot
from simulate.conversation.callers import make_caller
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice import effects
from simulate.conversation.voice.audio_bridge import AudioBridge
from simulate.conversation.voice.call import VoiceCall
from simulate.conversation.voice.normalise import says, word_errors
from simulate.conversation.voice.pcm import Pcm
from simulate.conversation.voice.senses import Senses
from simulate.conversation.voice.speech_services import find_stt, find_tts
from simulate.conversation.voice.vad import Detector
from simulate.determinism.clock import run_virtual
from simulate.integrations.pipecat.engine import MemoryWire
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.persona import Persona, Voice
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.scenario_files import load_scenarios

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "scenarios" / "voice"
LINES = {
    "clean": (Voice(), 2.0),
    "telephone (µ-law, 8 kHz)": (Voice(line="phone"), 3.0),
    "white noise at 10 dB": (Voice(noise="white", noise_db=10), 6.0),
    "telephone, street at 15 dB": (Voice(line="phone", noise="street", noise_db=15), None),
}
TWINS = {
    "ignores_barge_in": ("barge_in", "stops_within"),
    "dead_air": ("barge_in", "no_dead_air"),
    "stops_on_mhm": ("backchannel", "ignores_backchannel"),
    "mishears_digits": ("noisy_order_number", "heard"),
    "greets_twice": ("barge_in", "not_said"),
}


# -- accuracy


async def _heard(text: str, voice: Voice, seed: int) -> str:
    """A line spoken, carried by a line that sends it back, and understood."""
    sound = await find_tts().say(text)
    wire = Echoing()
    line = AudioBridge(wire, detector=Detector(), spoils=effects.outgoing(voice, seed))
    wire.line = line
    beating = asyncio.create_task(line.run())
    line.play(sound)
    await line.until(lambda: not line.speaking)
    await line.until(lambda: False, 0.4)
    beating.cancel()
    return await find_stt().transcribe(line.kept(0, line.now))


def accuracy() -> bool:
    """Word error rate of speech → line → recognition on 20 sentences, and how many ids came through."""
    print(f"{'line':<28} {'words':>6} {'errors':>7} {'rate':>7} {'wanted':>8} {'ids':>8}")
    good = True
    for name, (voice, wanted) in LINES.items():
        heard = [run_virtual(_heard(text, voice, seed)) for seed, text in enumerate(SENTENCES)]
        counts = [word_errors(text, said) for text, said in zip(SENTENCES, heard, strict=True)]
        errors, words = sum(one for one, _ in counts), sum(one for _, one in counts)
        ids = sum(says(heard[index], wish) for index, wish in ID_SENTENCES.items())
        rate = 100 * errors / words
        limit = "–" if wanted is None else f"≤ {wanted:g} %"
        print(f"{name:<28} {words:>6} {errors:>7} {rate:>5.1f} % {limit:>8} {ids:>5}/{len(ID_SENTENCES)}")
        good = good and (wanted is None or (rate <= wanted and ids >= len(ID_SENTENCES) - 1))
    return good


# -- cost


def _session(folder: str) -> TrialSession:
    script = [{"says": text} for text in SENTENCES[:6]]
    scenario = Scenario(name="cost", medium="voice", script=script)  # type: ignore[arg-type]
    caller = make_caller(scenario, Persona())
    from simulate.conversation.agents.pinned_tools import PinnedTools

    spec = TrialSpec(scenario, folder=Path(folder))
    engine: Any = None  # the wire is carried without one
    return TrialSession(spec, engine, caller, Conversation("ab" * 16, "voice"), PinnedTools({}))


async def _carry(wire: Any, senses: Senses) -> tuple[float, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        exchange = _session(folder)
        await VoiceCall(exchange, wire, senses).carry()
        return exchange.conversation.duration, exchange.measures


async def _agent_lines() -> list[Pcm]:
    return [await find_tts().say(f"Thank you. {text} One moment, please.") for text in SENTENCES[6:12]]


def cost() -> bool:
    """What the caller's side takes of a processor, beside an agent that is a recording and costs nothing."""

    async def measure(senses: Senses) -> tuple[float, dict[str, Any]]:
        lines = await _agent_lines()
        for text in SENTENCES[:6]:
            await senses.tts.say(text)
        await senses.stt.transcribe(lines[0])
        began = time.process_time()
        seconds, measures = await _carry(Recorded(lines), senses)
        return (time.process_time() - began) / seconds, measures

    print(f"{'caller':<28} {'CPU s a call second':>20} {'wanted':>8} {'pacing p95':>11}")
    good = True
    scripted = Senses(Humming(), Unhearing(), lambda: Detector())
    for name, senses, wanted in [
        ("real speech", Senses(find_tts(), find_stt()), 0.20),
        ("scripted hearing", scripted, 0.06),
    ]:
        spent, measures = asyncio.run(measure(senses))
        print(f"{name:<28} {spent:>20.3f} {f'≤ {wanted}':>8} {measures['pacing_p95_ms']:>8.1f} ms")
        good = good and spent <= wanted
    return good


# -- virtual time


async def _call(scenario: Scenario, folder: Path | None = None) -> Outcome:
    async with Resources(Project.find(ROOT), [scenario]) as stage:
        return await run_trial(TrialSpec(scenario, folder=folder), stage)


def _example(name: str, agent: str | None = None) -> Scenario:
    (loaded,) = load_scenarios([EXAMPLES / f"{name}.yaml"])
    return loaded.scenario if agent is None else loaded.scenario.model_copy(update={"agent": agent})


def _timed(run: Callable[[Any], Any], call: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return run(call), time.perf_counter() - began


def virtual(*, beside_real: bool = True) -> bool:
    """Seconds of call that one second gives, beside real time with the same seed."""
    print(f"{'call':<44} {'call s':>7} {'took s':>7} {'ratio':>8} {'wanted':>8}  transcripts")
    scenario, good = _example("barge_in"), True
    run_virtual(_call(scenario))  # models are loaded, lines are spoken
    kinds: list[tuple[str, Callable[[Any], Any]]] = [("in virtual time", run_virtual)]
    kinds += [("in real time", asyncio.run)] if beside_real else []
    texts: list[list[tuple[str, str]]] = []
    for name, run in kinds:
        outcome, took = _timed(run, _call(scenario))
        seconds = outcome.conversation.duration
        texts.append([(said.speaker, said.text) for said in outcome.conversation.utterances])
        alike = "–" if len(texts) == 1 else "the same" if texts[0] == texts[1] else "differ"
        ratio, wanted = seconds / took, "≥ 5 ×" if run is run_virtual else "–"
        label = f"example bot, real speech, {name}"
        print(f"{label:<44} {seconds:>7.1f} {took:>7.2f} {ratio:>6.1f} × {wanted:>8}  {alike}")
        good = good and (run is not run_virtual or ratio >= 5) and alike != "differ"
    senses = Senses(Humming(), Unhearing(), lambda: Detector())
    lines = [Humming.sound(3.0)] * 6
    for name, wire in [
        ("instant speech, agent is a recording", lambda exchange: Recorded(lines)),
        (
            "instant speech, a Pipecat pipeline",
            lambda exchange: MemoryWire(idle_bot(lines), "pipecat:idle", exchange),
        ),
    ]:

        async def carry(wire: Any = wire) -> float:
            with tempfile.TemporaryDirectory() as folder:
                exchange = _session(folder)
                await VoiceCall(exchange, wire(exchange), senses).carry()
                return exchange.conversation.duration

        run_virtual(carry())
        seconds, took = _timed(run_virtual, carry())
        print(f"{name:<44} {seconds:>7.1f} {took:>7.2f} {seconds / took:>6.0f} × {'≥ 400 ×':>8}")
        good = good and seconds / took >= 400
    return good


# -- twins


def twins(times: int) -> bool:
    """The good bot passes every example; each twin fails one check, the one that is there for its fault."""
    good = 0
    examples = load_scenarios([EXAMPLES, EXAMPLES.with_name("outbound")])
    for _ in range(times):
        good += all(run_virtual(_call(each.scenario)).passed for each in examples)
    print(f"{'the good bot passes all ' + str(len(examples)) + ' examples':<44} {good:>3} of {times}")
    every = good == times
    for twin, (name, check) in TWINS.items():
        found = 0
        for _ in range(times):
            outcome = run_virtual(_call(_example(name, twin)))
            failed = [verdict.check for verdict in outcome.verdicts if verdict.status != "passed"]
            found += failed == [check] and outcome.side == "agent"
            if failed != [check]:
                print(outcome.explain())
        print(f"{f'{twin}: {check} alone fails':<44} {found:>3} of {times}", flush=True)
        every = every and found == times
    return every


# -- overload


def overload(most: int) -> bool:
    """More calls at once than the machine holds: the harness says so before it blames the agent."""
    scenario, good, at_once = _example("noisy_order_number"), True, 1
    asyncio.run(_call(scenario))
    print(f"{'at once':<10} {'passed':>7} {'error, environment':>20} {'agent blamed':>13} {'pacing p99':>12}")
    while at_once <= most:
        os.environ["SIMULATE_CALLS"] = str(at_once)

        async def several(count: int = at_once) -> list[Outcome]:
            return await asyncio.gather(*(_call(scenario) for _ in range(count)))

        outcomes = asyncio.run(several())
        passed = sum(one.passed for one in outcomes)
        machine = sum(one.status == "error" and one.side in ("environment", "harness") for one in outcomes)
        blamed = sum(one.side == "agent" for one in outcomes)
        late = max(one.measures.get("pacing_p99_ms") or 0.0 for one in outcomes)
        print(f"{at_once:<10} {passed:>7} {machine:>20} {blamed:>13} {late:>9.0f} ms", flush=True)
        for one in outcomes:
            if one.side == "agent":
                print(one.explain())
        good = good and not blamed
        at_once *= 2
    os.environ.pop("SIMULATE_CALLS", None)
    return good


# -- lasting


def _held() -> dict[str, float]:
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "megabytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,
    }


def lasting(calls: int) -> bool:
    """The same call again and again in one process and one loop: what the last leaves beside the fifth."""
    scenario = _example("noisy_order_number")

    async def many() -> list[dict[str, float]]:
        held: list[dict[str, float]] = []
        async with Resources(Project.find(ROOT), [scenario]) as stage:
            for _ in range(calls):
                outcome = await run_trial(TrialSpec(scenario), stage)
                if not outcome.passed:
                    print(outcome.explain())
                held.append(_held())
        return held

    held = run_virtual(many())
    print(f"{'after call':<12} " + " ".join(f"{name:>10}" for name in held[0]))
    for number in sorted({1, 5, calls // 2, calls}):
        print(f"{number:<12} " + " ".join(f"{value:>10.0f}" for value in held[number - 1].values()))
    early, late = held[min(4, calls - 1)], held[-1]
    growth = late["megabytes"] - statistics.median(one["megabytes"] for one in held[4:10] or held)
    return all(late[name] <= early[name] for name in ("tasks", "threads", "files")) and growth < 20


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        choices=["accuracy", "cost", "virtual", "twins", "overload", "lasting", "all"],
        nargs="?",
        default="all",
    )
    parser.add_argument("--times", type=int, default=20, help="of each twin")
    parser.add_argument("--most", type=int, default=16, help="calls at once")
    parser.add_argument("--calls", type=int, default=50, help="in a row")
    args = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    todo: dict[str, Callable[[], bool]] = {
        "accuracy": accuracy,
        "cost": cost,
        "virtual": virtual,
        "twins": lambda: twins(args.times),
        "overload": lambda: overload(args.most),
        "lasting": lambda: lasting(args.calls),
    }
    results: dict[str, bool] = {}
    for name, run in todo.items():
        if args.what in (name, "all"):
            began = time.perf_counter()
            results[name] = run()
            verdict = "as wanted" if results[name] else "short of it"
            print(f"-- {name}: {verdict}, {time.perf_counter() - began:.0f} s\n", flush=True)
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
