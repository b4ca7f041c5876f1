"""`simulate trace find`: the trace of a complaint, among many."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import InputError
from simulate.interfaces.cli.main import main
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.find import Bound, moment
from simulate.trace.span import Event, Span

HOUR = 3_600 * 10**9
NOON = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp() * 1e9)


def chat(number: int, start: int, **attributes: Any) -> Span:
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 1000,
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"Hi"}]}]',
    }
    end = start + 10**9 if start else None
    return Span(f"{number:032x}", f"{number:016x}", "chat", None, start, end, given | attributes)


def tool(of: Span, name: str, **more: Any) -> Span:
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    given: dict[str, Any] = {"attributes": attributes | more.pop("attributes", {}), **more}
    return Span(
        of.trace_id,
        f"{int(of.span_id, 16) + 256:016x}",
        f"run {name}",
        of.span_id,
        of.start_ns,
        of.end_ns,
        **given,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first = chat(1, NOON, **{"user.id": "u-7", "session.id": "s-1", "tenant.id": "acme"})
    second = chat(
        2, NOON + HOUR, **{"user.id": "u-7", "session.id": "s-2", "gen_ai.usage.output_tokens": 100_000}
    )
    scored = chat(3, NOON + 2 * HOUR, **{"user.id": "u-8"})
    result = {"gen_ai.evaluation.name": "Groundedness", "gen_ai.evaluation.score.value": 0.4}
    scored.events.append(Event("gen_ai.evaluation.result", NOON, result))
    untold = chat(4, 0, **{"user.id": "u-9", "gen_ai.request.model": "nobody-prices-this"})
    spans = [
        [first, tool(first, "issue_refund", status="error", status_message="declined")],
        [second, tool(second, "mcp__shop__lookup")],
        [scored],
        [untold],
    ]
    for number, each in enumerate(spans, 1):
        write_otlp_jsonl(tmp_path / f"{number}.jsonl", each)
    return tmp_path


def found(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[int]:
    assert main(["trace", "find", str(folder), "--json", *words]) == 0
    return sorted(int(json.loads(line)["trace_id"], 16) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ((), [1, 2, 3, 4]),
        (("--user", "u-7"), [1, 2]),
        (("--session", "s-2"), [2]),
        (("--tenant", "acme"), [1]),
        (("--user", "u-7", "--since", "2026-11-30T12:30+00:00"), [2]),
        (("--until", "2026-11-30T12:30Z"), [1]),
        (("--tool", "issue_refund"), [1]),
        (("--tool", "lookup"), [2]),
        (("--error",), [1]),
        (("--cost", ">$0.01"), [2]),
        (("--score", "Groundedness<0.7"), [3]),
        (("--score", "Groundedness>=0.7"), []),
        (("--filter", "output_tokens>9000"), [2]),
        (("--filter", "score.Groundedness<0.5"), [3]),
    ],
)
def test_each_word_narrows(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], numbers: list[int]
) -> None:
    assert found(folder, capsys, *words) == numbers


def test_what_a_trace_does_not_tell_is_counted_and_never_guessed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "find", str(folder), "--cost", "<1"]) == 0
    told = capsys.readouterr()
    assert f"{4:032x}" not in told.out
    assert "1 of 4 traces left out" in told.err and "cost" in told.err
    assert main(["trace", "find", str(folder), "--since", "2020-01-01"]) == 0
    told = capsys.readouterr()
    assert f"{4:032x}" not in told.out and "when they began" in told.err


def test_the_table_has_the_latest_first_and_says_what_failed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "find", str(folder), "--user", "u-7"]) == 0
    head, second, first = capsys.readouterr().out.splitlines()
    assert head.startswith("began ")
    assert f"{2:032x}" in second and " ok " in second
    assert f"{1:032x}" in first and "failed: run issue_refund" in first and "u-7" in first
    assert main(["trace", "find", str(folder), "--limit", "1"]) == 0
    assert "and 3 more" in capsys.readouterr().out
    assert main(["trace", "find", str(folder), "--user", "nobody"]) == 0
    assert "no trace is like that" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--cost", "cheap"), "is not a comparison"),
        (("--cost", "Groundedness<1"), "is not a comparison"),
        (("--score", "<0.7"), "is not a comparison"),
        (("--since", "yesterday"), "is not a time"),
        (("--filter", "kind=TOLO"), "did you mean TOOL"),
    ],
)
def test_wrong_words_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert main(["trace", "find", str(folder), *words]) == 2
    assert told in capsys.readouterr().err


def test_an_age_counts_back_from_now() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert moment("2h", "--since", now) == NOON - 2 * HOUR
    assert moment("7d", "--since", now) == NOON - 7 * 24 * HOUR
    with pytest.raises(InputError):
        Bound.parse("a<b", "--score", named=True)


def test_an_index_gives_the_same_and_is_made_anew_when_a_file_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(*options: str) -> list[str]:
        assert main(["trace", "find", str(folder), "--json", *options]) == 0
        told = capsys.readouterr()
        return sorted(told.out.splitlines()) + told.err.splitlines()

    asked: list[list[str]] = [
        [], ["--user", "u-7"], ["--session", "s-1"], ["--tenant", "acme"], ["--error"], ["--cost", ">0.01"],
        ["--score", "Groundedness<0.7"], ["--tool", "issue_refund"], ["--until", "2026-11-30T13:00+00:00"],
    ]  # fmt: skip
    for options in asked:
        assert found(*options, "--index") == found(*options), options
    index = folder / ".simulate-traces.json"
    made = index.stat().st_mtime_ns
    assert found("--index") == found() and index.stat().st_mtime_ns == made, (
        "what is current is not made anew"
    )
    write_otlp_jsonl(folder / "later.jsonl", [chat(9, NOON, **{"user.id": "u-99"})])
    assert len(found("--user", "u-99", "--index")) == 1
    index.write_text("{broken")
    assert len(found("--user", "u-99", "--index")) == 1


@pytest.mark.parametrize("options", [["--filter", "kind=LLM"], ["--conversation", "s-1"]])
def test_what_an_index_does_not_keep_is_refused(
    folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "find", str(folder), "--index", *options]) == 2
    assert options[0] in capsys.readouterr().err
    assert main(["trace", "find", str(folder), str(folder), "--index"]) == 2


def test_tokens_beside_a_search_are_those_of_the_model_calls_near_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def traced(number: int, tokens: int) -> list[Span]:
        answer = chat(number, NOON, **{"gen_ai.usage.output_tokens": tokens})
        root = Span(answer.trace_id, f"{number + 512:016x}", "agent", None, NOON, NOON + 10**9)
        answer.parent_id = root.span_id
        about = {"fi.span.kind": "RETRIEVER"}
        return [root, answer, Span(answer.trace_id, "f" * 16, "search", root.span_id, NOON, NOON + 1, about)]

    write_otlp_jsonl(tmp_path / "t.jsonl", [*traced(1, 18_000), *traced(2, 300)])
    query = "kind=RETRIEVER and output_tokens>10000"
    assert main(["trace", "find", str(tmp_path / "t.jsonl"), "--json", "--filter", query]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["trace_id"] == f"{1:032x}"


SEARCHES = """
import json, sys
from simulate.errors import SimulateError
from simulate.trace import find_apart
from simulate.trace.files.reader import iter_traces
from simulate.trace.find import Bound, Query, TraceSearch

