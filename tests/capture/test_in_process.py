import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags

from simulate.model.transcript import Conversation
from simulate.trace.capture import Capture, simulator_tracing
from simulate.trace.otlp.decode import from_protobuf, from_sdk
from simulate.trace.quality import Quality
from simulate.trace.span import Link as OurLink

NewId = Callable[[], str]


def quiet_provider(name: str) -> TracerProvider:
    return TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)


async def test_spans_become_children_of_the_remote_root(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("support", "1.2")
    with capture.open(new_id()) as captured:
        with tracer.start_as_current_span("invoke_agent support"), tracer.start_as_current_span("chat gpt"):
            pass
        trace = await captured.flush()
    chat, agent = trace.spans
    assert (agent.name, chat.name) == ("invoke_agent support", "chat gpt")
    assert agent.trace_id == chat.trace_id == captured.conversation_id
    assert agent.parent_id == captured.root_span_id
    assert chat.parent_id == agent.span_id
    assert agent.service == "support" and (agent.scope, agent.scope_version) == ("support", "1.2")
    assert trace.notes == []


def test_conversion_gives_what_the_otlp_exporter_would_have_sent(provider: TracerProvider) -> None:
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("scope", "3", attributes={"a": True})
    other = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1))
    context = otel_trace.set_span_in_context(otel_trace.NonRecordingSpan(other))
    attributes = {"text": "ä", "n": 3, "x": 1.0, "yes": True, "list": ["a", "b"], "blob": b"\x00\xff"}
    with tracer.start_as_current_span(
        "outer", context, SpanKind.SERVER, attributes, [Link(other, {"why": 1})]
    ):
        with contextlib.suppress(KeyError), tracer.start_as_current_span("inner") as inner:
            inner.add_event("seen", {"n": 1}, timestamp=12)
            raise KeyError("gone")
        tracer.start_span("third").end()
    spans = kept.get_finished_spans()
    assert [from_sdk(span) for span in spans] == list(from_protobuf(encode_spans(spans)))


async def test_providers_older_younger_and_never_global_all_count(new_id: NewId) -> None:
    older = quiet_provider("older")
    async with Capture() as capture:
        with capture.open(new_id()) as captured:
            younger = quiet_provider("younger")
            for each in (older, younger):
                each.get_tracer("t").start_span("work").end()
            trace = await captured.flush()
    assert sorted(span.service or "" for span in trace) == ["older", "younger"]


async def test_leaves_every_provider_as_it_was_found(provider: TracerProvider) -> None:
    methods = TracerProvider.__init__, TracerProvider.add_span_processor
    world = otel_trace._TRACER_PROVIDER
    before = provider._active_span_processor._span_processors
    async with Capture() as first:
        async with Capture() as second:
            added = provider._active_span_processor._span_processors
            assert added == (*before, first._processor, second._processor)
        assert provider._active_span_processor._span_processors == (*before, first._processor)
    assert provider._active_span_processor._span_processors == before
    assert (TracerProvider.__init__, TracerProvider.add_span_processor) == methods
    assert otel_trace._TRACER_PROVIDER is world


