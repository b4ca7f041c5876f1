"""Golden datasets on the server: cases made of its traces, reviewed here, and run from their files."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from simulate.errors import InputError
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.shapes import object_of
from simulate.model.units import plain
from simulate.scoring.datasets import Dataset, Wish, add
from simulate.scoring.datasets.store import dump
from simulate.scoring.datasets.wishes import parse_expectation, parse_pin
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.server.store.cases import (
    REJECTED,
    VERIFIED,
    KeptCase,
    cases_of,
    labels_of,
    put_case,
)
from simulate.server.store.store import Store
from simulate.trace.files.reader import read
from simulate.trace.span import Trace

USUAL = "golden"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,59}")


def dataset_name(text: str) -> str:
    """The name of a dataset, which is also that of a folder. Raises InputError."""
    name = text.strip() or USUAL
    if _NAME.fullmatch(name) is None:
        raise InputError(
            f"{name[:60]!r} is not the name of a dataset", hint="use letters, digits, -, _ and ."
        )
    return name


def wish_of(form: Mapping[str, str], source: str) -> Wish:
    """What the fields of a form ask for: ``expect`` and ``pins`` have an item a line, ``tools`` are apart by
    commas. Raises InputError, naming the field."""
    tools = [each.strip() for each in form.get("tools", "").split(",") if each.strip()]
    return Wish(
        expect=[parse_expectation(line, "expect") for line in _lines(form.get("expect", ""))],
        answer=form.get("answer", "").strip() or None,
        tools=tools or None,
        pins=dict(parse_pin(line, "pins") for line in _lines(form.get("pins", ""))),
        name=" ".join(form.get("name", "").split())[:80] or None,
        why=form.get("why", "").strip() or None,
        source=source,
    )


def _lines(text: str) -> list[str]:
    return [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]


def add_case(
    store: Store, project: str, dataset: str, trace: Trace, wish: Wish, by: str, *,
    users: Sequence[str], trace_id: str, instead_of: KeptCase | None = None,
) -> tuple[str, list[str]]:  # fmt: skip
    """Make a case of a trace: its name, and what is to be known about it. ``users`` are those whom the trace
    is about. A case that is there already stays as it is.

    Raises InputError where the trace does not say what was said, or where no agent could pass."""
    there = [each for each in cases_of(store, project, dataset) if each.state != REJECTED]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Dataset(Path(scratch) / dataset)
        _write(folder, [each for each in there if instead_of is None or each.id != instead_of.id])
        (added,) = add(folder, [trace], wish)
        if added.case is None:
            raise InputError("; ".join(added.notes))
        if not added.is_new:
            return added.case, ["it is there already"]
        case = folder.case(added.case)
        kept = {
            "dataset": dataset, "name": case.id, "trace_id": trace_id, "added_by": by,
            "scenario": case.scenario.read_text("utf-8"), "data": case.trace.read_bytes(),
            "origin": orjson.dumps(case.origin, default=str).decode(),
        }  # fmt: skip
    put_case(store, project, kept, users, None if instead_of is None else instead_of.id)
    return added.case, list(added.notes)


def _write(folder: Dataset, cases: Iterable[KeptCase]) -> None:
    """The files of the cases, as a version."""
    count = 0
    for case in cases:
        verified = None
        if case.state == VERIFIED and case.reviewed_ns is not None:
            on = datetime.fromtimestamp(case.reviewed_ns / 1e9, UTC)
            verified = {"by": case.reviewed_by, "on": f"{on:%Y-%m-%d}"}
        folder.put(
            case.name, scenario=case.scenario, origin={**case.origin, "verified": verified}, trace=case.data
        )
        count += 1
    if count:
        folder.record(f"{count} from the server")


def dataset_archive(store: Store, project: str, dataset: str) -> bytes:
    """The dataset's folder in a zip, without rejected cases; `simulate dataset run` reads it. Raises
    InputError where there is none."""
    cases = [each for each in cases_of(store, project, dataset) if each.state != REJECTED]
    if not cases:
        raise InputError(f"the dataset {dataset} has no case", hint="the page of a trace adds one")
    made = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        folder = Path(scratch) / dataset
        _write(Dataset(folder), sorted(cases, key=lambda case: case.id))
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(path, f"{dataset}/{path.relative_to(folder)}")
    return made.getvalue()


def labels_file(store: Store, project: str, dataset: str) -> str:
    """The labels as `simulate judge calibrate` reads them. Raises InputError where there is none."""
    found = labels_of(store, project, dataset)
    if not found:
        raise InputError(f"nobody labelled an answer of {dataset}", hint="the page of a case has a form")
    made = [
        {"said": each.said, "agent": each.agent, "label": each.label, "because": f"decided by {each.by}"}
        for each in found
    ]
    return dump({"cases": made})


def title_of(case: KeptCase) -> str:
    """What the case is called, without the fingerprint that `add` puts behind it."""
    (document,) = read_documents(case.scenario.encode(), case.name)
    return str(object_of(plain(document.value)).get("name") or "").rpartition(" (")[0]


def answers_of(case: KeptCase) -> list[str]:
    """What the agent said in the trace of a case, a line each."""
    return [each.text for each in EvaluationContext(trace_of_case(case)).said if each.speaker == "agent"]


def trace_of_case(case: KeptCase) -> Trace:
    """The redacted trace that a case was made from."""
    (trace,) = read(io.BytesIO(case.data))
    return trace
