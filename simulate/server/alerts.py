"""Alerts: what crossed its bound is told once, and once more when it is well again."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select

from simulate.errors import InputError
from simulate.model.percentile import percentile
from simulate.scoring.evaluators.alerts import webhook
from simulate.server.context import Context
from simulate.server.settings import AlertRule
from simulate.server.store.find import TraceRow, one
from simulate.server.store.schema import alerts, scores, tags, traces
from simulate.server.store.store import Store

EVERY = 15.0
"""Seconds between two looks."""
PATIENCE = 10.0
"""Seconds that a webhook has."""
_MINUTE = 60_000_000_000
_log = logging.getLogger("simulate.server.alerts")


@dataclass(frozen=True, slots=True)
class AlertFigure:
    """What a rule looked at: the value, of how many traces, and the trace that shows it best."""

    value: float | None
    traces: int
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class AlertState:
    """How a rule stands. ``problem`` is why the last message did not arrive."""

    is_firing: bool
    since_ns: int
    value: float | None
    trace_id: str | None
    is_told: bool
    problem: str | None


def measured(store: Store, rule: AlertRule, now: int) -> AlertFigure:
    """The rule's figure over its window, sampled-out traces included unless it is a score."""
    since = now - int(rule.minutes * _MINUTE)
    inside = [traces.c.project == rule.project, traces.c.began_ns >= since, traces.c.began_ns <= now]
    if rule.tag is not None:
        name, _, value = rule.tag.partition("=")
        tagged = select(tags.c.trace).where(
            tags.c.project == rule.project, tags.c.name == name, tags.c.value == value
        )
        inside.append(traces.c.id.in_(tagged))
    with store.read() as connection:
        if rule.score is not None:
            query = select(scores.c.value, traces.c.trace_id).join(traces, traces.c.id == scores.c.trace)
            query = query.where(scores.c.name == rule.score, scores.c.value.is_not(None), *inside)
        else:
            column = {"error_rate": traces.c.failing, "p95_seconds": traces.c.seconds}
            query = select(column.get(rule.measure or "", traces.c.dollars), traces.c.trace_id).where(*inside)
            if rule.measure == "traces":
                count = connection.execute(
                    select(func.count()).select_from(traces).where(*inside)
                ).scalar_one()
                return AlertFigure(float(count), int(count), None)
        rows = [(row[0], str(row[1])) for row in connection.execute(query)]
    return _figure(rule, rows)


def _figure(rule: AlertRule, rows: list[tuple[Any, str]]) -> AlertFigure:
    if rule.measure == "error_rate":
        failed = [trace_id for failing, trace_id in rows if failing is not None]
        rate = len(failed) / len(rows) if rows else None
        return AlertFigure(rate, len(rows), failed[-1] if failed else None)
    known = [(float(value), trace_id) for value, trace_id in rows if value is not None]
    if not known:  # nothing was measured, which is not zero
        return AlertFigure(None, 0, None)
    values = [value for value, _ in known]
    worst = min(known) if rule.below is not None else max(known)
    if rule.of == "worst":
        value: float | None = worst[0]
    elif rule.measure == "cost":
        value = sum(values)
    elif rule.measure == "p95_seconds":
        value = percentile(values, 95)
    else:
        value = sum(values) / len(values)
    return AlertFigure(value, len(known), worst[1])


def crossed(rule: AlertRule, value: float) -> bool:
    """Whether a value is beyond the rule's bound."""
    above = rule.above is not None and value > rule.above
    return above or (rule.below is not None and value < rule.below)


def states(store: Store) -> dict[tuple[str, str], AlertState]:
    """How every rule stands that was ever looked at, by project and name."""
    with store.read() as connection:
        rows = connection.execute(select(alerts)).mappings().all()
    return {
        (row["project"], row["name"]): AlertState(
            **{name: row[name] for name in AlertState.__dataclass_fields__}
        )
        for row in rows
    }


def _keep(store: Store, rule: AlertRule, state: AlertState) -> None:
    new = store.insert(alerts).values(project=rule.project, name=rule.name, **asdict(state))
    update = {name: new.excluded[name] for name in asdict(state)}
    with store.write() as connection:
        connection.execute(new.on_conflict_do_update(index_elements=("project", "name"), set_=update))


async def look(context: Context, now: int | None = None) -> None:
    """Look at every rule once, and tell what changed or was not told yet."""
    at = now or time.time_ns()
    # at once: a webhook that does not answer delays no other
    looks = [_look_at(context, rule, at) for rule in context.settings.alerts]
    for failed in await asyncio.gather(*looks, return_exceptions=True):
        if failed is not None:
            raise failed


async def _look_at(context: Context, rule: AlertRule, now: int) -> None:
    store = context.store
    before = (await asyncio.to_thread(states, store)).get((rule.project, rule.name))
    figure = await asyncio.to_thread(measured, store, rule, now)
    if figure.value is not None and figure.traces >= rule.at_least:
        firing = crossed(rule, figure.value)
    else:  # too little to say anything: it stays as it is
        firing = before is not None and before.is_firing
    if before is None and not firing:
        return
    if before is None or before.is_firing != firing:
        state = AlertState(firing, now, figure.value, figure.trace_id, is_told=False, problem=None)
    elif before.is_told:
        return
    else:
        state = before
    await asyncio.to_thread(_keep, store, rule, state)
    problem = await _tell(context, rule, state)
    told = AlertState(
        state.is_firing, state.since_ns, state.value, state.trace_id, is_told=problem is None, problem=problem
    )
    await asyncio.to_thread(_keep, store, rule, told)


async def _tell(context: Context, rule: AlertRule, state: AlertState) -> str | None:
    """Send it; why it did not arrive, or None."""
    row = None
    if state.trace_id is not None:
        row = await asyncio.to_thread(one, context.store, rule.project, state.trace_id)
    message = body(rule, state, row, context.address)
    _log.warning("%s", message["text"], extra={"alert": message})
    if rule.webhook is None:
        return None
    import aiohttp  # start-up time

    data = {"text": message["text"]} if rule.form == "slack" else message
    try:
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(webhook(rule.webhook), json=data) as response,
        ):
            return None if response.status < 300 else f"the webhook answered {response.status}"
    except InputError as error:  # such as a variable that is not set
        return error.message
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"the webhook cannot be reached: {type(error).__name__}"


def body(rule: AlertRule, state: AlertState, row: TraceRow | None, address: str) -> dict[str, Any]:
    """What an alert says. It quotes nothing of a conversation: alerts end up in chat rooms."""
    bound = f"above {rule.above:g}" if rule.above is not None else f"below {rule.below or 0:g}"
    value = "unknown" if state.value is None else f"{state.value:.4g}"
    what = rule.score or rule.measure
    told = (
        f"{rule.name}: {what} is {value}, {bound}"
        if state.is_firing
        else f"{rule.name}: {what} is well again, {value}"
    )
    link = None if row is None else f"{address}/traces/{row.trace_id}"
    return {
        "text": f"{told} {link}" if link and state.is_firing else told,
        "alert": rule.name,
        "state": "firing" if state.is_firing else "recovered",
        "value": state.value,
        "above": rule.above,
        "below": rule.below,
        "minutes": rule.minutes,
        "user": row and row.first("user"),
        "prompt_version": row and row.first("prompt"),
        "cohort": row and row.first("cohort"),
        "trace_id": state.trace_id,
        "link": link,
    }


async def keep_looking(context: Context) -> float:
    """Look at the rules; the seconds until the next time."""
    await look(context)
    return EVERY