find_apart.WORTH = 1
find_apart.os.sched_getaffinity = lambda _: {0, 1, 2}
folder, tolerant = sys.argv[1], sys.argv[2] == "tolerant"

def told(apart, query, limit):
    search, skipped = TraceSearch(query), []
    if apart:
        found = find_apart.search_apart(search, [folder], limit=limit, tolerant=tolerant, skipped=skipped)
        assert found is not None
        summaries, count = found
    else:
        traces = iter_traces(folder, tolerant=tolerant, skipped=skipped)
        summaries, count = find_apart.latest_of(search.among(traces), limit)
    lines = [repr(each) for each in summaries]
    return lines, count, search.looked_at, search.undecided, [str(each) for each in skipped]

cost = Bound.parse(">0.0001", "", named=False)
queries = Query(), Query(cost=cost), Query(tool="lookup"), Query(tool="nowhere")
try:
    for query in queries:
        assert told(True, query, 4) == told(False, query, 4), query
    print(told(True, Query(), 4)[1])
except SimulateError as error:
    print(error.where)
"""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="processes are shared out by forks")
def test_processes_find_what_one_finds_also_of_traces_that_lie_in_several_files(tmp_path: Path) -> None:
    for number in range(1, 7):
        call = chat(number, NOON + number * HOUR)
        write_otlp_jsonl(tmp_path / f"agent-{number}.jsonl", [call])
        write_otlp_jsonl(tmp_path / f"tools-{number}.jsonl", [tool(call, "lookup")])
    write_otlp_jsonl(tmp_path / "z.jsonl", [chat(9, 0, **{"gen_ai.request.model": "nobody-prices-this"})])

    def said(reading: str) -> str:
        command = [sys.executable, "-c", SEARCHES, str(tmp_path), reading]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    assert said("strict") == "7\n"
    (tmp_path / "broken.jsonl").write_text('{"resourceSpans": [')
    (tmp_path / "broken-too.jsonl").write_text("{")
    assert said("strict") == f"{tmp_path / 'broken-too.jsonl'}\n"
    assert said("tolerant") == "7\n"
