"""Traces that are there already: files of any format, folders of them, and the folders of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from simulate.errors import InputError
from simulate.run_folder import RUNS, RunFolder
from simulate.trace.files.reader import iter_traces, read
from simulate.trace.otlp.ids import otlp_ids
from simulate.trace.span import Span, Trace


def traces_of(source: str) -> Iterator[Trace]:
    """The traces of a file, a folder, or a run by its folder or id."""
    folder = next((path for path in (Path(source), RUNS / source) if (path / "run.json").is_file()), None)
    if folder is not None:
        yield from run_traces(folder)
    elif Path(source).exists() or source == "-":
        yield from iter_traces(source)
    else:
        raise InputError("there is neither such a file nor such a run", where=source)


def run_traces(folder: Path) -> Iterator[Trace]:
    """The traces of a run's trials; each span says which run, scenario and outcome it belongs to."""
    run = RunFolder.open(folder)
    record = run.read_run()
    for outcome in run.outcomes():
        file = folder / Path(outcome.folder or "").name / "trace.otlp.jsonl"
        if not file.is_file() or not file.stat().st_size:
            continue
        about = {
            "simulate.run.id": record.id, "simulate.scenario": outcome.scenario,
            "simulate.outcome": outcome.status,
        }  # fmt: skip
        for trace in read(file):
            trace.spans = [replace(span, resource={**span.resource, **about}) for span in trace.spans]
            yield trace


def as_otlp(spans: list[Span]) -> list[Span]:
    """The spans with ids of OpenTelemetry, which a server keys them by; those that have others get the ids
    that `otlp_ids` derives of them."""
    made: list[Span] = []
    for span in spans:
        trace_id, span_id, parent_id, attributes = otlp_ids(span)
        made.append(
            replace(span, trace_id=trace_id, span_id=span_id, parent_id=parent_id, attributes=attributes)
        )
    return made
