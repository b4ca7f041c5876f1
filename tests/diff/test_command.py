from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from simulate.errors import TraceFileError
from simulate.interfaces.cli.main import main
from simulate.interfaces.render.diff_html import page_data, write_diff_html
from simulate.trace import read
from simulate.trace.diff import compare, matches
from simulate.trace.files.writing import write_otlp_json, write_otlp_jsonl
from simulate.trace.span import Trace


def refund(scene: Any, seed: int = 0, order: tuple[str, ...] = ("verify_identity", "issue_refund")) -> Trace:
    story = scene(seed).caller("I want my money back")
    for name in order:
        story.tool(name, order_id="4417")
    story.model("It is on its way.")
    return story.trace


@pytest.fixture
def files(scene: Any, tmp_path: Path) -> tuple[Path, Path, Path]:
    expected, same, other = tmp_path / "expected.json", tmp_path / "same.jsonl", tmp_path / "other.json"
    write_otlp_json(expected, refund(scene).spans)
    write_otlp_jsonl(same, refund(scene, 1).spans)
    write_otlp_json(other, refund(scene, 2, ("issue_refund", "verify_identity")).spans)
    return expected, same, other


def test_exit_codes_and_first_line(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    expected, same, other = (str(file) for file in files)
    assert main(["diff", expected, same]) == 0
    assert capsys.readouterr().out.startswith("no change in behaviour")
    assert main(["diff", expected, other]) == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "behaviour  issue_refund was called before verify_identity"
    )
    assert main(["diff", expected, other, "--only", "latency,cost"]) == 0
    assert main(["diff", expected, other, "--ignore", "order.*"]) == 0
    assert main(["diff", expected, other, "--repeat", other, same]) == 0
    capsys.readouterr()
    assert main(["diff", expected, str(files[0].parent / "gone.json")]) == 2
    assert "gone.json" in capsys.readouterr().err


def test_strict_takes_what_could_not_be_compared_for_a_change(
    scene: Any, files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = tmp_path / "dark.json"
    spans = refund(scene, 3).spans
    for span in spans:
        span.attributes = {key: value for key, value in span.attributes.items() if ".messages" not in key}
    write_otlp_json(dark, spans)
    assert main(["diff", str(dark), str(dark)]) == 0
    assert "could be compared" in capsys.readouterr().out.splitlines()[0]
    assert main(["diff", str(dark), str(dark), "--strict"]) == 1
    assert main(["diff", str(files[0]), str(files[1]), "--strict"]) == 0


def test_json_for_machines(files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(files[0]), str(files[2]), "--json", "-"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["same"] is False
    assert found["changes"][0]["path"] == "order.issue_refund and verify_identity"
    assert found["changes"][0]["expected_spans"] and found["changes"][0]["actual_spans"]


def test_update_shows_what_it_accepts_and_then_they_agree(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _, other = files
    assert main(["diff", str(expected), str(other), "--update"]) == 0
    said = capsys.readouterr()
    assert "issue_refund was called before verify_identity" in said.out
    assert "accepted" in said.err
    assert main(["diff", str(expected), str(other)]) == 0
    before = expected.read_bytes()
    assert main(["diff", str(expected), str(other), "--update"]) == 0
    assert expected.read_bytes() == before


def test_a_file_with_several_traces_asks_which(
    scene: Any, files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = tmp_path / "several.json"
    one, other = refund(scene, 5), refund(scene, 6, ("issue_refund",))
    write_otlp_json(several, [*one.spans, *other.spans])
    assert main(["diff", str(files[0]), str(several)]) == 2
    assert one.trace_id in capsys.readouterr().err
    assert main(["diff", str(files[0]), str(several), "--trace", one.trace_id]) == 0
    assert main(["diff", str(several), str(several), "--trace", one.trace_id, "--trace", other.trace_id]) == 1
    assert main(["diff", str(files[0]), str(several), "--trace", "9" * 32]) == 2


def test_matches_is_what_a_scenario_asks(scene: Any, files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    assert matches(files[0], refund(scene, 7)).same
    assert not matches(files[0], refund(scene, 7, ("issue_refund",))).same
    assert matches(files[0], refund(scene, 7, ("issue_refund",)), ["tools.verify_identity"]).same
    several = tmp_path / "several.json"
    write_otlp_json(several, [*refund(scene, 5).spans, *refund(scene, 6).spans])
    with pytest.raises(TraceFileError, match="holds 2 conversations"):
        matches(several, refund(scene, 7))


def test_the_page_holds_both_trees_and_nothing_of_the_agent_as_html(scene: Any, tmp_path: Path) -> None:
    story = scene(3).caller("x")
    story.tool("issue_refund", note="</script><script>alert(1)</script><img src=x onerror=alert(2)>")
    file = write_diff_html(tmp_path / "diff.html", compare(refund(scene), story.trace))
    text = file.read_text("utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text and "<img" not in text
    assert not re.search(r"(src|href)=.?https?://", text)
    assert "default-src 'none'" in text


def test_each_span_stands_in_one_row_of_the_page(scene: Any, generator: Any) -> None:
    first, second, _, _ = generator.pair(400, generator.Edits(inserted=0.1, deleted=0.1, reorder=True), 5)
    rows = page_data(compare(first, second))["rows"]
    assert sorted(row[2][1] for row in rows if row[2]) == sorted(span.span_id for span in first)
    assert sorted(row[3][1] for row in rows if row[3]) == sorted(span.span_id for span in second)
    assert {row[0] for row in rows} == {"=", "!", "-", "+"}


def test_what_was_written_reads_back_as_the_same_run(scene: Any, tmp_path: Path) -> None:
    trace = refund(scene)
    write_otlp_jsonl(tmp_path / "trace.jsonl", trace.spans)
    assert compare(trace, read(tmp_path / "trace.jsonl")[0]).changes == []


def test_the_trials_of_a_run_are_repeats(
    scene: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def trial(number: int, answer: str, tool: str = "lookup") -> str:
        story = scene(number).caller("Where is it?")
        story.tool(tool, id="4417")
        story.model(answer)
        path = tmp_path / "run" / f"late-{number}" / "trace.otlp.jsonl"
        path.parent.mkdir(parents=True)
        write_otlp_jsonl(path, story.trace.spans)
        return str(path)

    first, second = trial(0, "On its way."), trial(1, "It left today.")
    run = str(tmp_path / "run")
    assert main(["diff", first, second]) == 1
    capsys.readouterr()
    assert main(["diff", first, second, "--repeat", run]) == 2  # nothing but the two themselves
    assert "no other trial" in capsys.readouterr().err
    trial(2, "You get it soon.")
    assert main(["diff", first, second, "--repeat", run]) == 0
    assert "that the 1 repeat shows too" in capsys.readouterr().out
    assert main(["diff", first, trial(3, "Gone.", "cancel"), "--repeat", run]) == 1
    assert "what was the same in all 3 expected runs" in capsys.readouterr().out
    other = tmp_path / "run" / "early-0"
    other.mkdir()
    write_otlp_jsonl(other / "trace.otlp.jsonl", refund(scene, 9).spans)
    assert main(["diff", first, second, "--repeat", run]) == 2
    assert "several scenarios" in capsys.readouterr().err
    late = [str(folder) for folder in sorted((tmp_path / "run").glob("late-*"))][2:]
    assert main(["diff", first, second, "--repeat", *late]) == 0
