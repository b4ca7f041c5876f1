"""Twenty runs whose caller and judge are a weak real model: does each end with a right status?

    python -m benchmarks.weak_model              # needs: see fixtures/agents/weak_model.py
    python -m benchmarks.weak_model --runs 5

The agent always says the same. Half of the runs expect that, half something that nobody says. Right is the
true verdict, or ``error`` on the simulator's side, or ``not_run`` because the judge cannot tell. The untrue
verdict, a crash, or an error on another side is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

from fixtures.agents.weak_model import COMMAND, weak_model, weights
from simulate.llm import Model, ModelConfig
from simulate.model.expect import Said
from simulate.model.loading.project import Project
from simulate.model.outcome import Outcome
from simulate.model.persona import Persona
from simulate.model.scenario import Limits, Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.scoring.judge import Judge

TRUE = "That the order is refunded"
FALSE = "That the caller has won a holiday in Spain"


def agent(message: str) -> str:
    """Helpful, whatever it is told."""
    return "Your order 4417 is refunded. The money arrives within 3 to 5 business days."


def scenario(statement: str) -> Scenario:
    """A small errand, with one meaning for the judge."""
    return Scenario(
        name="refund",
        persona=Persona(name="Dana", traits=["hurried"], knows={"order_id": "4417"}),
        goal="Get the money back for order 4417.",
        expect=[Said(said=statement)],
        limits=Limits(turns=8, time=600.0),
    )


def right(outcome: Outcome, statement: str) -> bool:
    """Whether nobody is blamed who is not to blame, and nothing passes that did not happen."""
    if outcome.status == "error":
        return outcome.side == "simulator"
    if any(verdict.status == "failed" and verdict.check != "said" for verdict in outcome.verdicts):
        return False
    if statement == FALSE:
        # nobody said so: that the expectation failed is the truth
        return outcome.status in {"failed", "not_run"}
    return outcome.status in {"passed", "not_run"}


async def play(url: str, seed: int, statement: str) -> Outcome:
    """One run, with nothing between the weak model and the verdict."""
    config = ModelConfig("smollm2", base_url=url, max_tokens=48, timeout=300)
    planned = scenario(statement)
    stage = Resources(Project(Path.cwd()), [], agent=agent)
    stage.caller_model, stage.judge = Model(config, role="caller"), Judge(config)
    stage.prepare(planned)
    async with stage:
        return await run_trial(TrialSpec(planned, seed=seed), stage)


def main() -> int:
    """Run, and print how each ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if weights() is None:
        print(f"skipped: the small model is not installed: {COMMAND}")
        return 0
    good, ends = 0, Counter[str]()
    with weak_model() as url:
        for seed in range(options.runs):
            statement = TRUE if seed % 2 == 0 else FALSE
            began = time.monotonic()
            outcome = asyncio.run(play(url, seed, statement))
            ok = right(outcome, statement)
            good += ok
            end = f"{outcome.status}{f' ({outcome.side})' if outcome.side else ''}"
            ends[end] += 1
            seconds = time.monotonic() - began
            line = f"{seed + 1:3} {'right' if ok else 'WRONG'} {end:20} {seconds:5.1f} s"
            print(f"{line}  {outcome.reason or ''}"[:160], flush=True)
    print(f"{good} of {options.runs} ended with a right status: {dict(ends)}")
    return 0 if good == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
