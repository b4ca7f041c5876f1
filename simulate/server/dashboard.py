"""The figures of a dashboard: read from sums and sketches of hours, never from spans."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from sqlalchemy import func, select

from simulate.errors import InputError
from simulate.server.store.rollups import by_value, over_time, quantiles
from simulate.server.store.schema import feedback, scores
from simulate.server.store.store import Store
from simulate.server.store.summary import HOUR

SHARES = (0.5, 0.95, 0.99)
CUTS = ("prompt", "model", "feature", "agent", "tool", "user", "tenant")
MOST = 10
MOST_DAYS = 400


def days_of(text: str | None) -> int:
    """How many days a dashboard covers. Raises InputError for what is no such number."""
    if text is None or text == "":
        return 7
    if not text.isdecimal() or not 1 <= int(text[:6]) <= MOST_DAYS:
        raise InputError(f"days={text[:20]} is not a number from 1 to {MOST_DAYS}")
    return int(text)


def data(store: Store, project: str, days: int, now_ns: int | None = None) -> dict[str, Any]:
    """All figures of the last ``days`` days. ``steps`` are beginnings in hours since the Unix epoch, and
    every list beside them has a value for each: None where there is none."""
    step = 1 if days <= 2 else 6 if days <= 14 else 24
    last = (now_ns or time.time_ns()) // HOUR
    first = (last - days * 24 + 1) // step * step
    steps = list(range(first, last + 1, step))
    sums = over_time(store, project, first, last, step=step)
    timed = {
        measure: quantiles(store, project, first, last, measure, SHARES, step=step)
        for measure in ("seconds", "first_token")
    }
    prompts = by_value(store, project, first, last, "prompt", 5)
    return {
        "step_hours": step,
        "steps": steps,
        "total": _total(sums.values()),
        "traces": [sums[at]["traces"] if at in sums else None for at in steps],
        "error_rate": [_share(sums.get(at), "errors", "traces") for at in steps],
        "dollars": [_cost(sums.get(at)) for at in steps],
        "seconds": _series(timed["seconds"], steps),
        "first_token": _series(timed["first_token"], steps),
        "by": {name: by_value(store, project, first, last, name, MOST) for name in CUTS},
        "per_success": {
            prompt: [
                per_success(each.get(at))
                for each in (over_time(store, project, first, last, step=step, name="prompt", value=prompt),)
                for at in steps
            ]
            for prompt in prompts
        },
        "scores": _scores(store, project, first, steps, step),
        "feedback": _feedback(store, project, first),
    }


def _total(sums: Any) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for each in sums:
        for name, amount in each.items():
            total[name] += amount
    return dict(total)


def _share(sums: dict[str, float] | None, part: str, whole: str) -> float | None:
    return None if sums is None or not sums[whole] else sums[part] / sums[whole]


def _cost(sums: dict[str, float] | None) -> float | None:
    """Dollars; None where no trace has a known cost."""
    return None if sums is None or not sums["priced"] else sums["dollars"]


def per_success(sums: dict[str, float] | None) -> float | None:
    """Dollars a successful trace; None where no cost is known or nothing succeeded."""
    if sums is None or not sums["priced"] or not sums["succeeded"]:
        return None
    return sums["dollars"] / sums["succeeded"]


def _series(found: dict[int, list[float | None]], steps: list[int]) -> dict[str, list[float | None]]:
    empty: list[float | None] = [None] * len(SHARES)
    return {
        f"p{round(share * 100)}": [found.get(at, empty)[number] for at in steps]
        for number, share in enumerate(SHARES)
    }


def _scores(store: Store, project: str, first: int, steps: list[int], step: int) -> dict[str, Any]:
    """Each score's mean over time with its threshold, of the traces that are kept."""
    hours = scores.c.began_ns // HOUR
    place = (hours - hours % step).label("place")
    query = select(
        scores.c.name,
        place,
        func.avg(scores.c.value),
        func.max(scores.c.threshold),
        func.count(scores.c.value),
    ).where(scores.c.project == project, scores.c.began_ns >= first * HOUR, scores.c.value.is_not(None))
    found: dict[str, Any] = {}
    with store.read() as connection:
        for name, at, mean, threshold, count in connection.execute(query.group_by(scores.c.name, place)):
            one = found.setdefault(name, {"mean": [None] * len(steps), "threshold": None, "count": 0})
            if (place_in := (int(at) - steps[0]) // step) < len(steps):
                one["mean"][place_in] = float(mean)
            one["threshold"] = threshold if threshold is not None else one["threshold"]
            one["count"] += int(count)
    return dict(sorted(found.items()))


def _feedback(store: Store, project: str, first: int) -> dict[str, int]:
    query = select(feedback.c.rating, func.count()).where(
        feedback.c.project == project, feedback.c.at_ns >= first * HOUR
    )
    with store.read() as connection:
        rows = connection.execute(query.group_by(feedback.c.rating))
        return {rating: int(count) for rating, count in rows}
