"""Planted faults of phone bots, and clean twins of the same calls: what is found, and what is blamed wrongly.

python -m benchmarks.voice_faults                    # in virtual time: each fault, and 20 clean calls
python -m benchmarks.voice_faults stops_late cuts_in --real
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from fixtures.faults.voice import BOTS, CALLS, CLEAN, USUAL, VOICE_FAULTS, VoiceFault
from simulate.determinism.clock import run_virtual
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial

ROOT = Path(__file__).parents[1]


def outcome_of(bot: str, call: str, *, seed: int = 0, real: bool = False) -> Outcome:
    """One call to a bot of `fixtures.faults.voice_bots`."""
    given = {"speaks_first": "agent", "limits": {"time": "90 s", "reply": "12 s"}, **CALLS[call]}
    scenario = Scenario(name=call, medium="voice", agent=f"{BOTS}{bot}", **given)

    async def carry() -> Outcome:
        async with Resources(Project.find(ROOT), [scenario]) as resources:
            return await run_trial(TrialSpec(scenario, seed=seed), resources)

    return asyncio.run(carry()) if real else run_virtual(carry())


def failed(outcome: Outcome) -> list[str]:
    """The words whose checks failed, and ``agent`` where the outcome is the agent's fault without them."""
    checks = [verdict.check for verdict in outcome.verdicts if verdict.status == "failed"]
    return checks if checks or outcome.status != "failed" else ["agent"]


def found(fault: VoiceFault, outcome: Outcome) -> bool:
    """Whether the outcome blames the agent for it."""
    return outcome.status == "failed" and outcome.side == "agent"


def planted(faults: Sequence[VoiceFault], *, real: bool = False) -> int:
    """Print each fault; how many were found."""
    count = 0
    for fault in faults:
        outcome = outcome_of(fault.bot, fault.call, real=real)
        good = found(fault, outcome)
        count += good
        by = ", ".join(failed(outcome)) or f"{outcome.status}, side {outcome.side}"
        print(
            f"{'found ' if good else 'MISSED'} {fault.bot:<26} {fault.call:<10} {fault.report:<22} {by}",
            flush=True,
        )
        if not good:
            print(outcome.explain())
    return count


def clean(times: int) -> tuple[int, int]:
    """Print each clean call that did not pass; how many there were, and how many passed. Fast and slow bots,
    and another seed each time."""
    calls = passed = 0
    for number in range(times):
        for call in CALLS:
            bots = CLEAN.get(call, USUAL)
            bot = bots[number % len(bots)]
            outcome = outcome_of(bot, call, seed=number)
            calls += 1
            passed += outcome.passed
            if not outcome.passed:
                print(f"FALSE ALARM {bot} {call} seed {number}\n{outcome.explain()}", flush=True)
    return calls, passed


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bots", nargs="*", help="only these")
    parser.add_argument("--times", type=int, default=2, help="clean calls of each kind")
    parser.add_argument("--real", action="store_true", help="in real time")
    args = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    began = time.perf_counter()
    faults = [fault for fault in VOICE_FAULTS if not args.bots or fault.bot in args.bots]
    hits = planted(faults, real=args.real)
    print(f"found {hits} of {len(faults)} planted faults ({100 * hits / len(faults):.0f} %; wanted ≥ 98 %)")
    calls, passed = (0, 0) if args.real else clean(args.times)
    print(f"false alarms in {calls} clean calls: {calls - passed} (wanted 0)")
    print(f"{time.perf_counter() - began:.0f} s")
    return 0 if hits >= 0.98 * len(faults) and passed == calls else 1


if __name__ == "__main__":
    sys.exit(main())
