"""Virtual time, pinned chance, and traces that are the same bytes."""

# ruff: noqa: E501 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import asyncio
import random
import secrets
import subprocess
import sys
import time
import types
import uuid
from pathlib import Path
from time import monotonic as imported_by_name
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from simulate.determinism.clock import Deadlock, VirtualClock, VirtualLoop, real_time, run_virtual
from simulate.determinism.ids import SeededIds, pinned_chance
from simulate.replay import record, replaying


def test_an_hour_passes_at_once_and_in_order() -> None:
    real = time.monotonic()
    seen: list[tuple[str, float]] = []

    async def worker(name: str, every: float) -> None:
        for _ in range(3):
            await asyncio.sleep(every)
            seen.append((name, time.monotonic()))

    async def main() -> tuple[float, float, float]:
        before = time.monotonic(), time.time(), time.perf_counter()
        await asyncio.gather(worker("a", 600), worker("b", 900))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 900)
        after = time.monotonic(), time.time(), time.perf_counter()
        assert imported_by_name() == time.monotonic()
        return tuple(b - a for a, b in zip(before, after, strict=True))  # type: ignore[return-value]

    assert [round(seconds, 3) for seconds in run_virtual(main())] == [3600, 3600, 3600]
    assert [name for name, _ in seen] == ["a", "b", "a", "a", "b", "b"] or [name for name, _ in seen][:2] == [
        "a",
        "b",
    ]
    assert time.monotonic() - real < 30
    assert abs(imported_by_name() - time.monotonic()) < 1


class Stopwatch:
    """As libraries take a clock: bound when the class was defined."""

    def __init__(self, now: Any = time.monotonic, *, wall: Any = time.time) -> None:
        self.now, self.wall = now, wall


def test_a_clock_that_is_a_default_value_is_virtual_too() -> None:
    async def main() -> tuple[float, float]:
        watch = Stopwatch()
        began = watch.now(), watch.wall()
        await asyncio.sleep(600)
        return watch.now() - began[0], watch.wall() - began[1]

    assert [round(seconds, 3) for seconds in run_virtual(main())] == [600, 600]
    assert Stopwatch().now is time.monotonic and Stopwatch().wall is time.time, "as it was"


def test_a_thread_at_work_stops_the_clock() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def timer() -> None:
            await asyncio.sleep(3600)
            order.append("timer")

        task = asyncio.ensure_future(timer())
        await asyncio.to_thread(lambda: (time.sleep(0.1), order.append("thread")))
        await task
        return order

    assert run_virtual(main()) == ["thread", "timer"]


def test_a_socket_in_flight_is_waited_for(server: Any) -> None:
    import httpx

    async def main() -> tuple[int, float]:
        server.delay = 0.1
        before = time.monotonic()
        async with httpx.AsyncClient() as client:
            answer = await client.get(server.base + "/slow", timeout=5)
        return answer.status_code, time.monotonic() - before

    status, passed = run_virtual(main())
    assert status == 200 and 0.05 < passed < 5  # the time-out of 5 s did not jump ahead of the answer


def test_a_connection_within_the_loop_takes_no_time() -> None:
    async def main() -> tuple[bytes, float]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            await asyncio.sleep(600)
            writer.write(b"late\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        before, real = time.monotonic(), real_time()
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"when?\n")
            line = await asyncio.wait_for(reader.readline(), 1000)
            writer.close()
            await writer.wait_closed()
        assert real_time() - real < 60
        return line, time.monotonic() - before

    line, passed = run_virtual(main())
    assert line == b"late\n" and 600 <= passed < 601


def test_a_deadlock_is_told_with_the_tasks_that_wait() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(waits_for_ever(), name="the-forgotten-one")
        await task

    with pytest.raises(Deadlock, match=r"the-forgotten-one in test_a_deadlock.*waits_for_ever"):
        run_virtual(main())


def test_the_pace_of_a_recorded_stream_is_virtual(server: Any, tmp_path: Path) -> None:
    import httpx

    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "a b c d e f"}]}

    async def recorded() -> None:
        async with record(tmp_path / "c"), httpx.AsyncClient() as client:
            await client.post(server.base + "/v1/chat/completions", json=body)

    asyncio.run(recorded())

    async def replayed() -> float:
        async with replaying(tmp_path / "c", pace="recorded"), httpx.AsyncClient() as client:
            before = time.monotonic()
            await client.post("http://x.example/v1/chat/completions", json=body)
            return time.monotonic() - before

    first, again = run_virtual(replayed()), run_virtual(replayed())
    assert first == again > 0.1


def test_the_clock_of_the_pins() -> None:
    loop = VirtualLoop()

    async def main() -> int:
        clock = VirtualClock(loop)
        before = clock.time_ns()
        await clock.sleep(1.5)
        return clock.time_ns() - before

    assert loop.run_until_complete(main()) == 1_500_000_000
    loop.close()


