"""The plain story of an outcome, and that nothing in it can steer a terminal."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from simulate.interfaces.render.terminal import print_report, story
from simulate.model.outcome import Outcome, Reliability
from simulate.model.text import compact, line, safe
from simulate.model.transcript import Conversation, ToolUse, Utterance
from simulate.model.verdict import Verdict

STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_the_arrow_points_at_the_agent_in_the_failed_turn(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(77, status="failed")
    arrows = [text for text in outcome.explain().splitlines() if text.startswith("  → ")]
    assert [text.split()[1:3] for text in arrows] == [["4", "tool"], ["4", "agent"]]


def test_it_says_what_was_expected_what_happened_where_and_what_to_do(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(77, status="failed")
    text = outcome.explain()
    assert "failed (agent)" in text
    assert "expected  issue_refund with amount 42.50, after lookup_order" in text
    assert "happened  issue_refund was called with amount 425.00" in text
    assert f"turn 4  span {outcome.verdicts[1].span_id}" in text
    assert "do        If the amount may be anything" in text
    assert "score     0.62, needs at least 0.8" in text
    assert "scenarios/refund.yaml:12" in text and outcome.folder in text


def test_a_passed_one_takes_a_line(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(1, status="passed")
    assert len(outcome.explain().splitlines()) == 1


def test_a_simulators_fault_is_told_as_its_own(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(78, status="error")
    first = outcome.explain().splitlines()[0]
    assert first.startswith("! error (simulator)") and "failed" not in first


def test_a_long_conversation_folds_what_is_far_from_the_arrow(make: SimpleNamespace) -> None:
    outcome, _ = make.outcome(77, status="failed", turns=60)
    text = outcome.explain()
    assert re.search(r"… \d+ more lines", text)
    assert len(text.splitlines()) < 60
    assert "  →   4 agent" in text


def test_every_line_of_hostile_text_is_harmless(make: SimpleNamespace) -> None:
    outcome, _ = make.hostile()
    text = outcome.explain()
    assert not STEERS.search(text)
    assert "\\x1b[31mred" in text and "\\u202e" in text
    assert len(text) < 40_000, "1 MB of an agent's text reached the terminal"
    assert "more characters" in text
    text.encode()


def test_the_coloured_story_carries_no_escape_code_of_the_agents(make: SimpleNamespace) -> None:
    outcome, _ = make.hostile()
    stream = io.StringIO()
    print_report([outcome], stream=stream, color=True)
    plain = re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())
    assert "\x1b" in stream.getvalue()
    assert not STEERS.search(plain)
    assert "[bold]markup[/bold]" in plain
    first, *rest = (text.rstrip() for text in story(outcome).plain.split("\n"))
    whole, *same = outcome.explain().split("\n")
    assert rest == same
    assert outcome.reason is not None and first == whole.replace(f": {line(outcome.reason, 300)}", "")


def test_a_terminal_that_is_not_utf8_still_gets_the_report(make: SimpleNamespace) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_report([make.outcome(77, status="failed")[0]], stream=stream)
    stream.flush()
    assert b"issue_refund" in raw.getvalue()


def test_the_table_counts_trials_and_never_guesses_a_cost(make: SimpleNamespace) -> None:
    outcomes = [make.outcome(0, status=status)[0] for status in ("passed", "passed", "failed")]
    outcomes[1].measures["cost_usd"] = None
    stream = io.StringIO()
    rate = Reliability(outcomes[0].scenario, outcomes[0].case, 3, 2, 3, 0.5, 0.2, 0.8)
    print_report(outcomes, reliability=[rate], stream=stream)
    text = stream.getvalue()
    assert "2/3" in text and "–" in text and "pass^3 50% (20% to 80%)" in text
    assert text.rstrip().endswith("1 failed, 2 passed")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb", "a\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("é 👩‍👩‍👧 שלום", "é 👩‍👩‍👧 שלום"),
        ("x" * 5000, "x" * 2000 + " … (3,000 more characters)"),
    ],
)
def test_safe_shows_what_it_does_not_obey(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_line_is_one_line_and_compact_takes_any_value() -> None:
    assert "\n" not in line("a\nb\nc")
    loop: list[object] = []
    loop.append(loop)
    assert compact({"a": b"\x00\xff", "b": {1}, "c": float("nan"), "d": object})
    assert compact(loop)


def test_what_the_other_side_got_is_told() -> None:
    talk = Conversation("c", "voice", [Utterance("caller", "four four", 1, 0, 1, heard="for for")])
    talk.utterances.append(Utterance("agent", "Your ord", 1, 2, 3, interrupted=True))
    outcome = Outcome(
        "s",
        "a",
        "failed",
        talk,
        tool_uses=[ToolUse("t", {}, turn=None)],
        verdicts=[Verdict("said", "the total", "failed", "never said", turn=None)],
    )
    text = outcome.explain()
    assert "(heard: for for)" in text and "(interrupted)" in text and "t({}) → null" in text


def test_a_tool_call_stands_before_the_answer_that_it_led_to() -> None:
    talk = Conversation("c", utterances=[Utterance("caller", "Lost?", 1, 0, 0)])
    talk.utterances.append(Utterance("agent", "One moment.", 1, 0.1, 0.2))
    talk.utterances.append(Utterance("agent", "Lost.", 1, 0.3, 0.9, first=0.9))
    tool = ToolUse("lookup", {}, turn=1, start=0.91, end=0.92)
    outcome = Outcome("s", "a", "failed", talk, tool_uses=[tool])
    assert spoken(outcome) == ["Lost?", "One", "lookup({})", "Lost."]
    talk.medium = "voice"
    assert spoken(outcome) == ["Lost?", "One", "Lost.", "lookup({})"]


def spoken(outcome: Outcome) -> list[str]:
    return [text.split()[2] for text in outcome.explain().splitlines() if text.startswith("      1")]
