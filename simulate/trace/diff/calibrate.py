"""What repeats of the expected run say: what varies by itself is not a change, and how sure the rest is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simulate.trace.diff import content as contents
from simulate.trace.diff.change import Change
from simulate.trace.diff.rates import rarely
from simulate.trace.diff.result import Diff

FREE = ("answers.", "order.", "voice.heard.", "shape.")
"""Once these vary among repeats, another value is one more of the same and not a change."""


def calibrated(diff: Diff, samples: Sequence[Sequence[Change]]) -> Diff:
    """A diff in the light of the changes that each repeat shows against the same expected run."""
    seen: dict[str, list[list[Change]]] = {}
    for sample in samples:
        here: dict[str, list[Change]] = {}
        for change in sample:
            here.setdefault(change.path, []).append(change)
        for path, found in here.items():
            seen.setdefault(path, []).append(found)
    runs = len(samples) + 1
    changes: list[Change] = []
    varies: list[Change] = []
    for change in diff.changes:
        differing = seen.get(change.path, [])
        if differing and _usual(change, [one for found in differing for one in found]):
            varies.append(replace(change, sure=f"{len(differing)} of {len(samples)} repeats differ here too"))
        else:
            changes.append(replace(change, sure=_sure(len(differing), runs)))
    return replace(diff, changes=changes, varies=varies, repeats=len(samples))


def _usual(change: Change, others: Sequence[Change]) -> bool:
    """Whether the value lies within what the expected run and its repeats show."""
    if change.path.startswith(FREE):
        return True
    values = [change.expected, *(other.expected for other in others), *(other.actual for other in others)]
    if any(contents.same(change.actual, value) for value in values):
        return True
    if _number(change.actual):
        known = [value for value in values if _number(value)]
        return bool(known) and min(known) <= change.actual <= max(known)
    if change.details:
        free = {detail.path for other in others for detail in other.details}
        return all(detail.path in free for detail in change.details)
    return isinstance(change.actual, str) and any(isinstance(value, str) for value in values)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sure(differing: int, runs: int) -> str:
    if differing:
        return f"{differing} of {runs - 1} repeats differ here too, but never as far"
    return (
        f"the same in all {runs} expected runs, so an unchanged agent would differ here in at most "
        f"{rarely(runs):.0%} of runs"
    )
