"""Pages of figures: dashboards, simulated runs, and how to send traces here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from simulate.server import dashboard
from simulate.server.alerts import states
from simulate.server.pages import charts
from simulate.server.pages.shared import count, html, link, money, percent, seconds, when
from simulate.server.routes import PageRequest, Route
from simulate.server.store.runs import runs
from simulate.server.store.summary import HOUR

if TYPE_CHECKING:
    from aiohttp import web


async def _dashboard(request: PageRequest) -> web.Response:
    days = dashboard.days_of(request.query.get("days"))
    data = await asyncio.to_thread(dashboard.data, request.context.store, request.project, days)
    cards = await asyncio.to_thread(_cards, data)
    return html(
        request, "dashboard.html", data=data, cards=cards, days=days, per_success=dashboard.per_success
    )


def _cards(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Title and chart of each figure; every one leads to the traces behind it."""
    steps: list[int] = data["steps"]

    def behind(search: str = "") -> list[str]:
        """Where each step's traces are."""
        return [
            link("/", filter=search, since=_at(at), until=_at(at + data["step_hours"])) for at in steps
        ]  # fmt: skip

    def line(title: str, series: Any, write: charts.Write, search: str = "") -> tuple[str, str]:
        return title, charts.lines(steps, series, write, label=title, links=behind(search))

    cards = [
        ("Traces", charts.bars(steps, data["traces"], count, label="traces", links=behind())),
        line("Share that failed", {"failed": data["error_rate"]}, percent, "status=error"),
        line("Duration", data["seconds"], seconds),
        line("First token", data["first_token"], seconds),
        ("Cost", charts.bars(steps, data["dollars"], money, label="cost in dollars", links=behind())),
        line("Cost per successful trace, by prompt version", data["per_success"], money),
    ]
    for name, score in data["scores"].items():
        chart = charts.lines(
            steps, {name: score["mean"]}, lambda value: f"{value or 0:.2f}", threshold=score["threshold"],
            label=name, links=behind(f"score.{name}<{score['threshold'] or 1.01:g}"),
        )  # fmt: skip
        cards.append((f"{name}, mean", chart))
    return cards


def _at(hour: int) -> str:
    return when(hour * HOUR).replace(" ", "T") + "+00:00"


async def _runs(request: PageRequest) -> web.Response:
    found = await asyncio.to_thread(runs, request.context.store, request.project)
    return html(request, "runs.html", runs=found)


async def _alerts(request: PageRequest) -> web.Response:
    context = request.context
    found = await asyncio.to_thread(states, context.store)
    rules = [
        (rule, found.get((rule.project, rule.name)))
        for rule in context.settings.alerts
        if rule.project == request.project
    ]
    return html(request, "alerts.html", rules=rules)


async def _help(request: PageRequest) -> web.Response:
    context = request.context
    return html(
        request, "help.html", address=context.address, grpc_address=context.grpc_address,
        counts=context.intake.counts, waiting=context.assembler.waiting, failed=context.assembler.failed,
        judge=context.judging and context.judging.counts,
    )  # fmt: skip


ROUTES = [
    Route("GET", "/dashboard", "read", _dashboard),
    Route("GET", "/alerts", "read", _alerts),
    Route("GET", "/runs", "read", _runs),
    Route("GET", "/help", "read", _help),
]
