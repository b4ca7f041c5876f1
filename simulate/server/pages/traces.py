"""The list of traces, one trace, the traces of a person or session, and two traces side by side."""

from __future__ import annotations

import asyncio
import shlex
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from simulate.errors import InputError
from simulate.interfaces.render.diff_html import diff_page
from simulate.interfaces.render.html import trace_page
from simulate.interfaces.render.trace_tree import TreeOptions, lines
from simulate.local_server import Refused
from simulate.model.text import line
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.server.answers import read_trace, row_of
from simulate.server.pages import charts
from simulate.server.pages.shared import count, fragment, html, link, see, whole
from simulate.server.routes import PageRequest, Route
from simulate.server.store.cases import datasets, made_of
from simulate.server.store.find import (
    COUNTED,
    TraceRow,
    alike,
    facets,
    feedback_of,
    find,
    histogram,
    newest,
    one,
    trace_of,
    with_tag,
)
from simulate.server.store.summary import HOUR
from simulate.server.store.views import drop_view, save_view, saved_views
from simulate.trace.diff import compare
from simulate.trace.overview import failing
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace
from simulate.trace.tree import build

if TYPE_CHECKING:
    from aiohttp import web

RANGES = {
    "1h": "last hour",
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "all": "any time",
}
USUAL = "7d"
COLUMNS = {
    "began": "began (UTC)", "what": "what", "user": "user", "session": "session", "feature": "feature",
    "prompt": "prompt", "model": "model", "agent": "agent", "tool": "tool", "environment": "environment",
    "service": "service", "duration": "duration", "first token": "first token", "spans": "spans",
    "tokens": "tokens", "cost": "cost", "kept": "why kept", "verdict": "verdict",
}  # fmt: skip
_USUAL_COLUMNS = [
    "began",
    "what",
    "user",
    "prompt",
    "model",
    "duration",
    "spans",
    "tokens",
    "cost",
    "verdict",
]
_NUMBERS = {"duration", "first token", "spans", "tokens", "cost"}
_PEOPLE = {"user": ("user",), "session": ("session", "conversation"), "run": ("run",)}


async def _list(request: PageRequest) -> web.Response:
    store, query = request.context.store, _query(request)
    chosen = query.get("columns", [])
    shown: dict[str, Any] = {
        "query": query, "ranges": RANGES, "usual": USUAL, "address": request.context.address,
        "chosen": chosen, "columns": chosen or _USUAL_COLUMNS, "known": COLUMNS, "numbers": _NUMBERS,
        "saved": link("", query, before="", live="").removeprefix("?"),
        "views": await asyncio.to_thread(saved_views, store, request.project),
    }  # fmt: skip
    try:
        wanted = request.wanted(default_since=USUAL)
    except InputError as error:
        nothing: dict[str, Any] = {
            "rows": [], "facets": {}, "next": None, "unseen": False, "chart": "", "newest": None,
            "live": False, "counted": None,
        }  # fmt: skip
        page = html(request, "traces.html", problem=error, **nothing, **shown)
        page.set_status(400)
        return page
    found = await asyncio.to_thread(find, store, wanted)
    counts = await asyncio.to_thread(facets, store, wanted)
    steps, numbers = await asyncio.to_thread(histogram, store, wanted)
    latest = None if found.rows else await asyncio.to_thread(newest, store, request.project)
    following = None if found.next is None else f"{found.next[0]}-{found.next[1]}"
    return html(
        request, "traces.html", rows=found.rows, facets=counts, next=following, unseen=found.unseen,
        chart=_histogram(query, steps, numbers), newest=latest, problem=None, live="live" in query,
        counted=COUNTED if sum(numbers) > COUNTED else None, **shown,
    )  # fmt: skip


def _query(request: PageRequest) -> dict[str, Any]:
    """The words of the address; ``columns`` are a list, in our order, without names that there are not."""
    given = set(request.raw.query.getall("columns", ()))
    chosen = [name for name in COLUMNS if name in given]
    return {**request.query, "columns": chosen} if given else dict(request.query)


async def _save_view(request: PageRequest) -> web.Response:
    name, query = str(request.form.get("name") or ""), str(request.form.get("query") or "")
    words = link("", dict(parse_qs(query))).removeprefix("?")  # whatever was sent, it is a query
    await asyncio.to_thread(save_view, request.context.store, request.project, name, words, request.key.name)
    return see(f"/?{words}")


async def _drop_view(request: PageRequest) -> web.Response:
    name = str(request.form.get("name") or "")
    await asyncio.to_thread(drop_view, request.context.store, request.project, name)
    return see("/")


