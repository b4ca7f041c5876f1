"""How fast `simulate serve` takes spans in and finds traces, and what is left after `kill -9`.

    python -m benchmarks.server [--traces 20000] [--kills 20] [--store URL]

Ingest runs a real server in a process of its own, to which LLM-sized spans are sent over HTTP; the searches
ask a store of that many traces in this process. The README has what Phoenix does with the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from benchmarks.report import OPENED, timed
from simulate.errors import SimulateError
from simulate.interfaces.cli.serve import collect_garbage_seldom
from simulate.model.percentile import percentile
from simulate.server import dashboard
from simulate.server.assembler import put_away_all
from simulate.server.client import Client
from simulate.server.intake import SpanIntake
from simulate.server.store import Store
from simulate.server.store.find import Wanted, find, one, trace_of
from simulate.server.store.incoming import put, span_row
from simulate.server.store.search import parse_search
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Span

WORDS = (Path(__file__).parents[1] / "README.md").read_text("utf-8").split()


def message(role: str, words: int, draw: random.Random) -> str:
    content = " ".join(draw.choices(WORDS, k=words)).replace('"', "")
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": content}]}])


def trace(number: int, spans: int = 10, began: int | None = None) -> list[Span]:
    """An agent's trace: model calls of some kB, tools and a retrieval, as production sends them; of the last
    30 days unless ``began`` says when."""
    draw = random.Random(number)
    trace_id = f"{draw.getrandbits(128) | 1:032x}"
    start = began or time.time_ns() - draw.randrange(30 * 86_400) * 1_000_000_000
    about = {
        "user.id": f"u-{number % 5000}", "session.id": f"s-{number}", "prompt.version": f"v{number % 4}",
        "openinference.span.kind": "AGENT", "feature.id": f"f{number % 6}",
    }  # fmt: skip
    made = [
        Span(
            trace_id, f"{draw.getrandbits(64) | 1:016x}", "answer", None, start, start + 3_000_000_000, about
        )
    ]
    for place in range(1, spans):
        span = Span(
            trace_id, f"{draw.getrandbits(64) | 1:016x}", "", made[0].span_id, start + place * 1_000_000
        )
        span.end_ns = span.start_ns + draw.randrange(1, 2_000_000_000)
        if place % 3 == 1:
            span.name = "chat gpt-4o-mini"
            span.attributes = {
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": draw.randrange(100, 9000),
                "gen_ai.usage.output_tokens": draw.randrange(1, 900) if number % 50 else 12_000,
                "gen_ai.input.messages": message("user", 220, draw),
                "gen_ai.output.messages": message("assistant", 80, draw),
            }  # fmt: skip
        elif place % 3 == 2:
            span.name = f"execute_tool tool_{place}"
            span.attributes = {
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool_{place}",
                "gen_ai.tool.call.arguments": json.dumps({"order": number}),
                "gen_ai.tool.call.result": json.dumps({"found": draw.choice(WORDS)}),
            }  # fmt: skip
            span.status = "error" if number % 40 == 0 else "ok"
        else:
            span.name = "search"
            span.attributes = {"openinference.span.kind": "RETRIEVER", "input.value": draw.choice(WORDS)}
        made.append(span)
    return made


def server(store: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "simulate", "serve", "--port", "0", "--quiet", "1", "--store", store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().split()[0]


def ingest(store: str, traces: int) -> None:
    began = time.monotonic()
    process, address = server(store)
    print(f"first answer after                {time.monotonic() - began:8.2f} s")
    client, took, count = Client(address), list[float](), 0
    batches = [
        [span for number in range(at, at + 50) for span in trace(number, began=time.time_ns())]
        for at in range(0, traces, 50)
    ]
    began = time.monotonic()
    for batch in batches:
        at = time.monotonic()
        count += client.send(batch)
        took.append((time.monotonic() - at) * 1000)
    acknowledged = time.monotonic() - began
    while client.get("/api/v1/status")["waiting_spans"]:
        time.sleep(0.2)
    whole = time.monotonic() - began
    usage = Path(f"/proc/{process.pid}/status")
    memory = next(
        (line.split()[1] for line in usage.read_text().splitlines() if line.startswith("VmHWM")), "0"
    )
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"acknowledged, durable, redacted   {count / acknowledged:8.0f} spans/s")
    print(f"  a request of 500 spans          {median(took):8.0f} ms, p99 {percentile(took, 99):.0f} ms")
    print(f"and all of it findable            {count / whole:8.0f} spans/s")
    print(f"  per second of processor         {count / (used.ru_utime + used.ru_stime):8.0f} spans")
    print(f"memory of the server, at most     {int(memory) / 1024:8.0f} MB")


def parts(url: str, traces: int) -> None:
    """The two halves of the way in, without HTTP, by the processor's time: it does not depend on what else
    the machine does."""
    store = Store(url)
    intake = SpanIntake(store)
    collect_garbage_seldom()
    batches = [
        to_protobuf(
            [span for number in range(at, at + 50) for span in trace(number, began=time.time_ns())]
        ).SerializeToString()
        for at in range(0, traces, 50)
    ]
    began = time.process_time()
    for body in batches:
        put(store, intake.rows("default", "traces", body, "application/x-protobuf")[0])
    kept = time.process_time()
    put_away_all(store)
    done = time.process_time()
    for name, took in (("kept", kept - began), ("put away", done - kept), ("both", done - began)):
        print(f"per second of processor, {name:<9}{traces * 10 / took:8.0f} spans")
    store.close()


def searches(url: str, traces: int) -> None:
    store = Store(url)
    for at in range(0, traces, 200):
        made = [trace(number) for number in range(at, min(at + 200, traces))]
        put(store, [span_row("default", some[0].trace_id, some, time.time_ns()) for some in made])
        put_away_all(store)
    now = time.time_ns()

    def look(query: str = "", **more: object) -> Callable[[], object]:
        return lambda: find(store, Wanted("default", parse_search(query), **more))

    wanted = trace(7)[0].trace_id

    def by_id() -> object:
        row = one(store, "default", wanted)
        return None if row is None else trace_of(store, row)

    asked: list[tuple[str, Callable[[], object]]] = [
        ("by user and time", look("user=u-7", since=now - 20 * 86_400 * 10**9)),
        ("newest 50 errors", look("error")),
        ("span field: RETRIEVER, >10,000 tokens", look("kind=RETRIEVER output_tokens>10000")),
        ("span field: LLM, >10,000 tokens", look("kind=LLM output_tokens>10000")),
        ("words", look(text="refund evidence")),
        ("dashboard of 30 days", lambda: dashboard.data(store, "default", 30)),
        ("trace by id", by_id),
    ]
    for name, ask in asked:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1000)
        print(f"{name:<40}{median(times):8.1f} ms")
    store.close()


def pages(store: str) -> None:
    """How long the page of a large trace takes the server, and then the browser."""
    process, address = server(store)
    client = Client(address)
    for count in (1_000, 10_000):
        spans = trace(count, count, time.time_ns())
        for at in range(0, count, 1_000):
            client.send(spans[at : at + 1_000])
        path = f"{address}/traces/{spans[0].trace_id}"
        while client.get(f"/api/v1/traces/{spans[0].trace_id}")["spans"] < count:
            time.sleep(0.5)
        began = time.perf_counter()
        with urlopen(path) as answer:
            body = answer.read()
        took = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "trace.html"
            page.write_bytes(body)
            opened = timed(page, OPENED)
        browser = "no Chromium" if opened is None else f"{opened[0] / 1e3:.2f} s"
        print(f"page of {count:>6,} spans in the server {took:9.2f} s, in the browser {browser}")
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def kills(store: str, count: int) -> None:
    """Kill the server under load; nothing that it acknowledged may be missing, and nothing half there."""
    acknowledged: set[str] = set()
    numbers = iter(range(10_000_000, 20_000_000))
    for _ in range(count):
        process, address = server(store)
        with process:
            enough = threading.Event()
            sending = threading.Thread(target=load, args=(address, numbers, acknowledged, enough))
            sending.start()
            enough.wait(60)
            time.sleep(random.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            sending.join(60)
    kept = Store(store)
    put_away_all(kept)
    rows = [one(kept, "default", trace_id) for trace_id in acknowledged]
    half = sum(row is not None and len(trace_of(kept, row)) != 3 for row in rows)
    lost = rows.count(None)
    print(f"{count} × kill -9: {len(acknowledged)} traces acknowledged, {lost} lost, {half} half there")
    kept.close()


def load(address: str, numbers: Iterator[int], acknowledged: set[str], enough: threading.Event) -> None:
    client = Client(address)
    for count, number in enumerate(numbers):
        spans = trace(number, spans=3)
        try:
            client.send(spans)
        except (SimulateError, OSError):
            return
        acknowledged.add(spans[0].trace_id)
        if count > 10:
            enough.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--store", help="postgresql://…, a new database for each part; default: SQLite files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("SIMULATE_BENCHMARK_DIR")) as folder:
        names = ("ingest", "find", "kill", "parts", "pages")
        files = [args.store or f"sqlite:///{folder}/{name}.db" for name in names]
        ingest(files[0], min(args.traces, 2000))
        parts(files[3], min(args.traces, 2000))
        searches(files[1], args.traces)
        kills(files[2], args.kills)
        pages(files[4])
