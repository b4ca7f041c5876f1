"""The page of a run's calls: which reply took how long, the worst call first, read without a script."""

from __future__ import annotations

import re
import wave
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from simulate.interfaces.render import calls_html
from simulate.interfaces.render.calls_html import calls_of
from simulate.interfaces.render.run_reports import write_pages
from simulate.model.outcome import Outcome
from simulate.model.transcript import Conversation


def event(kind: str, at: float, seconds: float | None, good: bool | None = None) -> dict[str, Any]:
    return {"kind": kind, "at": at, "seconds": seconds, "turn": 1, "good": good}


def call(
    folder: Path, scenario: str, *events: dict[str, Any], status: str = "passed", trial: int = 1
) -> Outcome:
    mine = folder / f"{scenario}-{trial}"
    mine.mkdir()
    with wave.open(str(mine / "recording.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(4 * 8000))
    return Outcome(
        scenario,
        "pipecat:bots:bot",
        status,  # type: ignore[arg-type]
        Conversation("ab" * 16, "voice"),
        trial=trial,
        measures={"turn_taking": {"events": list(events)}},
        recording=str(mine / "recording.wav"),
        folder=str(mine),
        reason="<script>alert(1)</script>" if status != "passed" else None,
    )


@pytest.fixture
def outcomes(tmp_path: Path) -> list[Outcome]:
    return [
        call(tmp_path, "quick", event("reply", 3.0, 0.5), event("reply", 9.0, 0.7)),
        call(tmp_path, "slow", event("reply", 3.0, 4.0), event("dead_air", 3.0, 4.0)),
        call(tmp_path, "slow", event("reply", 3.0, 1.0), status="failed", trial=2),
        call(tmp_path, "rude", event("reply", 3.0, 0.5), event("agent_cut_in", 6.5, 1.0, False)),
    ]


def rows(text: str) -> list[str]:
    return re.findall(r'<tr class="is-.*?</tr>', text, re.DOTALL)


def write(folder: Path, outcomes: list[Outcome]) -> str:
    write_pages(folder / "report.html", None, outcomes, {})
    return (folder / "report-calls.html").read_text("utf-8")


def test_the_worst_call_comes_first(outcomes: list[Outcome]) -> None:
    ordered = calls_of([(each.key, each) for each in outcomes])
    # failed; then where the agent did badly; then by the longest wait
    assert [each.key for each in ordered] == ["slow-2", "rude-1", "slow-1", "quick-1"]


def test_the_slowest_scenario_comes_first_with_its_figures(tmp_path: Path, outcomes: list[Outcome]) -> None:
    text = write(tmp_path, outcomes)
    table = text[text.index("<tbody>") : text.index("</tbody>")]
    assert re.findall("<th scope=row>([^<]*)", table) == ["slow", "quick", "rude"]
    slow = table[: table.index("quick")]
    assert re.findall("<td class=num>([^<]*)", slow) == ["2", "2", "2.50 s", "3.85 s", "4.00 s", "4.00 s"]
    assert slow.count('class="one"') == 2


def test_a_call_is_heard_from_before_its_worst_moment(tmp_path: Path, outcomes: list[Outcome]) -> None:
    rude = next(row for row in rows(write(tmp_path, outcomes)) if "rude" in row)
    assert 'src="rude-1/recording.wav#t=5.5"' in rude
    assert 'href="report.html#outcome=rude-1"' in rude


def test_many_calls_get_a_link_instead_of_a_player(
    tmp_path: Path, outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_html, "PLAYERS", 1)
    first, second, *_ = rows(write(tmp_path, outcomes))
    assert "<audio" in first
    assert "<audio" not in second
    assert "recording.wav" in second


def test_it_needs_no_script_and_what_an_agent_said_is_text(tmp_path: Path, outcomes: list[Outcome]) -> None:
    text = write(tmp_path, outcomes)
    assert "<script" not in text
    assert "script-src ;" in text
    assert "&lt;script&gt;alert(1)" in text
    found = Elements()
    found.feed(text)
    assert not found.attributes & {"style", "onclick", "onload"}


class Elements(HTMLParser):
    """The attributes that a page uses."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}


def test_the_report_links_to_it_also_without_a_script(tmp_path: Path, outcomes: list[Outcome]) -> None:
    write(tmp_path, outcomes)
    report = (tmp_path / "report.html").read_text("utf-8")
    assert '<a href="report-calls.html">' in report[report.index("<noscript>") : report.index("</noscript>")]


def test_a_run_without_calls_has_none(tmp_path: Path) -> None:
    text = Outcome("text", "python:a:b", "passed", Conversation("ab" * 16, "text"))
    write_pages(tmp_path / "report.html", None, [text], {})
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
