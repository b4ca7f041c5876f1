"""How far a judge can be trusted: its judgements beside the labels that people gave the same material."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from simulate.errors import EnvironmentFault, Fault, FileProblems, InputError, Problem
from simulate.model.base import Strict
from simulate.model.evaluator_names import known_evaluators
from simulate.model.loading.problems import problems_of
from simulate.model.loading.yaml_reader import Document, read_documents
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_list
from simulate.model.text import shorten
from simulate.model.transcript import ToolUse, Utterance
from simulate.model.units import AsWritten, Data
from simulate.scoring.evaluators.judged import as_question
from simulate.scoring.evaluators.prompts import Prompt, prompt
from simulate.scoring.evaluators.scoring import evaluators
from simulate.scoring.judge.agreement import Agreement
from simulate.scoring.judge.question import CANNOT_TELL, Judgement
from simulate.trace.reading import ToolCall

if TYPE_CHECKING:
    from simulate.scoring.judge import Judge

SAID = {"yes": "it said this", "no": "it did not say this"}


def _lines(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Returned(Strict):
    """What a tool of the agent returned."""

    tool: AsWritten
    arguments: dict[str, Data] = Field(default_factory=dict[str, Any])
    result: Data = None


class Labelled(Strict):
    """One thing that people judged: a meaning (``said`` and what the ``agent`` said), or one question of an
    ``evaluator`` and its ``material``, as the judge sees it."""

    label: AsWritten
    """What people say."""
    name: AsWritten | None = None
    because: AsWritten | None = None
    """Why people say so; for people, never shown to the judge."""
    said: AsWritten | None = None
    agent: Annotated[list[AsWritten], BeforeValidator(_lines)] = Field(default_factory=list[str])
    tools: list[Returned] = Field(default_factory=list[Returned])
    evaluator: AsWritten | None = None
    material: dict[str, Data] = Field(default_factory=dict[str, Any])

    @property
    def question(self) -> str:
        """What kind of question it is; those of one kind share their labels."""
        return self.evaluator or "said"


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """A labelled thing with its place in the file, ``FILE:LINE``, and a name for people."""

    labelled: Labelled
    where: str
    name: str


@dataclass(slots=True)
class Judged:
    """What the judge made of a case; ``fault`` says why it made nothing of it."""

    case: LabelledCase
    judgement: Judgement | None = None
    fault: Fault | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether it says what people say; None where it said nothing."""
        return None if self.judgement is None else self.judgement.label == self.case.labelled.label


def load(path: Path, prompts: Path | None = None) -> list[LabelledCase]:
    """The labelled cases of a file: YAML, one mapping with ``cases:``, or one case a document; JSON lines,
    one case a line. Raises FileProblems with all that is wrong: an unknown evaluator or label, a case that
    asks nothing, material that people labelled in two ways; InputError where it holds no case."""
    problems: list[Problem] = []
    cases: list[LabelledCase] = []
    for document, given, place in _documents(path):
        try:
            labelled = Labelled.model_validate(given)
        except ValidationError as error:
            problems += problems_of(error, Labelled, _at(document, place))
            continue
        line, _ = document.place(place)
        message = _wrong(labelled, prompts)
        if message is not None:
            problems.append(document.problem(place, message))
        cases.append(LabelledCase(labelled, f"{document.file}:{line}", _name(labelled)))
    problems += _contradictions(cases)
    if problems:
        raise FileProblems(problems)
    if not cases:
        raise InputError("it holds no case", where=str(path), hint="docs/judge.md shows how one looks")
    return cases


def _name(one: Labelled) -> str:
    if one.said is not None:
        return shorten(one.name or f"{one.said}: “{' '.join(one.agent)}”", 90)
    return shorten(one.name or str(next(iter(one.material.values()), "")), 90)