class Replacing(TracerProvider):
    """Throws out what is there when something is added, as traceAI's provider does with its default."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self._active_span_processor.shutdown()
        self._active_span_processor._span_processors = ()
        super().add_span_processor(span_processor)


async def test_a_provider_that_throws_out_processors_keeps_ours(capture: Capture, new_id: NewId) -> None:
    provider, theirs = Replacing(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    with capture.open(new_id()) as captured:
        provider.get_tracer("t").start_span("work").end()
        trace = await captured.flush()
    assert [span.name for span in trace] == ["work"]
    assert len(theirs.get_finished_spans()) == 1


async def test_two_hundred_conversations_with_threads_and_late_providers_never_mix(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("shared")

    def in_a_thread(name: str) -> None:
        with tracer.start_as_current_span("tool", attributes={"who": name}):
            pass

    async def agent(name: str, late: bool) -> None:
        with tracer.start_as_current_span("agent", attributes={"who": name}):
            await asyncio.sleep(0)
            await asyncio.to_thread(in_a_thread, name)
            mine = quiet_provider(name).get_tracer("late") if late else tracer
            await asyncio.sleep(0.001)
            with mine.start_as_current_span("chat", attributes={"who": name}):
                await asyncio.sleep(0)
        # a trace of its own, as a framework that ignores the context would start it
        mine.start_span("own", otel_context.Context(), attributes={"who": name}).end()

    async def converse(number: int) -> None:
        with capture.open(new_id()) as captured:
            for _ in range(3):
                await asyncio.create_task(agent(captured.conversation_id, late=number % 20 == 0))
            trace = await captured.flush()
        assert {span.attributes["who"] for span in trace} == {captured.conversation_id}
        assert (
            sorted(span.name for span in trace) == ["agent"] * 3 + ["chat"] * 3 + ["own"] * 3 + ["tool"] * 3
        )
        assert trace.notes == [
            "3 traces that the agent started itself belong to it, found started inside the conversation"
        ]

    await asyncio.gather(*(converse(number) for number in range(200)))
    assert capture.notes() == []
    assert capture.router.idle and not capture.router._routes


async def test_a_bare_thread_is_found_by_its_session_and_otherwise_counted(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("t")

    def work(attributes: dict[str, str]) -> None:
        with tracer.start_as_current_span("root"):
            tracer.start_span("child", attributes=attributes).end()

    with capture.open(new_id()) as captured:
        for attributes in ({"session.id": captured.conversation_id}, {}):
            thread = threading.Thread(target=work, args=(attributes,))
            thread.start()
            thread.join()
        trace = await captured.flush()
    assert [span.name for span in trace] == ["child", "root"]
    assert capture.router.unassigned == 2
    assert "2 spans belong to no conversation" in capture.notes()[0]


async def test_one_worker_trace_for_several_conversations_is_parted(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("worker")
    with capture.open(new_id()) as first:
        tracer.start_span("job", otel_context.Context(), attributes={"of": "nobody"}).end()
        with tracer.start_as_current_span("first", otel_context.Context()) as own_trace:
            inside = otel_trace.set_span_in_context(own_trace, otel_context.Context())
        with capture.open(new_id()) as second:
            tracer.start_span("second", inside).end()
            traces = [await first.flush(), await second.flush()]
    assert [[span.name for span in trace] for trace in traces] == [["job", "first"], ["second"]]
    assert any("several conversations" in note for note in traces[1].notes)


async def test_waits_for_open_spans_and_names_those_that_never_end(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("t")
    with capture.open(new_id()) as captured:
        slow, stuck = tracer.start_span("slow"), tracer.start_span("stuck")
        stuck.add_event("waiting")
        asyncio.get_running_loop().call_later(0.02, slow.end)
        trace = await captured.flush(settle=0.1)
        assert [span.name for span in trace] == ["slow"]
        assert trace.notes == ["1 span had not ended: stuck"]
        stuck.end()
    assert "1 spans came after the trace was read; they are not in it" in trace.notes
    tracer.start_span("far too late", captured.context).end()
    assert "2 spans came after their conversation was judged" in capture.notes()


async def test_what_is_not_sampled_in_production_is_not_captured(capture: Capture, new_id: NewId) -> None:
    with capture.open(new_id()) as captured:
        for sampler in (ALWAYS_OFF, ALWAYS_ON):
            provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
            provider.get_tracer("t").start_span(sampler.get_description()).end()
        trace = await captured.flush()
    assert [span.name for span in trace] == ["AlwaysOnSampler"]


async def test_the_callers_own_instrumented_calls_stay_out_of_the_agents_trace(
    capture: Capture, new_id: NewId
) -> None:
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai")
    with capture.open(new_id()) as captured:
        theirs = simulator_tracing.OwnTrace(
            new_id(), OurLink(captured.conversation_id, captured.root_span_id)
        )
        with simulator_tracing.collecting(theirs), simulator_tracing.model_call("caller", "chat small", {}):
            tracer.start_span("chat small").end()
        tracer.start_span("chat large").end()
        trace = await captured.flush()
    assert [span.name for span in trace] == ["chat large"]
    assert theirs.spans[0].links[0].trace_id == captured.conversation_id
    assert capture.notes() == []
    assert not capture._processor._thrown


async def test_two_captures_side_by_side_do_not_see_each_others_conversations(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    tracer = provider.get_tracer("t")
    async with Capture() as other:
        with capture.open(new_id()) as captured:
            tracer.start_span("child").end()
            tracer.start_span("own", otel_context.Context()).end()
            trace = await captured.flush()
        assert [span.name for span in trace] == ["child", "own"]
        assert other.notes() == []


async def test_work_that_a_conversation_left_behind_is_late(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    over = asyncio.Event()

    async def background() -> None:
        await over.wait()
        provider.get_tracer("t").start_span("cleaning up", otel_context.Context()).end()

    with capture.open(new_id()) as captured:
        task = asyncio.create_task(background())
        await captured.flush()
    over.set()
    await task
    assert capture.notes() == ["1 spans came after their conversation was judged"]


async def test_an_id_is_open_once_and_well_formed(capture: Capture, new_id: NewId) -> None:
    with capture.open(new_id()) as captured:
        with pytest.raises(ValueError, match="already open"), capture.open(captured.conversation_id):
            pass
        for wrong in ("", "0" * 32, "A" * 32, "ab"):
            with pytest.raises(ValueError, match="32 lower-case hex"), capture.open(wrong):
                pass
    with capture.open(captured.conversation_id):
        pass


def run_alone(script: str) -> None:
    """In a process of its own: OpenTelemetry's global provider can be set once only."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_an_agent_with_only_the_api_is_captured_and_a_later_global_provider_wins() -> None:
    run_alone(
        """
        import asyncio
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from simulate.trace.capture import Capture

        before = trace.get_tracer("made before")

        async def main():
            async with Capture() as capture:
                during = trace.get_tracer("made during")
                with capture.open("1" * 32) as captured:
                    with before.start_as_current_span("a"), during.start_as_current_span("b"):
                        pass
                    first = await captured.flush()
                assert [span.name for span in first] == ["b", "a"], first
                assert first.notes == [], first.notes
                assert "temporary one took the spans" in capture.notes()[0], capture.notes()
                # what an SDK asks before it sets its own
                assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
                theirs = InMemorySpanExporter()
                real = TracerProvider()
                real.add_span_processor(SimpleSpanProcessor(theirs))
                trace.set_tracer_provider(real)
                assert trace.get_tracer_provider() is real
                with capture.open("2" * 32) as captured:
                    with before.start_as_current_span("a"), during.start_as_current_span("b"):
                        pass
                    second = await captured.flush()
                assert [span.name for span in second] == ["b", "a"], second
                assert second.notes == [], second.notes
                assert [span.name for span in theirs.get_finished_spans()] == ["b", "a"]
            assert trace.get_tracer_provider() is real
            before.start_span("after").end()
            assert len(theirs.get_finished_spans()) == 3

        asyncio.run(main())
        """
    )


