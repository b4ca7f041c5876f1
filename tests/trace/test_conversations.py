"""The conversation is the unit: which traces are one, in which order, and what was said in it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulate.errors import NotReplayable, TraceFileError
from simulate.interfaces.cli.main import main
from simulate.replay.from_trace import cassette_of
from simulate.trace.conversations import Choice, conversations, iter_conversations, read_conversations
from simulate.trace.diff import compare
from simulate.trace.files.writing import write_otlp_jsonl
from simulate.trace.mixed import several
from simulate.trace.reading import TraceReading
from simulate.trace.root import conversation_span
from simulate.trace.span import Link, Span, Trace

NOON = 1_780_000_000_000_000_000
S = 10**9
Says = Sequence[tuple[str, str]]
"""What was said: ``user`` or ``assistant``, and the words."""


def otel(asked: Says, answer: str) -> dict[str, Any]:
    def told(lines: Says) -> str:
        return json.dumps(
            [{"role": who, "parts": [{"type": "text", "content": text}]} for who, text in lines]
        )

    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": told([("system", "Be brief."), *asked]),
        "gen_ai.output.messages": told([("assistant", answer)]),
    }


def openinference(asked: Says, answer: str) -> dict[str, Any]:
    found: dict[str, Any] = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
    for at, (who, text) in enumerate(asked):
        found[f"llm.input_messages.{at}.message.role"] = who
        found[f"llm.input_messages.{at}.message.content"] = text
    found["llm.output_messages.0.message.role"] = "assistant"
    found["llm.output_messages.0.message.content"] = answer
    return found


def turn(
    number: int,
    asked: Says,
    answer: str,
    *,
    wire: Any = otel,
    root: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> list[Span]:
    """The trace of one request: the server's span, and the model call in it."""
    trace_id, start = f"{number:032x}", NOON + number * 10 * S
    attributes = wire(asked, answer) | (more or {})
    return [
        Span(trace_id, f"{number:015x}1", "POST /chat", None, start, start + 2 * S, root or {}),
        Span(trace_id, f"{number:015x}2", "chat gpt-4o", f"{number:015x}1", start, start + S, attributes),
    ]


HELLO, HI = ("user", "Hello, I am Ada."), "Hi Ada."
WHERE, BASEL = ("user", "Where is parcel 77?"), "In Basel."
THANKS, BYE = ("user", "Thanks."), "Goodbye."
FIRST: Says = [HELLO]
SECOND: Says = [HELLO, ("assistant", HI), WHERE]
THIRD: Says = [HELLO, ("assistant", HI), WHERE, ("assistant", BASEL), THANKS]
SAID = [HELLO[1], HI, WHERE[1], BASEL, THANKS[1], BYE]


def said(trace: Trace) -> list[str]:
    return [one["text"] for one in cassette_of(trace).conversation if "text" in one]


def ids(found: Sequence[Trace]) -> list[list[str]]:
    return [list(dict.fromkeys(span.trace_id.lstrip("0") for span in trace)) for trace in found]


def traces(*turns: list[Span]) -> list[Trace]:
    return [Trace(spans[0].trace_id, spans) for spans in turns]


@pytest.mark.parametrize(
    ("wire", "root", "why"),
    [
        (otel, {"gen_ai.conversation.id": "c-1"}, "conversation id"),
        (openinference, {"openinference.span.kind": "CHAIN", "session.id": "s-1"}, "session id"),
        (otel, {"langfuse.session.id": "s-1"}, "session id"),
        (otel, {"traceloop.association.properties.session_id": "s-1"}, "session id"),
        (otel, {}, "the history in their messages"),
        (openinference, {}, "the history in their messages"),
    ],
)
def test_what_puts_traces_together(wire: Any, root: dict[str, Any], why: str) -> None:
    three = [
        turn(1, FIRST, HI, wire=wire, root=root),
        turn(2, SECOND, BASEL, wire=wire, root=root),
        turn(3, THIRD, BYE, wire=wire, root=root),
    ]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        (found,) = conversations(traces(*(three[at] for at in order)))
        assert ids([found]) == [["1", "2", "3"]] and len(found) == 6
        assert why in found.notes[0] and said(found) == SAID


def test_history_that_the_provider_keeps_is_put_together_from_the_turns() -> None:
    def responses(number: int, line: tuple[str, str], answer: str, previous: str | None) -> list[Span]:
        parameters = {} if previous is None else {"previous_response_id": previous}
        more = {
            "llm.invocation_parameters": json.dumps(parameters),
            "output.value": json.dumps({"id": f"resp_{number}", "output": answer}),
        }
        return turn(number, [line], answer, wire=openinference, more=more)

    three = [
        responses(1, HELLO, HI, None),
        responses(2, WHERE, BASEL, "resp_1"),
        responses(3, THANKS, BYE, "resp_2"),
    ]
    (found,) = conversations(traces(*three))
    assert said(found) == SAID
    cassette = cassette_of(found)
    assert [one.turn for one in cassette.http] == [1, 2, 3]