def _histogram(query: dict[str, Any], steps: list[int], numbers: list[int]) -> str:
    if len(steps) < 2:  # one bar tells nothing
        return ""
    width = steps[1] - steps[0]
    kept = {name: value for name, value in query.items() if name != "before"}
    links = [link("/", kept, since=_iso(at), until=_iso(at + width)) for at in steps]
    return charts.bars(steps, list(numbers), count, label="traces over time", links=links, height=90)


def _iso(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR / 1e9, UTC).isoformat(timespec="minutes")


async def _trace(request: PageRequest) -> web.Response:
    row = await row_of(request)
    found = await read_trace(request, row)
    said = await asyncio.to_thread(feedback_of, request.context.store, row.id)
    store, project = request.context.store, request.project
    beside = {
        "said": said, "cases": await asyncio.to_thread(made_of, store, project, row.trace_id),
        "datasets": list(await asyncio.to_thread(datasets, store, project)),
        "alike": await asyncio.to_thread(alike, store, project, row),
    }  # fmt: skip
    return await asyncio.to_thread(_drawn, request, row, found, beside)


def _drawn(request: PageRequest, row: TraceRow, trace: Trace, beside: dict[str, Any]) -> web.Response:
    reading = TraceReading(trace)
    failed = min(failing(reading), key=lambda span: (not span.start_ns, span.start_ns), default=None)
    crossed = [
        score for _, view in reading for score in view.scores if score.passed() is False
    ]  # fmt: skip
    before = fragment(
        request, "trace.html", row=row, failed=failed, crossed=crossed, **beside,
        agent=None if failed is None else reading.view(failed).agent_name,
        why=None if failed is None else failed.status_message or reading.view(failed).error,
        commands=_commands(request, row), people=_PEOPLE,
    )  # fmt: skip
    text = "\n".join(lines(build(trace), TreeOptions(reading, width=110, content=True)))
    return whole(
        trace_page(
            [reading],
            is_masked=True,
            before=before,
            without_script=f"<pre>{escape(text)}</pre>",
            styles=("server.css",),
        )
    )


def _commands(request: PageRequest, row: TraceRow) -> dict[str, str]:
    """What to do next in a terminal, word for word."""
    server = ["--server", request.context.address]
    file = f"{row.trace_id[:12]}.otlp.jsonl"
    export = shlex.join(["simulate", "traces", "export", row.trace_id, *server, "-o", file])
    return {
        "replay": f"{export}\n{shlex.join(['simulate', 'replay', file])} --agent ADDRESS",
        "test": shlex.join(["simulate", "traces", "test", row.trace_id, *server]),
    }


async def _session(request: PageRequest) -> web.Response:
    name, value = request.words["name"], request.query.get("is", "")
    if name not in _PEOPLE:
        raise Refused(404, "there is nothing at this address")
    store = request.context.store
    values = store.names(value) if name == "user" else [value]
    rows = [
        row
        for each in values
        for row in await asyncio.to_thread(with_tag, store, request.project, _PEOPLE[name], each)
    ]
    said = {row.id: await asyncio.to_thread(_words, request, row) for row in rows[-20:]}
    return html(request, "session.html", name=name, value=value, rows=rows, said=said)


def _words(request: PageRequest, row: TraceRow) -> list[tuple[str, str]]:
    """What was said in a trace, a line each."""
    trace = SecretMask().trace(trace_of(request.context.store, row))
    return [(each.speaker, line(each.text, 600)) for each in EvaluationContext(trace).said][-6:]


async def _compare(request: PageRequest) -> web.Response:
    ticked = request.raw.query.getall("t", [])[:2][::-1]  # the list has the newest first
    ids = [request.query.get(side, "").strip() for side in ("a", "b")]
    ids = [*ticked, ""][:2] if ticked else ids
    store = request.context.store
    rows = [await asyncio.to_thread(one, store, request.project, each) if each else None for each in ids]
    missing = [each for each, row in zip(ids, rows, strict=True) if row is None]
    if missing:
        return html(request, "compare.html", ids=ids, missing=[each for each in missing if each])
    first, second = [await read_trace(request, row) for row in rows if row is not None]
    return await asyncio.to_thread(_compared, request, first, second)


def _compared(request: PageRequest, expected: Trace, actual: Trace) -> web.Response:
    diff = compare(expected, actual)
    before = fragment(request, "above.html")
    text = f"<pre>{escape(diff.summary(200))}</pre>"
    return whole(diff_page(diff, before=before, without_script=text, styles=("server.css",)))


ROUTES = [
    Route("GET", "/", "read", _list),
    Route("POST", "/views", "read", _save_view),
    Route("POST", "/views/drop", "read", _drop_view),
    Route("GET", "/traces/{trace_id}", "read", _trace),
    Route("GET", "/of/{name}", "read", _session),
    Route("GET", "/compare", "read", _compare),
]
