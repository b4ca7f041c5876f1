"""The JSON API: what the pages show, for programs."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

from simulate.errors import InputError
from simulate.model.shapes import is_object
from simulate.server import api_datasets, dashboard
from simulate.server.answers import answer_json, audit, file_answer, file_name, read_trace, row_json, row_of
from simulate.server.make_test import archive_of
from simulate.server.routes import PageRequest, Route, openapi
from simulate.server.store import feedback
from simulate.server.store.find import facets, feedback_of, find, scores_of
from simulate.server.store.retention import forget_user
from simulate.trace.find import moment
from simulate.trace.otlp.encode import to_json as to_otlp

if TYPE_CHECKING:
    from aiohttp import web

_SEARCH = {
    "filter": "what a trace or one of its spans is like: user=u-7 kind=TOOL error",
    "text": "words that are in it",
    "since": "an age such as 2h or 7d, or a time",
    "until": "a time",
    "limit": "at most so many, 50 unless given",
    "before": "the `next` of the page before",
}


async def traces(request: PageRequest) -> web.Response:
    wanted = request.wanted()
    found = await asyncio.to_thread(find, request.context.store, wanted)
    scored = await asyncio.to_thread(scores_of, request.context.store, found.rows)
    rows = [row_json(row) | {"scores": scored[row.id]} for row in found.rows]
    following = None if found.next is None else f"{found.next[0]}-{found.next[1]}"
    return answer_json({"traces": rows, "next": following, "unseen": found.unseen})


async def facet_counts(request: PageRequest) -> web.Response:
    counts = await asyncio.to_thread(facets, request.context.store, request.wanted(), 50)
    return answer_json({name: dict(values) for name, values in counts.items()})


async def trace(request: PageRequest) -> web.Response:
    row = await row_of(request)
    said = await asyncio.to_thread(feedback_of, request.context.store, row.id)
    scored = await asyncio.to_thread(scores_of, request.context.store, [row])
    return answer_json({**row_json(row), "scores": scored[row.id], "feedback": said})


async def trace_otlp(request: PageRequest) -> web.Response:
    row = await row_of(request)
    found = await read_trace(request, row)
    await audit(request, "export", f"trace {row.trace_id}")
    return answer_json(to_otlp(found.spans), name=f"{file_name(row)}.otlp.json")


async def trace_test(request: PageRequest) -> web.Response:
    row = await row_of(request)
    found = await read_trace(request, row)
    data = await asyncio.to_thread(archive_of, found, request.query.get("name") or row.name)
    await audit(request, "make a test", f"trace {row.trace_id}")
    return file_answer(data, "application/zip", f"{file_name(row)}.zip")


async def give_feedback(request: PageRequest) -> web.Response:
    given = request.form
    if not is_object(given):
        raise InputError("feedback is an object", hint='send {"trace_id": "…", "rating": "down"}')
    known = {"rating", "trace_id", "session", "user", "at", "comment"}
    wrong = sorted(set(given) - known)
    texts = {name: str(given[name]) for name in known - {"at"} if given.get(name) is not None}
    if wrong or "rating" not in texts:
        told = f"{wrong[0]!r} is not a word of feedback" if wrong else "the feedback has no rating"
        raise InputError(told, hint=f"words are {', '.join(sorted(known))}")
    at = moment(str(given["at"]), "at") if given.get("at") is not None else None
    store = request.context.store
    joined = await asyncio.to_thread(
        feedback.give, store, request.project, feedback.Feedback(**texts, at_ns=at), store.names
    )
    return answer_json({"trace_id": joined})


async def forget(request: PageRequest) -> web.Response:
    user = str(request.form.get("user") or "")
    if not user:
        raise InputError("whom to forget?", hint='send {"user": "…"}')
    store = request.context.store
    await asyncio.to_thread(request.context.assembler.step, everything=True)
    gone = await asyncio.to_thread(forget_user, store, user, store.names, request.project)
    await audit(request, "forget", "a user")  # who, is what is to be forgotten
    return answer_json({"traces": gone, "kept": "sums of hours, which name nobody"})


async def dashboard_data(request: PageRequest) -> web.Response:
    days = dashboard.days_of(request.query.get("days"))
    return answer_json(await asyncio.to_thread(dashboard.data, request.context.store, request.project, days))


async def status(request: PageRequest) -> web.Response:
    context = request.context
    return answer_json(
        {
            "version": version("simulate-agents"), "problem": "; ".join(context.problems.values()) or None,
            "waiting_spans": context.assembler.waiting, "since_start": asdict(context.intake.counts),
            "cannot_be_put_away": len(context.assembler.failed),
            "judge": None if context.judging is None else asdict(context.judging.counts),
        }
    )  # fmt: skip


async def described(request: PageRequest) -> web.Response:
    return answer_json(openapi(ROUTES, version("simulate-agents")))


_FEEDBACK = {
    "rating": "up or down", "trace_id": "of this trace", "session": "of the last trace of this session",
    "user": "of the last trace of this user before `at`", "at": "when it was given", "comment": "in words",
}  # fmt: skip
ROUTES = [
    Route("GET", "/api/v1/traces", "read", traces, "find traces, newest first", _SEARCH),
    Route("GET", "/api/v1/facets", "read", facet_counts, "values of tags among the traces found", _SEARCH),
    Route("GET", "/api/v1/traces/{trace_id}", "read", trace, "one trace in short"),
    Route("GET", "/api/v1/traces/{trace_id}/otlp", "read", trace_otlp, "its spans as OTLP JSON"),
    Route(
        "GET", "/api/v1/traces/{trace_id}/test", "read", trace_test,
        "a scenario and a cassette made of it, in a zip", {"name": "what the scenario is called"},
    ),
    Route(
        "GET", "/api/v1/dashboard", "read", dashboard_data, "sums, quantiles and scores over time",
        {"days": "how many, 7 unless given"},
    ),
    Route("GET", "/api/v1/status", "read", status, "what came, what waits, what is wrong"),
    Route("GET", "/api/openapi.json", "read", described, "this description"),
    *api_datasets.ROUTES,
    Route("POST", "/v1/feedback", "send", give_feedback, "a rating of an answer", body=_FEEDBACK),
    Route("POST", "/api/v1/forget", "manage", forget, "remove all traces of a user", body={"user": "whom"}),
]  # fmt: skip
