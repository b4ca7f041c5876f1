"""Golden datasets: what waits to be reviewed, each case, and the forms that make and review it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from simulate.errors import InputError
from simulate.local_server import Refused
from simulate.server import golden
from simulate.server.answers import audit, file_answer, file_name, read_trace, row_of
from simulate.server.make_test import archive_of
from simulate.server.pages.shared import html, link, see
from simulate.server.routes import PageRequest, Route
from simulate.server.store.cases import (
    LABELS,
    REJECTED,
    VERIFIED,
    AnswerLabel,
    KeptCase,
    add_label,
    case_of,
    cases_of,
    datasets,
    labels_of,
    review,
)

if TYPE_CHECKING:
    from aiohttp import web

_REVIEWS = {"accept": VERIFIED, "reject": REJECTED}


async def _all(request: PageRequest) -> web.Response:
    found = await asyncio.to_thread(datasets, request.context.store, request.project)
    return html(request, "datasets.html", datasets=found)


async def _one(request: PageRequest) -> web.Response:
    name = golden.dataset_name(request.words["name"])
    store = request.context.store
    found = await asyncio.to_thread(cases_of, store, request.project, name)
    labels = await asyncio.to_thread(labels_of, store, request.project, name)
    return html(request, "dataset.html", name=name, cases=found, labels=len(labels))


async def _kept(request: PageRequest) -> KeptCase:
    words = request.words
    found = await asyncio.to_thread(
        case_of, request.context.store, request.project, words["name"], words["case"]
    )
    if found is None:
        raise Refused(404, "there is no such case; a correction may have given it another name")
    return found


async def _case(request: PageRequest) -> web.Response:
    case = await _kept(request)
    store = request.context.store
    labels = await asyncio.to_thread(labels_of, store, request.project, case.dataset, case.id)
    answers = await asyncio.to_thread(golden.answers_of, case)
    told = request.query.get("notes", "").splitlines()
    return html(request, "case.html", case=case, labels=labels, answers=answers, notes=told, choices=LABELS)


async def _add(request: PageRequest) -> web.Response:
    row = await row_of(request)
    trace = await read_trace(request, row)
    dataset = golden.dataset_name(_text(request, "dataset"))
    wish = golden.wish_of(_texts(request), row.trace_id)
    name, notes = await asyncio.to_thread(
        golden.add_case, request.context.store, request.project, dataset, trace, wish, _who(request),
        users=row.tags.get("user", []), trace_id=row.trace_id,
    )  # fmt: skip
    await audit(request, "add to dataset", f"{dataset}: trace {row.trace_id}")
    return _to(dataset, name, notes)


async def _correct(request: PageRequest) -> web.Response:
    """The case made anew of its trace, with other expectations."""
    case = await _kept(request)
    given = {"name": golden.title_of(case), "why": str(case.origin.get("why") or "")}
    wish = golden.wish_of({**given, **_texts(request)}, case.trace_id)
    trace = await asyncio.to_thread(golden.trace_of_case, case)
    name, notes = await asyncio.to_thread(
        golden.add_case, request.context.store, request.project, case.dataset, trace, wish, _who(request),
        users=case.users, trace_id=case.trace_id, instead_of=case,
    )  # fmt: skip
    await audit(request, "correct a case", f"{case.dataset}: {case.name}")
    return _to(case.dataset, name, notes)


async def _review(request: PageRequest) -> web.Response:
    case = await _kept(request)
    state = _REVIEWS.get(_text(request, "verdict"), "")
    await asyncio.to_thread(review, request.context.store, case, state, _who(request))
    await audit(request, "review", f"{case.dataset}: {case.name} is {state}")
    return see(f"/datasets/{quote(case.dataset)}")


async def _label(request: PageRequest) -> web.Response:
    case = await _kept(request)
    said = " ".join(_text(request, "said").split())
    answers = await asyncio.to_thread(golden.answers_of, case)
    given = AnswerLabel(said, answers, _text(request, "label"), _who(request))
    await asyncio.to_thread(add_label, request.context.store, case, given)
    return _to(case.dataset, case.name, [])


async def _test(request: PageRequest) -> web.Response:
    row = await row_of(request)
    found = await read_trace(request, row)
    data = await asyncio.to_thread(archive_of, found, _text(request, "name") or row.name)
    await audit(request, "make a test", f"trace {row.trace_id}")
    return file_answer(data, "application/zip", f"{file_name(row)}.zip")


def _to(dataset: str, case: str, notes: list[str]) -> web.Response:
    return see(link(f"/datasets/{quote(dataset)}/{quote(case, safe='')}", notes="\n".join(notes)[:1000]))


def _text(request: PageRequest, name: str) -> str:
    return str(request.form.get(name) or "").strip()


def _texts(request: PageRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.form.items()}


def _who(request: PageRequest) -> str:
    """Whoever has a key is who the key says; on a server without keys, who they say."""
    key = request.key
    who = " ".join(_text(request, "by").split())[:80] if key.id == "local" else key.name
    if not who:
        raise InputError("who are you?", hint="give a name: what is added or decided here carries one")
    return who


ROUTES = [
    Route("GET", "/datasets", "read", _all),
    Route("GET", "/datasets/{name}", "read", _one),
    Route("GET", "/datasets/{name}/{case}", "read", _case),
    Route("POST", "/datasets/{name}/{case}/review", "read", _review),
    Route("POST", "/datasets/{name}/{case}/expect", "read", _correct),
    Route("POST", "/datasets/{name}/{case}/label", "read", _label),
    Route("POST", "/traces/{trace_id}/case", "read", _add),
    Route("POST", "/traces/{trace_id}/test", "read", _test),
]
