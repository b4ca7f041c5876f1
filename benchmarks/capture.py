"""What capturing costs: 50,000 spans over OTLP beside a bare protobuf parse, and a turn in this process.

python -m benchmarks.capture            all of it
python -m benchmarks.capture --quick    a tenth of the spans
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import pickle
import statistics
import sys
import threading
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import cycle

from opentelemetry import trace as otel_trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from simulate.trace.capture import Capture
from simulate.trace.capture.receiver import PROTOBUF

BATCH = 512  # spans a request: what the SDK's batch processor sends
MESSAGES = '[{"role": "user", "parts": [{"type": "text", "content": "' + "where is my parcel? " * 20 + '"}]}]'
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026-08-07",
    "gen_ai.usage.input_tokens": 812,
    "gen_ai.usage.output_tokens": 64,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.input.messages": MESSAGES,
    "gen_ai.output.messages": MESSAGES,
}


CLIENT = """
import http.client, pickle, sys, time
requests = pickle.load(sys.stdin.buffer)
connection = http.client.HTTPConnection(sys.argv[1])
start = time.perf_counter()
for body in requests:
    connection.request("POST", "/v1/traces", body, {"Content-Type": sys.argv[2]})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
print(time.perf_counter() - start)
"""


class Keeping(SpanProcessor):
    """The least that one can do with a span: keep it."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def bodies(count: int, ids: list[str]) -> list[bytes]:
    """Export requests as an agent's exporter sends them: turns of an agent, a model call and a tool, of one
    conversation or of several in turn."""
    kept = Keeping()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("agent", "1.0")
    contexts = cycle(
        otel_trace.set_span_in_context(
            otel_trace.NonRecordingSpan(
                otel_trace.SpanContext(
                    int(each, 16), int(each[:16], 16), is_remote=True, trace_flags=otel_trace.TraceFlags(1)
                )
            )
        )
        for each in ids
    )
    while len(kept.spans) < count:
        turn(tracer, next(contexts))
    batches = (kept.spans[place : place + BATCH] for place in range(0, count, BATCH))
    return [encode_spans(batch).SerializeToString() for batch in batches]


def turn(tracer: otel_trace.Tracer, context: object = None) -> None:
    """Three spans, as most turns of an agent leave."""
    with tracer.start_as_current_span("invoke_agent support", context):  # type: ignore[arg-type]
        with tracer.start_as_current_span("chat gpt-5-mini", attributes=ATTRIBUTES):
            pass
        with tracer.start_as_current_span("execute_tool lookup_order"):
            pass


def best(times: int, work: Callable[[], object]) -> float:
    """Seconds of processor time of the quickest of several; the rest is the machine's noise."""
    found: list[float] = []
    for _ in range(times):
        gc.collect()
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


async def send(endpoint: str, requests: list[bytes]) -> float:
    """Seconds that a client in another process needs to send them all, one after the other."""
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, endpoint.removeprefix("http://"), PROTOBUF, stdin=PIPE, stdout=PIPE
    )
    taken, _ = await client.communicate(pickle.dumps(requests))
    return float(taken)


