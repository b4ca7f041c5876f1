"""A simulated trace has the shape and the tags of the same agent's production traces."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from fixtures.agents.model_server import ModelServer
from simulate.conversation.agents.adapter import Call
from simulate.conversation.agents.http import HttpAdapter
from simulate.errors import FileProblems, InputError
from simulate.integrations.livekit.engine import job_metadata
from simulate.interfaces.cli.main import main
from simulate.model.identity import ATTRIBUTES, ConversationStart, filled, filled_texts, parse_tags
from simulate.model.request_template import RequestTemplate
from simulate.model.request_template import filled as by_template
from simulate.model.scenario import Scenario
from simulate.run import run
from simulate.trace.conversations import conversations
from simulate.trace.diff import compare
from simulate.trace.files.reader import read
from simulate.trace.otlp.decode import from_sdk
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span, group

WORDS = {
    "user": "u-7731", "session": "s-42", "tenant": "acme", "feature": "refunds", "experiment": "exp-9",
    "cohort": "billing", "prompt_version": "v2.3.1",
}  # fmt: skip
TAGS = {ATTRIBUTES[word]: value for word, value in WORDS.items()}


class Kept(SpanExporter):
    """An exporter, as production has one."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += [from_sdk(span) for span in spans if isinstance(span, ReadableSpan)]
        return SpanExportResult.SUCCESS


KEPT = Kept()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(KEPT))
TRACER = PROVIDER.get_tracer("shop")