def test_without_a_global_provider_the_place_is_empty_again_afterwards() -> None:
    run_alone(
        """
        import asyncio
        from opentelemetry import trace
        from simulate.trace.capture import Capture

        async def main():
            async with Capture():
                during = trace.get_tracer("t")
            assert trace._TRACER_PROVIDER is None
            assert not during.start_span("nobody").is_recording()
            assert not trace.get_tracer("t").start_span("nobody").is_recording()

        asyncio.run(main())
        """
    )


async def test_who_calls_stands_on_root_and_spans_and_reaches_every_agent_as_baggage(
    capture: Capture, provider: TracerProvider, new_id: NewId
) -> None:
    about = {"user.id": "ünal, 7", "tenant.id": "acme"}
    conversation = Conversation(new_id(), started_ns=1_780_000_000_000_000_000, ended_by="caller")
    with capture.open(conversation.id, attributes=about) as captured:
        assert baggage.get_baggage("user.id", captured.context) == "ünal, 7"
        carried = otel_context.Context()
        carried = W3CBaggagePropagator().extract(captured.headers, carried)
        assert baggage.get_all(carried) == {
            "simulate.conversation.id": conversation.id, "simulate.run.id": "run-1", **about,
        }  # fmt: skip
        tracer = provider.get_tracer("t")
        for own in ({}, {"tenant.id": "its own"}):
            tracer.start_span("turn", attributes=own).end()
        trace = await captured.flush(conversation=conversation)
    root, first, second = trace.spans
    assert root.parent_id is None and {first.parent_id, second.parent_id} == {root.span_id}
    assert root.attributes["user.id"] == first.attributes["user.id"] == "ünal, 7"
    assert second.attributes["tenant.id"] == "its own"
    assert root.attributes["simulate.ended_by"] == "caller" and root.start_ns == conversation.started_ns
    quality = Quality()
    quality.add(trace)
    assert next(one.figure for one in quality.signals() if one.name == "causality") == 1
