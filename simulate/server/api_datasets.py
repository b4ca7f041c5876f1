"""Golden datasets for programs: add a trace, take the files and the labels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulate.errors import InputError
from simulate.local_server import Refused
from simulate.server import golden
from simulate.server.answers import answer_json, audit, file_answer, read_trace
from simulate.server.routes import PageRequest, Route
from simulate.server.store.cases import datasets
from simulate.server.store.find import one

if TYPE_CHECKING:
    from aiohttp import web


async def counts(request: PageRequest) -> web.Response:
    return answer_json(await asyncio.to_thread(datasets, request.context.store, request.project))


async def add(request: PageRequest) -> web.Response:
    given = {name: str(value) for name, value in request.form.items()}
    if wrong := sorted(set(given) - set(_CASE)):
        raise InputError(f"{wrong[0]!r} is not a word of a case", hint=f"words are {', '.join(_CASE)}")
    store, dataset = request.context.store, golden.dataset_name(request.words["name"])
    row = await asyncio.to_thread(one, store, request.project, given.pop("trace_id", ""))
    if row is None:
        raise Refused(404, "there is no trace of this trace_id")
    trace = await read_trace(request, row)
    name, notes = await asyncio.to_thread(
        golden.add_case, store, request.project, dataset, trace, golden.wish_of(given, row.trace_id),
        request.key.name, users=row.tags.get("user", []), trace_id=row.trace_id,
    )  # fmt: skip
    await audit(request, "add to dataset", f"{dataset}: trace {row.trace_id}")
    return answer_json({"case": name, "notes": notes})


async def files(request: PageRequest) -> web.Response:
    name = golden.dataset_name(request.words["name"])
    data = await asyncio.to_thread(golden.dataset_archive, request.context.store, request.project, name)
    await audit(request, "export", f"dataset {name}")
    return file_answer(data, "application/zip", f"{name}.zip")


async def labels(request: PageRequest) -> web.Response:
    name = golden.dataset_name(request.words["name"])
    text = await asyncio.to_thread(golden.labels_file, request.context.store, request.project, name)
    await audit(request, "export", f"labels of dataset {name}")
    return file_answer(text.encode(), "application/yaml", f"{name}.labelled.yaml")


_CASE = {
    "trace_id": "of which trace", "name": "what the case is called", "why": "why it is worth keeping",
    "expect": "items of expect:, one a line; without any, what happened is taken to be right",
    "tools": "the tools that would have been right, apart by commas", "answer": "a meaning it should have",
    "pins": "what tools answer that the trace does not tell: NAME=YAML, one a line",
}  # fmt: skip
_PATH = "/api/v1/datasets/{name}"
ROUTES = [
    Route("GET", "/api/v1/datasets", "read", counts, "golden datasets, and how many cases are in each state"),
    Route("POST", f"{_PATH}/cases", "read", add, "make a case of a trace, to be reviewed", body=_CASE),
    Route("GET", f"{_PATH}/files", "read", files, "the dataset's folder, in a zip"),
    Route("GET", f"{_PATH}/labels", "read", labels, "what people decided, for simulate judge calibrate"),
]
