"""What `simulate score` scores: traces, runs and golden datasets, each trace with what is right for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulate.errors import FileProblems, InputError, Problem
from simulate.interfaces.render.run_reports import load_run, traces_of
from simulate.model.loading.problems import problems_of
from simulate.model.loading.project import Project
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.reference import Reference
from simulate.model.units import as_written
from simulate.run_folder import RUNS, find_run
from simulate.scoring.datasets import Dataset
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.trace.belonging import marks_of
from simulate.trace.reading import ToolCall
from simulate.trace.span import Trace


class References:
    """What is right, for all traces or for each: the documents of a YAML or JSON file. A document with
    ``trace:`` (an id, or its beginning) is for that trace, one without for all others."""

    def __init__(self) -> None:
        self._everywhere = Reference()
        self._by_trace: dict[str, Reference] = {}
        self._used: set[str] = set()

    @classmethod
    def load(cls, path: Path) -> References:
        """Raises FileProblems, with all that is wrong at its line."""
        from pydantic import ValidationError

        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read it: {error.strerror or error}", where=str(path)) from error
        found = cls()
        problems: list[Problem] = []
        plain = 0
        for document in read_documents(data, str(path)):
            raw = document.mapping()
            if raw is None:
                problems.append(document.problem([], "a reference is a mapping: answer, tools, goal …"))
                continue
            trace = raw.pop("trace", None)
            try:
                reference = Reference.model_validate(raw, by_alias=True, by_name=False)
            except ValidationError as error:
                problems += problems_of(error, Reference, document)
                continue
            key = None if trace is None else str(as_written(trace))
            if key is None:
                plain += 1
                found._everywhere = reference
            if key in found._by_trace or plain > 1:
                problems.append(document.problem([], f"a second reference for {key or 'all traces'}"))
            if key is not None:
                found._by_trace[key] = reference
        if problems:
            raise FileProblems(problems)
        return found

    def of(self, *ids: str) -> Reference:
        """What is right for a trace, or for the conversation that goes by any of these ids."""
        for key, reference in self._by_trace.items():
            if any(each.startswith(key) for each in ids):
                self._used.add(key)
                return reference
        return self._everywhere

    @property
    def empty(self) -> bool:
        """Nobody has said what is right."""
        return not self._by_trace and self._everywhere == Reference()

    @property
    def unused(self) -> list[str]:
        """Traces that are named and were not there."""
        return [key for key in self._by_trace if key not in self._used]


@dataclass(slots=True)
class ScoringCase:
    """One thing to score, with a name for people."""

    name: str
    material: EvaluationContext


Conversations = Callable[[Sequence[str]], Iterable[Trace]]
"""Reads the conversations of trace files and folders of them."""


def cases(
    sources: Sequence[str], references: References, conversations: Conversations
) -> Iterator[ScoringCase]:
    """What the sources hold, one after the other. Raises InputError where that is nothing that can be read.
    ``conversations`` reads those that are trace files."""
    contacts = Project.find().contacts
    for case in _cases(sources, references, conversations):
        case.material.contacts = contacts
        yield case


def _cases(
    sources: Sequence[str], references: References, conversations: Conversations
) -> Iterator[ScoringCase]:
    files: list[str] = []
    for source in sources:
        if is_dataset(source):
            yield from _dataset(source, references)
        elif is_run(source):
            yield from _run(source, references)
        else:
            files.append(source)
    for trace in conversations(files) if files else ():
        ids = list(dict.fromkeys(span.trace_id for span in trace.spans))
        name = f"trace {ids[0]}"
        if len(ids) > 1:
            names = marks_of(trace).ids
            name = f"conversation {next(iter(names), ids[0])}, {len(ids)} traces"
            ids += names
        yield ScoringCase(name, EvaluationContext(trace, references.of(*ids)))


def is_run(source: str) -> bool:
    """Whether a source is a run: its folder, its id, or ``latest``."""
    if is_dataset(source):
        return False
    path = Path(source)
    if any((path / name).is_file() for name in ("run.json", "outcomes.jsonl")):
        return True
    if source != "-" and not path.exists() and (RUNS / source).is_dir():
        return True
    return source == "latest" and not path.exists()


def is_dataset(source: str) -> bool:
    """Whether a source is the folder of a golden dataset."""
    return (Path(source) / "versions.jsonl").is_file()


def run_path(source: str) -> Path:
    """The folder of a run. Raises InputError where there is none."""
    path = Path(source)
    if (path / "outcomes.jsonl").is_file():
        return path
    return find_run(None if source == "latest" else source)


def _run(source: str, references: References) -> Iterator[ScoringCase]:
    """The outcomes of a run that the agent can be held to: one that a simulator or an environment broke says
    nothing of the agent."""
    path = run_path(source)
    _, outcomes = load_run(path)
    load = traces_of(path)
    for outcome in outcomes:
        if outcome.status == "error":
            continue
        trace = load(outcome) or Trace(outcome.trace_id or outcome.conversation.id)
        reference = references.of(trace.trace_id)
        calls = [ToolCall.of(use) for use in outcome.tool_uses] or None
        yield ScoringCase(outcome.key, EvaluationContext(trace, reference, outcome.conversation, calls))


def _dataset(source: str, references: References) -> Iterator[ScoringCase]:
    """The traces that the cases were made from, each with what its case says is right."""
    dataset = Dataset.open(source)
    dataset.check()
    for case in dataset.cases():
        for material in case.materials():
            if not references.empty:
                material.reference = references.of(material.trace.trace_id)
            yield ScoringCase(case.id, material)