async def receiver(count: int, times: int, ids: list[str]) -> None:
    requests = bodies(count, ids)
    parsed: list[ExportTraceServiceRequest] = []

    def bare() -> None:
        parsed[:] = [ExportTraceServiceRequest.FromString(body) for body in requests]

    parse = best(times, bare)
    parsed.clear()
    size = sum(map(len, requests)) / 1e6
    print(f"{count:,} spans of {len(ids)} conversations in {len(requests)} requests, {size:.0f} MB")
    row("a bare protobuf parse of the same bytes", parse, parse, count)
    taken: list[float] = []
    wired: list[float] = []
    waited: list[float] = []
    decoded: list[float] = []
    for _ in range(times):
        async with Capture(receiver=True) as capture, AsyncExitStack() as stack:
            assert capture.receiver is not None
            opened = [stack.enter_context(capture.open(each)) for each in ids]
            gc.collect()
            start = time.process_time()
            for body in requests:
                capture.receiver.take("traces", body, PROTOBUF)
            taken.append(time.process_time() - start)
            assert sum(captured.inbox.received for captured in opened) == count
        async with Capture(receiver=True) as capture, AsyncExitStack() as stack:
            assert capture.endpoint is not None
            opened = [stack.enter_context(capture.open(each)) for each in ids]
            gc.collect()
            receiving = next(each for each in threading.enumerate() if each.name == "simulate-receiver")
            clock = time.pthread_getcpuclockid(receiving.ident or 0)
            start = time.clock_gettime(clock)
            waited.append(await send(capture.endpoint, requests))
            wired.append(time.clock_gettime(clock) - start)
            start = time.process_time()
            traces = [captured.so_far() for captured in opened]
            decoded.append(time.process_time() - start)
            assert sum(map(len, traces)) == count
            assert not any(trace.notes for trace in traces)
    row("taken in: parsed, routed, kept", min(taken), parse, count)
    row("the same over HTTP: the receiver's thread", min(wired), parse, count)
    row("the same over HTTP: as the client, another process, sees it", min(waited), parse, count)
    row("decoded into spans, once the verdict wants them", min(decoded), parse, count)


async def turns(conversations: int, rounds: int, times: int) -> None:
    """CPU of a turn with three spans: kept by the least processor there is; and captured and flushed."""

    def plain() -> float:
        kept = Keeping()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(kept)
        return work(provider.get_tracer("agent"))

    def work(tracer: otel_trace.Tracer) -> float:
        start = time.process_time()
        for _ in range(conversations * rounds):
            turn(tracer)
        return time.process_time() - start

    async def captured() -> float:
        provider = TracerProvider(shutdown_on_exit=False)
        tracer = provider.get_tracer("agent")

        async def converse(number: int) -> None:
            with capture.open(f"{number + 1:032x}") as opened:
                for _ in range(rounds):
                    turn(tracer)
                    await asyncio.sleep(0)
                assert len(await opened.flush()) == 3 * rounds

        async with Capture() as capture:
            start = time.process_time()
            await asyncio.gather(*(converse(number) for number in range(conversations)))
            return time.process_time() - start

    ours: list[float] = []
    base: list[float] = []
    for _ in range(times):
        gc.collect()
        base.append(plain())
        gc.collect()
        ours.append(await captured())
    per = 1e6 / (conversations * rounds)
    a, b = min(base) * per, min(ours) * per
    print(f"  {conversations:5,} at once: alone {a:4.0f} µs a turn, captured {b:4.0f} µs, {b - a:+4.0f} µs")


async def opening(times: int) -> None:
    async with Capture() as capture:
        costs: list[float] = []
        for number in range(times):
            start = time.perf_counter()
            with capture.open(f"{number + 1:032x}") as captured:
                await captured.flush()
            costs.append(time.perf_counter() - start)
    print(f"  open, flush and close of a conversation without spans: {statistics.median(costs) * 1e6:.0f} µs")


def row(what: str, seconds: float, base: float, count: int) -> None:
    print(
        f"  {what:55} {seconds * 1e3:8.0f} ms {seconds / count * 1e6:7.2f} µs a span {seconds / base:6.2f} ×"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the spans")
    quick = parser.parse_args().quick
    for conversations in (1, 50):
        ids = [f"{number + 1:016x}{number + 1:016x}" for number in range(conversations)]
        asyncio.run(receiver(5_001 if quick else 50_001, 2 if quick else 5, ids))
    print("three spans a turn, in this process")
    for conversations in (1, 50, 1_000):
        asyncio.run(turns(conversations, 10 if conversations > 1 else 200, 2 if quick else 5))
    asyncio.run(opening(200 if quick else 2_000))


if __name__ == "__main__":
    main()
