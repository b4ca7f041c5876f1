"""``simulate trace show | convert | redact`` as a person runs them."""

# ruff: noqa: E501 - rows of data
from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from simulate.interfaces.cli.main import main
from simulate.trace import Span, read
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.span import Event

TRACE, NS = "0af7651916cd43dd8448eb211c80319c", 1_795_335_466_000_000_000
MS = 10**6


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An agent with a model call and a tool that failed; one name holds a control sequence."""
    score = {"gen_ai.evaluation.name": "polite", "gen_ai.evaluation.score.value": 0.25}
    spans = [
        Span(TRACE, "0" * 15 + "1", "support", None, NS, NS + 2000 * MS, {"gen_ai.span.kind": "AGENT"}),
        Span(
            TRACE, "0" * 15 + "2", "chat", "0" * 15 + "1", NS + MS, NS + 900 * MS,
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
             "gen_ai.usage.input_tokens": 4100, "gen_ai.usage.output_tokens": 55},
            [Event("gen_ai.evaluation.result", NS, score)],
        ),
        Span(
            TRACE, "0" * 15 + "3", "execute_tool \x1b[2Jrefund 日本語" + "x" * 90, "0" * 15 + "1", NS + 900 * MS, NS + 950 * MS,
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund", "to": "a@example.com"},
            status="error", status_message="no such\norder",
        ),
    ]  # fmt: skip
    write_otlp_jsonl(tmp_path / "t", spans)
    return tmp_path / "t"


def test_show_fits_into_80_columns_and_says_what_matters(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "show", str(file)]) == 0
    out = capsys.readouterr().out
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    assert all(line.isprintable() for line in out.splitlines())
    head, model, tool = (
        out.splitlines()[1],
        *(line for line in out.splitlines() if line[:4] in ("LLM ", "TOOL")),
    )
    assert "3 spans  2.00s  1 error  1 LLM, 1 TOOL  4,155 tokens  $0.0006" in head
    assert "chat gpt-4o-mini" in model and "899ms" in model and "4.1k→55" in model and "$0.0006" in model
    assert "└ execute_tool \\x1b[2Jrefund" in tool
    assert "✗ no such⏎ order" in out
    assert "polite 0.25" in out


def test_neighbouring_steps_of_transport_share_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        Span(TRACE, f"{at:016x}", name, "0" * 15 + "1", NS + at * MS, NS + (at + lasts) * MS,
             {"http.request.method": name, "http.response.status_code": status}, status=ended)
        for at, (name, lasts, status, ended) in enumerate(
            [("GET", 1, 200, "unset"), ("POST", 1, 200, "unset"), ("GET", 1, 503, "error"), ("POST", 900, 200, "unset")], 2
        )
    ]  # fmt: skip
    agent = Span(
        TRACE, "0" * 15 + "1", "support", None, NS, NS + 2000 * MS, {"gen_ai.span.kind": "AGENT"},
    )  # fmt: skip
    write_otlp_jsonl(tmp_path / "t", [agent, *steps])
    assert main(["trace", "show", str(tmp_path / "t")]) == 0
    out = capsys.readouterr().out
    assert "├ … 2 steps: GET, POST" in out and "≤ 1ms" in out
    assert "✗ HTTP 503" in out and "└ POST" in out and "900ms" in out
    assert main(["trace", "show", str(tmp_path / "t"), "--all"]) == 0
    assert "steps" not in capsys.readouterr().out


def test_content_stands_below_each_call_and_its_absence_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is 4417?"}]}])
    answered = [{"type": "tool_call", "id": "1", "name": "look_up", "arguments": {"order": "4417"}}]
    told = {
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": answered}]),
    }
    for number, more in enumerate((told, {}), 1):
        raw = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", **more}
        write_otlp_jsonl(tmp_path / f"{number}", [Span(TRACE, "1" * 16, "chat", None, NS, NS + MS, raw)])
    assert main(["trace", "show", str(tmp_path / "1"), "--content"]) == 0
    out = capsys.readouterr().out
    assert "› Where is 4417?" in out and '‹ look_up({"order": "4417"})' in out and "!" not in out
    assert main(["trace", "show", str(tmp_path / "2")]) == 0
    assert "! the LLM spans carry no messages: content capture is off" in capsys.readouterr().out


def test_a_filter_shows_what_it_finds_and_what_is_above(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "show", str(file), "--filter", "error"]) == 0
    out = capsys.readouterr().out
    assert "support" in out and "refund" in out and "chat gpt-4o-mini" not in out
    assert main(["trace", "show", str(file), "--filter", "knid=TOOL~"]) == 0  # an attribute nobody has
    assert "no span matches" in capsys.readouterr().out
    assert main(["trace", "show", str(file), "--filter", "kind=TOLL"]) == 2
    assert "did you mean TOOL" in capsys.readouterr().err


def test_json_holds_the_raw_and_the_canonical_span(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "show", str(file), "--json", "--filter", "kind=LLM"]) == 0
    (record,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert record["attributes"]["gen_ai.usage.input_tokens"] == record["view"]["input_tokens"] == 4100
    assert (record["view"]["kind"], record["depth"]) == ("LLM", 1)


def test_html_writes_a_page(file: Path, tmp_path: Path) -> None:
    assert main(["trace", "show", str(file), "--html", str(tmp_path / "t.html")]) == 0
    page = (tmp_path / "t.html").read_text()
    assert "<html" in page and TRACE in page


@pytest.mark.parametrize("to", ["otlp-json", "otlp-jsonl", "otlp-protobuf"])
def test_convert_loses_nothing(file: Path, tmp_path: Path, to: str) -> None:
    assert main(["trace", "convert", str(file), "--to", to, "-o", str(tmp_path / "out")]) == 0
    assert read(tmp_path / "out")[0].spans == read(file)[0].spans


def test_convert_to_jaeger_can_be_read_back(file: Path, tmp_path: Path) -> None:
    assert main(["trace", "convert", str(file), "--to", "jaeger", "-o", str(tmp_path / "out")]) == 0
    assert [span.name for span in read(tmp_path / "out")[0]] == [span.name for span in read(file)[0]]


def test_a_broken_file_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("INFO started\n")
    assert main(["trace", "convert", str(tmp_path / "log"), "-o", str(tmp_path / "out")]) == 2
    assert "is text, not a trace" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_redact_says_how_many_and_never_which(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clean"
    assert main(["trace", "redact", str(file), "-o", str(out), "--pattern", "tool=refund"]) == 0
    said = capsys.readouterr().err
    assert "1 × email" in said and "example.com" not in said
    assert b"a@example.com" not in out.read_bytes() and b"<email:" in out.read_bytes()
    assert [span.span_id for span in read(out)[0]] == [span.span_id for span in read(file)[0]]


def test_stdin(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert main(["trace", "show", "-"]) == 0
    assert "support" in capsys.readouterr().out
