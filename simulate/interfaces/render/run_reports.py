"""All reports of a run, made from its folder once it has ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from simulate.errors import InputError
from simulate.interfaces.render.calls_html import calls_of, write_calls_html
from simulate.interfaces.render.html import Traces, keys, write_html
from simulate.interfaces.render.junit import write_junit
from simulate.interfaces.render.output import write_bytes
from simulate.interfaces.render.terminal import fit, print_report
from simulate.model.json_values import plain, to_json
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.outcome_json import outcome_to_dict
from simulate.model.text import line
from simulate.run_folder import RunFolder
from simulate.trace.conversations import whole_file
from simulate.trace.span import Trace

REPORT = "report.html"


def write_pages(report: Path, record: RunRecord | None, outcomes: Sequence[Outcome], traces: Traces) -> None:
    """The run's page, and beside it that of its calls, where it has some."""
    calls = calls_of(list(zip(keys(outcomes), outcomes, strict=True)))
    page = report.with_name(f"{report.stem}-calls.html")
    write_html(report, record, outcomes, traces, calls=page.name if calls else None)
    if calls:
        write_calls_html(page, record, calls, report)


def write_reports(
    folder: RunFolder,
    record: RunRecord,
    *,
    html: str | None = None,
    junit: str | None = None,
    json: str | None = None,
    stream: IO[str] | None = None,
) -> Path:
    """The terminal's report on ``stream`` (default: stdout), and the files asked for.

    ``html`` defaults to ``report.html`` in the run folder; its path is returned. ``json`` of ``-`` writes the
    outcomes as JSON on ``stream`` instead of the report for people.
    """
    out = sys.stdout if stream is None else stream
    outcomes = list(folder.outcomes())
    report = Path(html or folder.path / REPORT)
    write_pages(report, record, outcomes, traces_of(folder.path))
    if junit is not None:
        write_junit(junit, outcomes, record)
    if json is not None:
        write_bytes(json_report(record, outcomes), json, out)
    if json != "-":
        print_report(outcomes, reliability=record.reliability, stream=out)
        out.write(fit(f"report: {line(report, None)}\n", out))
    return report


def json_report(record: RunRecord | None, outcomes: list[Outcome]) -> bytes:
    """``{"run": …, "outcomes": […]}``, each as in ``run.json`` and ``outcome.json``."""
    return to_json({"run": plain(record), "outcomes": [outcome_to_dict(each) for each in outcomes]}) + b"\n"


def load_run(path: Path) -> tuple[RunRecord | None, list[Outcome]]:
    """What finished in a run folder, also in one that was killed, moved or downloaded."""
    folder = RunFolder(path)
    record = folder.read_run() if (path / "run.json").is_file() else None
    outcomes = list(folder.outcomes())
    if record is None and not outcomes:
        raise InputError(
            "neither run.json nor a finished outcome", where=str(path), hint="is it a run's folder?"
        )
    return record, outcomes


def traces_of(path: Path) -> Callable[[Outcome], Trace | None]:
    """Loads the agent's trace of an outcome from the run folder when asked; None where it left none.

    A trace that cannot be read hides neither the outcome nor the others: its place says why.
    """

    def load(outcome: Outcome) -> Trace | None:
        file = path / Path(outcome.folder or outcome.key).name / "trace.otlp.jsonl"
        if not file.is_file() or not file.stat().st_size:
            return None
        wanted = outcome.trace_id or outcome.conversation.id
        try:
            return whole_file(file, wanted)
        except InputError as error:
            return Trace(wanted, source=str(file), notes=[f"the trace cannot be read: {error.message}"])

    return load
