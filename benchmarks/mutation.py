"""Do diff and checks tell what changed, in every dialect's own spelling?

python -m benchmarks.mutation            every fixture
python -m benchmarks.mutation NAME…      some, with each answer that is not right
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from benchmarks import mutation_edits as edits
from benchmarks import mutation_spans as spans
from benchmarks.mutation_edits import Call, Truth
from simulate.model.expect import Called, NotCalled
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation
from simulate.scoring.checks.check import Evidence, check_all
from simulate.trace.diff import Diff, compare
from simulate.trace.files.reader import read
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, Trace

FIXTURES = Path(__file__).parents[1] / "fixtures"
Answer = Literal["right", "openly unknown", "something else", "silently green"]
ANSWERS: tuple[Answer, ...] = ("right", "openly unknown", "something else", "silently green")
Expected = tuple[Any, tuple[str, ...]]
NEW_NAME = "fetch_parcel"
NEW_WORDS = "Please call us tomorrow between nine and five."


@dataclass(frozen=True, slots=True)
class Told:
    """What one edit led to."""

    fixture: str
    edit: str
    by: Literal["diff", "checks"]
    answer: Answer
    detail: str


@dataclass(frozen=True, slots=True)
class Case:
    """One edit of one fixture. ``paths`` are the changes of which one must be told; none: no change at all.
    ``unknown`` are words of which one must stand in what could not be compared."""

    edit: str
    before: str
    after: str
    paths: Callable[[str], bool] | None
    unknown: tuple[str, ...] = ()
    checks: tuple[Expected, ...] = ()
    """Expectations of what came after, each with the verdicts that are right."""


def names() -> list[str]:
    """The fixtures that have a truth."""
    return sorted(path.name.removesuffix(".otlp.jsonl") for path in (FIXTURES / "traces").glob("*.jsonl"))


def cases(name: str) -> Iterator[Case]:
    """Every edit that this fixture can have."""
    text = (FIXTURES / "traces" / f"{name}.otlp.jsonl").read_text()
    truth: Truth = yaml.safe_load((FIXTURES / "truth" / f"{name}.yaml").read_text())
    calls = edits.calls_of(truth)
    for at in range(3):
        yield Case("a span twice", text, spans.doubled(text, at * 7), None)
    yield Case("spans in another order", text, spans.turned(text), None)
    if (after := spans.one_call_id(text)) is not None:
        yield Case("one id for all calls", text, after, None, checks=tuple(_still(calls)))
    for words in edits.words_of(truth):
        if (after := edits.with_other_words(text, words, NEW_WORDS)) is not None and words == truth.get(
            "final"
        ):
            yield Case(
                "the answer reworded", text, after, lambda path: path.startswith("answers"), ("answers",)
            )
    if calls or edits.words_of(truth):
        dark = spans.without(text, truth)
        yield Case("content removed", text, dark, lambda path: True, ("",))
        yield Case("content removed from both", dark, dark, lambda path: False, ("",))
    for call in _once(calls):
        yield from _of_call(text, truth, calls, call)
    for one, other in itertools.pairwise(calls):
        both = (one.result, other.result)
        if one.name == other.name and None not in both and both[0] != both[1]:
            after = edits.with_results(text, truth, [both, (both[1], both[0])])
            if after is not None:
                yield Case(
                    "two results swapped",
                    text,
                    after,
                    _tool(one.name, "result", "error"),
                    ("result", "tools were"),
                )


def _once(calls: Sequence[Call]) -> list[Call]:
    """Calls of one tool with equal arguments cannot be told apart by an edit."""
    return [
        call for call in calls
        if sum(one.name == call.name and one.arguments == call.arguments for one in calls) == 1
    ]  # fmt: skip


def _of_call(text: str, truth: Truth, calls: list[Call], call: Call) -> Iterator[Case]:
    same = [one for one in calls if one.name == call.name]
    called = Called.model_validate({"called": call.name, "with": call.arguments})
    for key, value in call.arguments.items():
        if isinstance(value, str) and len(value) > 3 and value not in edits.words_of(truth):
            new = "8" + value[1:] if value.isdigit() else f"{value} and more"
            after = edits.with_other_argument(text, truth, call, key, new)
            if after is None:
                continue
            yield Case(
                "another argument", text, after,
                _tool(call.name, "arguments", "count"), ("argument", "tools were"),
                (
                    (called, ("failed",)),
                    (Called.model_validate({"called": call.name, "with": {key: new}}), ("passed",)),
                    (NotCalled.model_validate({"not_called": call.name, "with": {key: new}}), ("failed",)),
                ),
            )  # fmt: skip
            break
    new_result = _other(call)
    if new_result is not None and not _spoken(call.result, truth):
        after = edits.with_results(text, truth, [(call.result, new_result)])
        if after is not None:
            yield Case(
                "another result", text, after, _tool(call.name, "result", "error"), ("result", "tools were")
            )
    after = spans.without_call(text, truth, call)
    if after is not None:
        some = called if len(same) > 1 else Called.model_validate({"called": call.name})
        not_some = NotCalled.model_validate(
            {"not_called": call.name} | ({"with": call.arguments} if len(same) > 1 else {})
        )
        path = _tool(call.name, "count")
        yield Case("a call dropped", text, after, path, ("tools were", "argument"), ((some, ("failed",)),))
        yield Case("a call added", after, text, path, ("tools were", "argument"), ((not_some, ("failed",)),))
    after = spans.repeated(text, call)
    if after is not None:
        times = Called.model_validate({"called": call.name, "times": len(same)})
        yield Case(
            "a call made twice",
            text,
            after,
            _tool(call.name, "count", "attempts"),
            ("tools were",),
            ((times, ("failed",)),),
        )
    bare = call.name.rsplit("__", 1)[-1]
    if call is same[0] and "_" in bare and (after := edits.with_other_name(text, bare, NEW_NAME)):
        old, new = ({"called": call.name}, {"not_called": NEW_NAME})
        yield Case(
            "a tool renamed", text, after, _tool(NEW_NAME, "count"), ("tools were",),
            ((Called.model_validate(old), ("failed",)), (NotCalled.model_validate(new), ("failed",))),
        )  # fmt: skip


def _still(calls: Sequence[Call]) -> Iterator[Expected]:
    for call in calls:
        if not call.gaps & {"arguments", "tools"}:
            yield Called.model_validate({"called": call.name, "with": call.arguments}), ("passed",)


def _tool(name: str, *ends: str) -> Callable[[str], bool]:
    bare = name.rsplit("__", 1)[-1].replace("-", "_").casefold()
    return lambda path: (
        path.startswith("tools.")
        and path.rsplit(".", 1)[-1] in ends
        and bare in path.replace("-", "_").casefold()
    )


def _spoken(result: Any, truth: Truth) -> bool:
    return isinstance(result, str) and any(
        result in words or words in result for words in edits.words_of(truth)
    )


def _other(call: Call) -> Any:
    """Another result of the same shape."""
    result: Any = call.result
    if isinstance(result, str):
        return f"{result} But not really." if len(result) > 12 else None
    if isinstance(result, dict):
        held = cast("dict[str, Any]", result)
        free = [k for k, v in held.items() if isinstance(v, str) and v not in call.arguments.values()]
        return {**held, free[0]: "lost at sea"} if free else None
    return None


# --- what is told ------------------------------------------------------------------------------------


def told(name: str, case: Case, folder: Path) -> Iterator[Told]:
    """What diff and checks say of it."""
    before, after = (
        _traces(case.before, folder / "before.otlp.jsonl"),
        _traces(case.after, folder / "after.otlp.jsonl"),
    )
    ids = dict.fromkeys([*before, *after])
    edited = {one for one in ids if _spans(before.get(one)) != _spans(after.get(one))}
    looked_at = edited if case.paths is not None and edited else ids
    diffs = [compare(before[one], after[one]) for one in looked_at if one in before and one in after]
    gone = len(before) != len(after)
    yield Told(name, case.edit, "diff", *_of_diffs(case, diffs, gone))
    for expectation, right in case.checks:
        status, fact = _verdict(
            {one: TraceReading(trace) for one, trace in after.items()}, edited, expectation
        )
        answer: Answer = (
            "right" if status in right
            else "openly unknown" if status == "not_run"
            else "silently green" if status == "passed" else "something else"
        )  # fmt: skip
        yield Told(
            name, case.edit, "checks", answer, f"{expectation.model_dump(exclude_defaults=True)}: {fact}"
        )


def _traces(text: str, path: Path) -> dict[str, Any]:
    path.write_text(text)
    return {trace.trace_id: trace for trace in read(path)}


def _of_diffs(case: Case, diffs: Sequence[Diff], gone: bool) -> tuple[Answer, str]:
    changes = [change for diff in diffs for change in diff.of("behaviour", "content")]
    lacking = [line for diff in diffs for line in diff.not_compared]
    shown = "; ".join([*(f"{change.path}: {change.sentence}" for change in changes), *lacking])
    if case.paths is None:
        return ("something else" if changes else "right"), shown
    if any(case.paths(change.path) for change in changes):
        return "right", shown
    if any(word in line for word in (*case.unknown, "no change was read") for line in lacking):
        return "openly unknown", shown
    if gone:
        return "right", "a whole trace is gone"
    return ("something else" if changes else "silently green"), shown


def _spans(trace: Trace | None) -> list[Span]:
    return [] if trace is None else sorted(trace.spans, key=lambda span: (span.span_id, span.start_ns))


def _verdict(readings: dict[str, TraceReading], edited: set[str], expectation: Any) -> tuple[str, str]:
    """Of the whole file; whether a call would show is asked of the traces that were edited."""
    calls = [call for reading in readings.values() for call in reading.tool_calls]
    hidden = [reading.evidence.tools.why_not for one, reading in readings.items() if one in edited]
    first = readings[min(edited & set(readings), default=next(iter(readings)))]
    scenario = Scenario.model_validate({"name": "edit", "opens_with": "Hello"})
    evidence = Evidence(
        scenario, Conversation("0" * 32), first, calls,
        no_tools_because=next((why for why in hidden if why), None),
    )  # fmt: skip
    verdict = asyncio.run(check_all([expectation], evidence))[0]
    return verdict.status, verdict.fact


def all_told(chosen: Sequence[str]) -> list[Told]:
    """What is told of every edit of these fixtures."""
    with tempfile.TemporaryDirectory() as folder:
        return [one for name in chosen for case in cases(name) for one in told(name, case, Path(folder))]


def main(chosen: Sequence[str]) -> None:
    found = all_told(chosen or names())
    count = Counter((one.by, one.edit, one.answer) for one in found)
    print(f"{len({one.fixture for one in found})} fixtures, {len(found)} answers\n")
    print("| edit | told by | n | " + " | ".join(ANSWERS) + " |")
    print("|---|---|---|" + "---|" * len(ANSWERS))
    for by in ("diff", "checks"):
        for edit in [*dict.fromkeys(one.edit for one in found), ""]:
            numbers = [
                sum(n for (b, e, a), n in count.items() if b == by and a == answer and edit in (e, ""))
                for answer in ANSWERS
            ]
            if total := sum(numbers):
                print(
                    f"| {edit or '**all**'} | {by} | {total} | "
                    + " | ".join(f"{n / total:.1%}" if n else "0" for n in numbers)
                    + " |"
                )
    for one in found:
        if one.answer in ("silently green", "something else") and "-v" in sys.argv:
            print(f"{one.answer}: {one.fixture}: {one.edit} ({one.by}): {one.detail[:400]}")


if __name__ == "__main__":
    main([one for one in sys.argv[1:] if not one.startswith("-")])