def test_chance_is_pinned_by_conversation_and_free_outside() -> None:
    provider = TracerProvider(shutdown_on_exit=False)

    def draw() -> list[Any]:
        values: list[Any] = [1, 2, 3, 4, 5, 6]
        random.shuffle(values)
        span = provider.get_tracer("t").start_span("s")
        return [values, random.random(), uuid.uuid4(), span.get_span_context().trace_id]

    async def conversation(seed: int) -> list[Any]:
        with pinned_chance(seed):
            drawn = draw()
            await asyncio.sleep(0)
            return drawn + draw()

    async def main() -> list[list[Any]]:
        return await asyncio.gather(*(conversation(seed) for seed in (1, 2, 1)))

    one, two, again = asyncio.run(main())
    assert one == again != two
    assert draw() != draw()
    with pinned_chance(1):
        free = secrets.token_hex()
    with pinned_chance(1):
        assert secrets.token_hex() != free
    with pinned_chance(1, with_secrets=True):
        pinned = secrets.token_hex()
    with pinned_chance(1, with_secrets=True):
        assert secrets.token_hex() == pinned
    assert type(provider.id_generator) is not SeededIds


REPLAY = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
import openai, os
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
from simulate.trace.otlp.decode import from_sdk
from simulate.replay import replaying
from simulate.replay.matching.canonical import canonical_trace
from simulate.trace.span import Trace

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
OpenAIInstrumentor().instrument(tracer_provider=provider)

async def ask(client, text):
    messages = [{"role": "user", "content": text}]
    answer = await client.chat.completions.create(model="m", messages=messages)
    messages += [{"role": "assistant", "content": answer.choices[0].message.content}, {"role": "user", "content": "more"}]
    await client.chat.completions.create(model="m", messages=messages)

async def main():
    async with replaying(sys.argv[1]) as player, openai.AsyncOpenAI(base_url="http://h.example/v1", api_key="k") as client:
        with provider.get_tracer("agent").start_as_current_span("agent", attributes={"run": os.urandom(16).hex()}):
            await asyncio.gather(*(ask(client, text) for text in {"one", "two", "three"}))
    assert player.report().passed, player.report().explain()

asyncio.run(main())
spans = [from_sdk(span) for span in exporter.get_finished_spans()]
sys.stdout.buffer.write(canonical_trace(Trace(spans[0].trace_id, spans)))
"""


async def test_replays_in_other_processes_and_hash_seeds_are_the_same_bytes(
    server: Any, tmp_path: Path
) -> None:
    import os

    import openai

    async with (
        record(tmp_path / "c"),
        openai.AsyncOpenAI(base_url=server.base + "/v1", api_key="k") as client,
    ):
        for text in ("one", "two", "three"):
            messages: list[Any] = [{"role": "user", "content": text}]
            answer = await client.chat.completions.create(model="m", messages=messages)
            messages += [
                {"role": "assistant", "content": answer.choices[0].message.content},
                {"role": "user", "content": "more"},
            ]
            await client.chat.completions.create(model="m", messages=messages)

    def run(seed: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", REPLAY, str(tmp_path / "c")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    outputs = await asyncio.gather(*(asyncio.to_thread(run, seed) for seed in ("0", "1", "2")))
    assert len(set(outputs)) == 1 and outputs[0].count(b"\n") == 7


async def test_what_an_agent_draws_is_drawn_again_and_anew_for_each_recording(
    server: Any, tmp_path: Path
) -> None:
    async def agent() -> dict[str, Any]:
        body = {"request": str(uuid.uuid4()), "sample": random.random()}
        async with httpx.AsyncClient() as client:
            await client.post(server.base + "/anything", json=body)
        return body

    async with record(tmp_path / "one"):
        first = await agent()
    async with record(tmp_path / "two"):
        assert await agent() != first
    for _ in range(2):
        async with replaying(tmp_path / "one") as player:
            assert await agent() == first
        assert player.report().verdict == "identical"


@pytest.mark.parametrize(
    "added", ["a span", "a draw of a library", "another kind of value", "a draw of a module"]
)
async def test_one_more_draw_shifts_nothing_of_what_another_one_draws(
    server: Any, tmp_path: Path, added: str
) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    others = {name: types.ModuleType(name) for name in ("tenacity", "agent_rules")}
    for module in others.values():
        exec("import random\ndef draw(): return random.random()", module.__dict__)
    more: dict[str, Any] = {
        "a span": lambda: tracer.start_span("s").end(),
        "a draw of a library": others["tenacity"].draw,
        "another kind of value": uuid.uuid4,
        "a draw of a module": others["agent_rules"].draw,
    }

    async def agent(*, changed: bool) -> None:
        if changed:
            more[added]()
        async with httpx.AsyncClient() as client:
            await client.post(server.base + "/anything", json={"sample": random.random()})

    async with record(tmp_path / "c"):
        await agent(changed=False)
    for changed in (False, True):
        async with replaying(tmp_path / "c") as player:
            await agent(changed=changed)
        assert player.report().verdict == "identical", player.report().explain()


async def test_a_recording_of_before_draws_from_one_stream(server: Any, tmp_path: Path) -> None:
    async def agent() -> None:
        body = {"request": str(uuid.uuid4()), "sample": random.random()}
        async with httpx.AsyncClient() as client:
            await client.post(server.base + "/anything", json=body)

    async with record(tmp_path / "c") as recorder:
        with pinned_chance(recorder.manifest["chance"], with_ids=False, apart=False):
            await agent()
        del recorder.manifest["chance_apart"]
    async with replaying(tmp_path / "c") as player:
        await agent()
    assert player.report().verdict == "identical", player.report().explain()
