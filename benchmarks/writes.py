"""Do the writes that an agent made tell right from wrong, where somebody labelled the result?

python -m benchmarks.writes FILE    a file of historical_trajectories/ of sierra-research/tau-bench (MIT);
                                    gpt-4o-airline.json has 50 airline tasks × 4 trials
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulate.evaluators import TrajectoryScore
from simulate.model.reference import Reference

WRITES = {
    "book_reservation", "cancel_reservation", "send_certificate", "update_reservation_baggages",
    "update_reservation_flights", "update_reservation_passengers",
}  # fmt: skip
ORDERS = ("in_order", "any_order", "exact", "writes")


def auc(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """The chance that a right run scores above a wrong one, a tie counting half."""
    pairs = [
        (good > bad) + (good == bad) / 2
        for good, is_good in zip(scores, labels, strict=True) if is_good
        for bad, is_bad in zip(scores, labels, strict=True) if not is_bad
    ]  # fmt: skip
    return sum(pairs) / len(pairs) if pairs else float("nan")


def score_of(run: dict[str, Any], order: str) -> float | None:
    """Of one trajectory against its task's writes; all orders but ``writes`` are handed the writes alone."""
    expected = [
        {"name": one["name"], "arguments": one["kwargs"]}
        for one in run["info"]["task"]["actions"]
        if one["name"] in WRITES
    ]
    steps = run["traj"]
    if order != "writes":
        steps = _writes_alone(steps)
    reference = Reference.model_validate({"tools": expected, "order": order, "writes": sorted(WRITES)})
    result = TrajectoryScore().evaluate(trajectory=steps, reference=reference)
    if result.value is not None:
        return result.value
    # nothing was to be written, and no tool was called at all
    return 1.0 if not expected and not any(step.get("tool_calls") for step in steps) else None


def _writes_alone(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in steps:
        calls = [one for one in step.get("tool_calls") or () if one["function"]["name"] in WRITES]
        found.append({**step, "tool_calls": calls})
    return found


def main(path: Path) -> None:
    runs: list[dict[str, Any]] = json.loads(path.read_text())
    labels = [run["reward"] == 1 for run in runs]
    print(f"{len(runs)} trajectories, {sum(labels)} right\n")
    print("| TrajectoryScore on the writes | AUC | right that passed | wrong that passed | not run |")
    print("|---|---|---|---|---|")
    for order in ORDERS:
        scores = [score_of(run, order) for run in runs]
        known = [(label, score) for label, score in zip(labels, scores, strict=True) if score is not None]
        passed = [sum(score for label, score in known if label is side) for side in (True, False)]
        value = auc(*zip(*known, strict=True))
        print(
            f"| {order} | {value:.3f} | {passed[0]:.0f} of {sum(labels)} | "
            f"{passed[1]:.0f} of {len(labels) - sum(labels)} | {len(runs) - len(known)} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    main(parser.parse_args().file)