def test_what_a_provider_remembers_of_a_tool_call_is_put_together_too() -> None:
    asks, answers = turn(1, [WHERE], "", root={"session.id": "s-1"})[1], turn(1, [WHERE], BASEL)[1]
    call = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"parcel": 77}}
    result = {"type": "tool_call_response", "id": "c1", "response": "Basel"}
    asks.attributes["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "parts": [call]}])
    answers.attributes["gen_ai.input.messages"] = json.dumps([{"role": "tool", "parts": [result]}])
    answers.span_id, answers.start_ns, answers.end_ns = "f" * 16, NOON + 12 * S, NOON + 13 * S
    conversation = cassette_of(Trace(asks.trace_id, [asks, answers])).conversation
    assert [one.get("text") or one["called"] for one in conversation] == [WHERE[1], "find", BASEL]


def test_an_agent_that_sends_only_the_end_of_the_history_said_all_the_same() -> None:
    window = [("assistant", HI), WHERE, ("assistant", BASEL), THANKS]
    asked = [(FIRST, HI), (SECOND, BASEL), (window, BYE)]
    turns = [turn(at, lines, answer, root={"session.id": "s"}) for at, (lines, answer) in enumerate(asked, 1)]
    (found,) = conversations(traces(*turns))
    assert said(found) == SAID


def test_a_span_link_to_the_trace_before_puts_two_together() -> None:
    first, second = turn(1, FIRST, HI), turn(2, [WHERE], BASEL)
    second[0].links.append(Link(first[0].trace_id, first[0].span_id))
    assert ids(conversations(traces(first, second))) == [["1", "2"]]


def test_two_conversations_that_interleave_stay_two() -> None:
    """The same users' first words are the same; what follows tells them apart."""
    other: Says = [HELLO, ("assistant", HI), ("user", "Where is parcel 78?")]
    turns = [
        turn(1, FIRST, HI, more={"user.id": "u-1"}),
        turn(2, FIRST, HI, more={"user.id": "u-2"}),
        turn(3, other, "In Bern.", more={"user.id": "u-1"}),
        turn(4, SECOND, BASEL, more={"user.id": "u-2"}),
    ]
    random.Random(4).shuffle(turns)
    assert sorted(map(sorted, ids(conversations(traces(*turns))))) == [["1", "3"], ["2", "4"]]


@pytest.mark.parametrize(
    "roots",
    [
        [{"mcp.session.id": "m-1"}, {"mcp.session.id": "m-1"}],
        [{"session.id": "default"}, {"session.id": "default"}],
        [{"user.id": "u-1"}, {"user.id": "u-1"}],
        [
            {"gen_ai.conversation.id": "c-1", "session.id": "s"},
            {"gen_ai.conversation.id": "c-2", "session.id": "s"},
        ],
        [{"gen_ai.conversation.id": "c-1"}, {"gen_ai.conversation.id": "c-2"}],
    ],
)
def test_what_puts_nothing_together(roots: list[dict[str, Any]]) -> None:
    found = traces(turn(1, FIRST, HI, root=roots[0]), turn(2, [WHERE], BASEL, root=roots[1]))
    assert ids(conversations(found)) == [["1"], ["2"]]


def test_a_greeting_that_everybody_gets_is_no_history() -> None:
    greeted: Says = [("assistant", "Welcome!"), WHERE]
    found = traces(turn(1, [("assistant", "Welcome!"), HELLO], HI), turn(2, greeted, BASEL))
    assert ids(conversations(found)) == [["1"], ["2"]]


def test_simulated_conversations_of_one_session_stay_themselves() -> None:
    def run(number: int) -> list[Span]:
        spans = turn(number, FIRST, HI, more={"session.id": "s-1"})
        return [conversation_span(spans[0].trace_id, spans), *spans]

    assert ids(conversations(traces(run(1), run(2)))) == [["1"], ["2"]]


def test_spans_of_two_traces_that_share_an_id_stay_two() -> None:
    """Ids are unique inside a trace only; parents stay with their own children."""
    root = {"session.id": "s-1"}
    first, second = turn(1, FIRST, HI, root=root), turn(2, SECOND, BASEL, root=root)
    for span in second:
        span.span_id = f"{1:015x}" + span.span_id[-1]
        span.parent_id = span.parent_id and f"{1:015x}1"
    (found,) = conversations(traces(first, second))
    assert len({span.span_id for span in found}) == 4
    for span in found:
        if span.parent_id:
            parent = found.get(span.parent_id)
            assert parent is not None and parent.trace_id == span.trace_id
    assert [span.span_id for span in second] == [f"{1:015x}1", f"{1:015x}2"], "what was given stays"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three turns of one conversation, and an older one of the same user."""
    turns = [
        turn(3, THIRD, BYE, root={"gen_ai.conversation.id": "c-1", "user.id": "u"}),
        turn(9, [("user", "Are you open?")], "Yes.", root={"gen_ai.conversation.id": "c-0", "user.id": "u"}),
        turn(1, FIRST, HI, root={"gen_ai.conversation.id": "c-1", "user.id": "u"}),
        turn(2, SECOND, BASEL, root={"gen_ai.conversation.id": "c-1", "user.id": "u"}),
    ]
    write_otlp_jsonl(tmp_path / "found.jsonl", [span for spans in turns for span in spans])
    return tmp_path / "found.jsonl"


def test_one_is_chosen_by_any_of_its_ids_or_their_beginnings(file: Path) -> None:
    for name in ("c-1", f"{2:032x}"):
        (found,) = read_conversations(file, choice=Choice(name))
        assert ids([found]) == [["1", "2", "3"]]
    assert [ids([one]) for one in iter_conversations(file)] == [[["1", "2", "3"]], [["9"]]]
    assert ids(read_conversations(file, choice=Choice(trace=f"{2:032x}"))) == [["2"]]
    for name, problem in (("c-", "beginning of several: c-1, c-0"), ("x", "not among its conversations")):
        with pytest.raises(TraceFileError, match=problem):
            read_conversations(file, choice=Choice(name))


def test_every_verb_takes_the_conversation(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "Parcel", "--from-trace", str(file)]) == 2
    told = capsys.readouterr().err
    assert "c-1" in told and "c-0" in told and "--conversation" in told
    assert main(["new", "Parcel", "--from-trace", str(file), "--conversation", "c-1"]) == 0
    made = yaml.safe_load((tmp_path / "scenarios" / "parcel.yaml").read_text())
    assert [line.get("says") for line in made["script"]][:3] == [HELLO[1], WHERE[1], THANKS[1]]

    other = tmp_path / "other.jsonl"
    write_otlp_jsonl(
        other, [span for spans in read_conversations(file, choice=Choice("c-1")) for span in spans]
    )
    assert main(["diff", str(other), str(file)]) == 2
    assert main(["diff", str(other), str(file), "--conversation", "c-1"]) == 0
    assert main(["diff", str(file), str(file), "--conversation", "c-1", "--conversation", "c-0"]) == 1

    assert main(["dataset", "add", str(file), "--conversation", "c-1", "--to", "golden"]) == 0
    assert main(["dataset", "add", str(other), "--to", "golden"]) == 0
    assert len(list((tmp_path / "golden" / "cases").glob("*.yaml"))) == 1, "the same conversation, once"
    capsys.readouterr()
    assert main(["score", str(file), "--evaluators", "ConversationCoherence"]) == 3
    assert "conversation c-1, 3 traces" in capsys.readouterr().out
    assert main(["trace", "show", str(file), "--conversation", "c-1"]) == 0
    assert capsys.readouterr().out.count("POST /chat") == 3
    assert main(["trace", "cost", str(file), "--conversation", "c-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 3
    assert main(["trace", "find", str(file), "--conversation", "c-1", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_folder_and_a_broken_file_are_read_alike_by_every_verb(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A conversation may lie in several files of a folder; ``--tolerant`` leaves out what is broken."""
    folder = tmp_path / "traces"
    folder.mkdir()
    lines = file.read_text().splitlines(keepends=True)
    for at, line in enumerate(lines):
        (folder / f"{at}.jsonl").write_text(line)
    (folder / "broken.jsonl").write_text('{"resourceSpans": [{"scopeS')
    monkeypatch.chdir(tmp_path)
    one = ["--conversation", "c-1"]
    for verb in (
        ["new", "Parcel", "--from-trace", str(folder), *one],
        ["diff", str(folder), str(folder), *one],
        ["dataset", "add", str(folder), "--to", "golden", *one],
        ["replay", str(folder), "--agent", "python:nowhere:agent", *one],
        ["score", str(folder), "--evaluators", "ConversationCoherence"],
        ["trace", "show", str(folder)],
        ["trace", "cost", str(folder)],
        ["trace", "quality", str(folder)],
        ["trace", "find", str(folder)],
    ):
        capsys.readouterr()
        assert main(verb) == 2 and "broken.jsonl" in capsys.readouterr().err, verb
        main([*verb, "--tolerant"])
        told = capsys.readouterr()
        assert "is not JSON" not in told.err and "breaks off" not in told.err.split("left out")[0], verb


@pytest.mark.parametrize("name", ["session.id", "gen_ai.conversation.id"])
@pytest.mark.parametrize(
    "verb",
    [
        ["trace", "show", "MIXED"],
        ["trace", "show", "MIXED", "--conversation", "c-2"],
        ["trace", "find", "MIXED", "--session", "c-2"],
        ["trace", "find", "MIXED", "--json"],
        ["diff", "MIXED", "MIXED"],
        ["new", "Both", "--from-trace", "MIXED"],
        ["dataset", "add", "MIXED", "--to", "golden"],
        ["replay", "MIXED", "--agent", "python:nowhere:agent"],
        ["score", "MIXED", "--evaluators", "StepEfficiency"],
    ],
)
def test_every_verb_that_reads_tells_that_a_trace_holds_two_conversations(
    name: str,
    verb: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    top = Span("9" * 32, "9" * 16, "batch", None, NOON, NOON + 900 * S)
    spans = [top]
    for number in (1, 2):
        spans += turn(number, [("user", "Hi")], "Hello", more={name: f"c-{number}"})
    for span in spans:
        span.trace_id = top.trace_id
        span.parent_id = span.parent_id or (None if span is top else top.span_id)
    write_otlp_jsonl("mixed.jsonl", spans)
    main(["mixed.jsonl" if word == "MIXED" else word for word in verb])
    told = capsys.readouterr()
    words = " ".join((told.out + told.err).split())
    assert "2 conversations" in words or '["c-1", "c-2"]' in words
    assert "c-1" in words and "c-2" in words


@pytest.mark.parametrize("name", ["session.id", "gen_ai.conversation.id"])
def test_one_trace_that_holds_two_conversations_is_told(name: str) -> None:
    one = turn(1, [("user", "Hi")], "Hello", more={name: "c-1"})
    other = turn(2, [("user", "Cancel it")], "Done", more={name: "c-2"})
    top = Span("9" * 32, "9" * 16, "batch", None, NOON, NOON + 900 * S)
    spans = [top, *one, *other]
    for span in spans:
        span.trace_id = top.trace_id
        span.parent_id = span.parent_id or (None if span is top else top.span_id)
    (again,) = turn(1, [("user", "Hi")], "Hello", more={name: "c-1"})[-1:]
    again.trace_id = "8" * 32
    (found,) = conversations([Trace(top.trace_id, spans), Trace(again.trace_id, [again])])
    assert any("holds 2 conversations (c-1, c-2)" in note for note in found.notes)
    with pytest.raises(NotReplayable, match="c-1, c-2"):
        cassette_of(Trace(top.trace_id, spans))
    assert cassette_of(Trace(top.trace_id, spans), partial=True).http
    diff = compare(Trace(top.trace_id, spans), Trace(again.trace_id, [again]))
    assert "c-1, c-2" in diff.not_compared[0]


@pytest.mark.parametrize("name", ["session.id", "gen_ai.conversation.id"])
@pytest.mark.parametrize("whose", [None, "c-2"])
def test_one_of_two_conversations_in_a_trace_is_taken_by_its_id(
    name: str, whose: str | None, tmp_path: Path
) -> None:
    top = Span("9" * 32, "9" * 16, "batch", None, NOON, NOON + 900 * S)
    spans = [top, *turn(1, [("user", "Hi")], "Hello", more={name: "c-1"})]
    spans += turn(2, [("user", "Cancel it")], "Done", more={name: "c-2"})
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "cancel"}
    spans.append(Span("9" * 32, "8" * 16, "execute_tool cancel", None, NOON + S, NOON + 2 * S, tool))
    if whose is not None:
        tool[name] = whose
    for span in spans[1:]:
        span.trace_id, span.parent_id = top.trace_id, span.parent_id or top.span_id
    write_otlp_jsonl(file := tmp_path / "batch.jsonl", spans)
    (second,) = read_conversations(file, choice=Choice("c-2"))
    (first,) = read_conversations(file, choice=Choice("c-1"))
    called = [[str(call.name) for call in TraceReading(one).tool_calls] for one in (first, second)]
    told = [
        [view.input[-1].text for _, view in TraceReading(one).llm_calls if view.input]
        for one in (first, second)
    ]
    if whose is None:  # the tool may be either's, so that neither may be told without it
        assert called == [["cancel"], ["cancel"]] and told == [["Hi", "Cancel it"]] * 2
        assert all("read as one" in one.notes[-1] for one in (first, second))
    else:
        assert called == [[], ["cancel"]] and told == [["Hi"], ["Cancel it"]]
        assert "of which this is c-2" in second.notes[-1] and top.span_id in {s.span_id for s in second.spans}


def test_a_sub_agent_s_own_session_is_part_of_the_conversation() -> None:
    outer = turn(1, [("user", "Hi")], "Hello", root={"session.id": "s-1"})
    outer[-1].attributes["session.id"] = "s-1/sub"
    assert several(TraceReading(Trace(outer[0].trace_id, outer))) == []