def told(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


async def shout(message: str) -> str:
    return message.upper()


class Shop:
    """An agent that is instrumented by the conventions and keeps its history."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []

    def reply(self, message: str) -> str:
        self.history.append({"role": "user", "parts": [{"type": "text", "content": message}]})
        about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "shop", "session.id": "s-42"}
        with TRACER.start_as_current_span("invoke_agent shop", attributes=about):
            call = {
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look",
                "gen_ai.tool.call.id": "c",
                "gen_ai.tool.call.arguments": "{}", "gen_ai.tool.call.result": '"here"',
            }  # fmt: skip
            with TRACER.start_as_current_span("execute_tool look", attributes=call):
                pass
            chat = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.output_tokens": 5, "gen_ai.input.messages": json.dumps(self.history),
                "gen_ai.output.messages": told("assistant", f"{message}: here"),
            }  # fmt: skip
            with TRACER.start_as_current_span("chat gpt-4o", attributes=chat):
                answer = f"{message}: here"
        self.history.append({"role": "assistant", "parts": [{"type": "text", "content": answer}]})
        return answer


async def test_the_same_agent_s_simulated_trace_differs_in_nothing_from_production() -> None:
    lines = ["Where is 77?", "And 78?"]
    KEPT.spans.clear()
    shop = Shop()
    for line in lines:
        shop.reply(line)
    for span in KEPT.spans:
        span.attributes |= TAGS  # as an agent's own span processor tags what it exports
    (production,) = conversations(group(list(KEPT.spans)))
    assert len({span.trace_id for span in production}) == 2, "a trace a request, as a web server has it"
    outcome = await run(Scenario(name="x", script=[{"says": line} for line in lines], **WORDS), agent=Shop)
    diff = compare(production, outcome.trace, ignore=["latency"])
    assert diff.same, diff.summary(20)
    assert not diff.not_compared


async def test_who_calls_and_what_is_tried_stands_on_every_span() -> None:
    outcome = await run(Scenario(name="x", opens_with="hi", **WORDS), agent=Shop)
    reading = TraceReading(outcome.trace)
    assert len(reading.spans) == 4
    for span, view in reading:
        assert {name: span.attributes[name] for name in TAGS} == TAGS
        assert view.user_id == "u-7731" and view.tags["tenant.id"] == "acme"
    (root,) = reading.roots
    assert root.name == "conversation"
    assert root.attributes["gen_ai.cost.total"] == pytest.approx(10 * 2.5e-6 + 5 * 10e-6)


async def test_an_agent_without_spans_is_observed_with_tags_steps_and_first_token() -> None:
    outcome = await run(Scenario(name="x", script=[{"says": "hi"}, {"says": "ho"}], **WORDS), agent=shout)
    reading = TraceReading(outcome.trace)
    agents = [view for span, view in reading if span.name.startswith("invoke_agent")]
    assert [view.step for view in agents] == [1, 2]
    assert all(view.user_id == "u-7731" for _, view in reading)


async def test_an_endpoint_gets_them_as_baggage_and_where_its_headers_and_options_name_them() -> None:
    headers = {"X-User": "{user}", "X-Experiment": "{experiment}", "X-Plain": "as it is"}
    body = {"user": "{user}", "metadata": {"tenant": "acme/{tenant}", "cohort": "{cohort}"}}

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        return {"content": "hello"}

    async with ModelServer({"agent": brain}).running() as server:
        adapter = HttpAdapter(server.url, headers=headers, body=body)
        call = Call(ConversationStart("ab" * 16, attributes={"user.id": "u-7731", "tenant.id": "acme"}))
        async with adapter.connect(call) as session:
            async for _ in session.send("hi"):
                pass
        await adapter.aclose()
        (request,) = server.requests
        assert request["user"] == "u-7731" and request["metadata"] == {"tenant": "acme/acme"}
    assert filled(headers, call.placeholders) == {"X-User": "u-7731", "X-Plain": "as it is"}
    assert filled("{conversation} {other}", ConversationStart("c").placeholders()) == "c {other}"


GIVEN = Scenario.model_validate(
    {
        "name": "x", "opens_with": "hi", "tags": ["a", "b"], "tenant": "acme",
        "options": {"plan": "gold", "limits": {"day": 3}},
        "persona": {"name": "Ida", "user": "u-1", "tenant": "no", "options": {"plan": "basic", "vip": True}},
    }
)  # fmt: skip
TOLD = {"user": "u-1", "tenant": "acme", "tags": ["a", "b"], **GIVEN.options, "vip": True}


async def test_a_class_and_a_function_are_told_who_calls_and_an_id_alone_goes_on_to_work() -> None:
    seen: list[Any] = []

    class Told:
        def start(self, conversation: ConversationStart) -> None:
            seen.append(conversation)

        def reply(self, message: str) -> str:
            return message

    class TakesAnId:
        def start(self, conversation_id: str) -> None:
            seen.append(json.dumps(conversation_id))

        def reply(self, message: str) -> str:
            return message

    def told(message: str, conversation: str) -> str:
        seen.append(conversation)
        return message

    def told_of_all(messages: list[dict[str, Any]], conversation: str) -> str:
        seen.append(conversation)
        return "hi"

    outcomes = [await run(GIVEN, agent=agent) for agent in (Told, told, told_of_all)]
    assert [each.known() for each in seen] == [TOLD] * 3
    assert [str(each) for each in seen] == [outcome.conversation.id for outcome in outcomes]
    assert seen[0].persona.name == "Ida" and seen[0].scenario == "x" and seen[0].case == {}
    outcome = await run(GIVEN, agent=TakesAnId)
    assert json.loads(seen[-1]) == outcome.conversation.id
    stands = {"simulate.tags": "a,b", "simulate.options.plan": "gold", "simulate.options.vip": "true"}
    assert outcome.trace is not None
    assert all({name: span.attributes.get(name) for name in stands} == stands for span in outcome.trace)


WHO = {
    "plan": "{{options.plan}}",
    "day": "{{options.limits.day}}",
    "of": "{{user}} {{case.n}}",
    "no": "{{cohort}}",
}
NAMED = {"plan": "gold", "day": 3, "of": "u-1 7"}


async def test_requests_and_calls_carry_the_options_where_they_are_named(tmp_path: Path) -> None:
    start = ConversationStart("c", attributes={"user.id": "u-1"}, case={"n": 7}, options=GIVEN.options)
    assert filled(WHO, start.placeholders()) == NAMED == by_template(WHO, start.placeholders())
    assert filled_texts({"X": "{options.limits}", "Y": "{feature}"}, start.placeholders()) == {
        "X": '{"day": 3}'
    }
    metadata = job_metadata({"who": WHO, "plan": "none"}, start, {"traceparent": "00"})
    assert metadata["who"] == NAMED and metadata["plan"] == "gold" and metadata["user"] == "u-1"
    (tmp_path / "echo.py").write_text("print(input())")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.simulate.agents.echo]\naddress = 'exec:python echo.py'\n"
        "request = {body = {text = '{{message}} {{options.plan}} {{case.n}} {{tags}}'}, answer = '$.text'}\n"
    )
    (tmp_path / "x.yaml").write_text(
        "name: x\nagent: echo\ntags: [t]\nopens_with: hi\noptions: {plan: gold}\ncases: [{n: 7}]\n"
        "expect: [{said: {contains: 'hi gold 7 [\"t\"]'}}]\n"
    )
    with contextlib.chdir(tmp_path):
        assert await asyncio.to_thread(main, ["run", "x.yaml", "--out", "run"]) == 0


def test_a_placeholder_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"options"):
        RequestTemplate(body={"a": "{{message}} {{option}}"})


def test_tags_of_the_command_line_and_of_a_case_reach_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calm.py").write_text("def agent(message: str) -> str:\n    return 'yes'\n")
    (tmp_path / "x.yaml").write_text(
        "name: x\nagent: python:calm.py:agent\nopens_with: hi\nuser: '{{user}}'\n"
        "cases: [{user: u-1}, {user: u-2}]\n"
    )
    given = ["--tag", "tenant=acme", "--tag", "release.id=2026.11", "--out", "run"]
    assert main(["run", "x.yaml", *given]) == 0
    found = [read(path)[0] for path in sorted((tmp_path / "run").rglob("trace.otlp.jsonl"))]
    assert [span.attributes["user.id"] for trace in found for span in trace.spans[:1]] == ["u-1", "u-2"]
    for trace in found:
        assert {span.attributes["tenant.id"] for span in trace} == {"acme"}
        assert {span.attributes["release.id"] for span in trace} == {"2026.11"}


@pytest.mark.parametrize(("tag", "problem"), [("usr=x", 'did you mean "user"'), ("user=", "no value")])
def test_a_tag_that_there_is_not_is_refused(tag: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse_tags([tag])


def test_a_word_that_there_is_not_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nopens_with: hi\ntenat: acme\n")
    with pytest.raises(FileProblems, match="tenant"):
        Scenario.load(tmp_path / "x.yaml")