def _documents(path: Path) -> list[tuple[Document, Any, list[str | int]]]:
    """Each case as data, with its document and its path in there."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read it: {error.strerror or error}", where=str(path)) from error
    if path.suffix == ".jsonl":
        data = _as_documents(data, str(path))
    found: list[tuple[Document, Any, list[str | int]]] = []
    for document in read_documents(data, str(path)):
        whole = document.mapping()
        cases: Any = None if whole is None else whole.get("cases")
        if whole is not None and set(whole) == {"cases"} and is_list(cases):
            found += [(document, one, ["cases", at]) for at, one in enumerate(cases)]
        else:
            found.append((document, document.value, []))
    return found


def _as_documents(data: bytes, file: str) -> bytes:
    """JSON lines as YAML documents; each stays in its line, so that a problem is told at its own."""
    lines: list[str] = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            # JSON writes an emoji as two halves, which YAML does not put together
            told = "---" if not line.strip() else f"--- {json.dumps(json.loads(line), ensure_ascii=False)}"
            told.encode()
        except UnicodeEncodeError:
            raise FileProblems([Problem("half a character (of an emoji, say)", file, number)]) from None
        except (ValueError, RecursionError) as error:
            raise FileProblems([Problem(f"not a line of JSON: {error}", file, number)]) from None
        lines.append(told)
    return "\n".join(lines).encode()


def _at(document: Document, place: Sequence[str | int]) -> Document:
    """The part of a document at ``place``, as a document."""
    node, value = document.node, document.value
    for step in place:
        value = value[step]
        if isinstance(step, int):
            node = node.value[step]
        else:
            node = next(child for key, child in node.value if key.value == step)
    return Document(document.file, value, node)


def _wrong(one: Labelled, prompts: Path | None) -> str | None:
    """What keeps a case from being asked; None where nothing does."""
    if (one.said is None) == (one.evaluator is None):
        return "a case has either `said` with `agent`, or `evaluator` with `material`"
    if one.said is not None:
        if not one.agent or one.material:
            return "`said` needs what the `agent` said, and takes no `material`"
        labels: set[str] = set(SAID)
    else:
        if one.agent or one.tools:
            return "`evaluator` takes `material`, as the judge is shown it; not `agent` or `tools`"
        try:
            asked = question_of(one.evaluator or "", prompts)
        except ValueError as error:
            return str(error)
        labels = set(asked.labels)
        if not one.material or (asked.quote_from and not set(asked.quote_from) & set(one.material)):
            return f"`material` needs {' or '.join(asked.quote_from or ('what is to be judged',))}"
    if one.label not in labels | {CANNOT_TELL}:
        return (
            f'"{one.label}" is not a label of {one.question}{did_you_mean(one.label, [*labels, CANNOT_TELL])}'
        )
    return None


def question_of(evaluator: str, prompts: Path | None = None) -> Prompt:
    """The question that an evaluator asks a judge. Raises ValueError where there is no such evaluator, or it
    asks none."""
    known_evaluators({evaluator: None})
    asks = evaluators()[evaluator]().prompt if ":" not in evaluator else None
    if asks is None:
        raise ValueError(f"{evaluator} asks no judge; there is nothing to calibrate")
    return prompt(asks, folder=prompts)


def _contradictions(cases: Sequence[LabelledCase]) -> list[Problem]:
    """The same thing labelled twice: in two ways it is a contradiction, in one it would count double."""
    first: dict[str, LabelledCase] = {}
    found: list[Problem] = []
    for case in cases:
        one = case.labelled
        key = json.dumps(
            one.model_dump(exclude={"label", "name", "because"}, mode="json"), sort_keys=True, default=str
        )
        other = first.setdefault(key, case)
        if other is case:
            continue
        file, _, line = case.where.rpartition(":")
        message = f"the same stands at {other.where}"
        if other.labelled.label != one.label:
            message += f", labelled “{other.labelled.label}” there and “{one.label}” here"
        found.append(Problem(message, file, int(line)))
    return found


async def judge_all(
    cases: Sequence[LabelledCase], judge: Judge, done: Callable[[Judged], None] = lambda _: None
) -> list[Judged]:
    """Every case by the judge, side by side; ``done`` is called as each ends. A judge that cannot be reached
    ends it: the cases that were not asked yet carry the same fault, the others stay."""
    down: list[EnvironmentFault] = []
    gate = asyncio.Semaphore(judge.concurrency)

    async def one(case: LabelledCase) -> Judged:
        async with gate:
            found = Judged(case)
            try:
                if down:
                    raise down[0]
                found.judgement = await _ask(case.labelled, judge)
            except EnvironmentFault as fault:
                down.append(fault)
                found.fault = fault
            except Fault as fault:
                found.fault = fault
            done(found)
            return found

    return list(await asyncio.gather(*(one(case) for case in cases)))


async def _ask(one: Labelled, judge: Judge) -> Judgement:
    if one.said is not None:
        spoken = [Utterance("agent", text, turn, 0.0, 0.0) for turn, text in enumerate(one.agent, start=1)]
        calls = [ToolCall.of(ToolUse(use.tool, dict(use.arguments), use.result)) for use in one.tools]
        return await judge.means(one.said, spoken, calls)
    assert one.evaluator is not None
    return await judge.classify(as_question(question_of(one.evaluator, judge.prompts), one.material))


def by_question(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Those of one question together, in the order of the file."""
    found: dict[str, list[Judged]] = {}
    for one in judged:
        found.setdefault(one.case.labelled.question, []).append(one)
    return found


def agreement(judged: Sequence[Judged]) -> Agreement:
    """People's labels beside the judge's, where it gave one."""
    pairs = ((one.case.labelled.label, one.judgement.label) for one in judged if one.judgement is not None)
    return Agreement(tuple(pairs))


def as_data(judged: Sequence[Judged], model: str) -> dict[str, Any]:
    """All of it as plain data for JSON."""
    questions = [_question(name, found) for name, found in by_question(judged).items()]
    return {"judge": model, "questions": questions, "cases": [_case(one) for one in judged]}


def _question(name: str, judged: Sequence[Judged]) -> dict[str, Any]:
    found = agreement(judged)
    beyond = found.kappa()
    share = found.share if found.pairs else None
    return {
        "question": name,
        "cases": len(judged),
        "judged": len(found.pairs),
        "agreed": found.agreed,
        "agreement": share and {"value": share[0], "low": share[1], "high": share[2]},
        "kappa": beyond and {"value": beyond.value, "low": beyond.low, "high": beyond.high},
        "labels": [
            {
                "label": one.label, "given": one.given, "found": one.found, "judged": one.judged,
                "recall": one.recall, "precision": one.precision, "taken_for": one.taken_for,
                "weak": one.weak,
            }
            for one in found.qualities()
        ],
        "confusion": {"labels": found.labels, "rows": found.matrix()},
    }  # fmt: skip


def _case(one: Judged) -> dict[str, Any]:
    told: Mapping[str, Any] = {}
    if one.judgement is not None:
        judgement = one.judgement
        told = {
            "judge": judgement.label, "confidence": judgement.confidence, "method": judgement.method,
            "reason": judgement.reason, "evidence": judgement.evidence, "calls": judgement.calls,
            "cached": judgement.cached,
        }  # fmt: skip
    return {
        "name": one.case.name,
        "where": one.case.where,
        "question": one.case.labelled.question,
        "people": one.case.labelled.label,
        **told,
        "fault": None if one.fault is None else {"side": one.fault.side, "message": one.fault.message},
    }
