"""Reading OTLP: spans a second beside ``orjson`` alone on the same bytes; memory of a large file; redaction.

    python -m benchmarks.reading [--spans 100000] [--megabytes 1000]

``--megabytes 0`` leaves out the large file, which is written to the temporary folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from simulate.trace.files import writing
from simulate.trace.files.reader import iter_spans, iter_traces
from simulate.trace.files.writing import otlp_lines
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Event, Span

NS = 1_795_335_466_000_000_000
PER_TRACE = 50


def spans(count: int) -> list[Span]:
    """Traces of 50 spans: model calls with messages, tools, an event each now and then."""
    resource_ = {"service.name": "support", "telemetry.sdk.language": "python"}
    made: list[Span] = []
    for at in range(count):
        first = at % PER_TRACE == 0
        said = f"Where is my order A-1{at:05d}?"
        does = "invoke_agent" if first else "chat" if at % 2 else "execute_tool"
        messages = orjson.dumps([{"role": "user", "parts": [{"type": "text", "content": said}]}]).decode()
        made.append(
            Span(
                f"{at // PER_TRACE + 1:032x}",
                f"{at + 1:016x}",
                "invoke_agent" if first else "chat gpt-5-mini" if at % 2 else "execute_tool lookup",
                None if first else f"{at - at % PER_TRACE + 1:016x}",
                NS + at * 1000,
                NS + at * 1000 + 900,
                {
                    "gen_ai.operation.name": does,
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-5-mini",
                    "gen_ai.usage.input_tokens": at % 5000,
                    "gen_ai.usage.output_tokens": at % 300,
                    "gen_ai.request.temperature": 0.5,
                    "gen_ai.response.finish_reasons": ["stop"],
                    "gen_ai.input.messages": messages,
                },
                [Event("first_token", NS + at * 1000 + 100)] if at % 4 == 0 else [],
                resource=resource_,
                scope="opentelemetry.instrumentation.openai",
            )
        )
    return made


def best(run: Callable[[], Any], times: int = 3) -> float:
    """The shortest of several runs, in seconds of processor time."""
    found = float("inf")
    for _ in range(times):
        began = time.process_time()
        run()
        found = min(found, time.process_time() - began)
    return found


def speed(count: int) -> None:
    made = spans(count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        writing.write_otlp_jsonl(path, made)
        lines = path.read_bytes().splitlines()
        size = path.stat().st_size / 1e6
        del made
        alone = best(lambda: sum(1 for line in lines if orjson.loads(line)))
        ours = best(lambda: sum(1 for _ in iter_spans(path)))
    print(f"{count:,} spans, {size:.0f} MB of OTLP JSON lines")
    print(f"{'orjson.loads alone':<34}{alone:>9.2f} s{count / alone:>14,.0f} spans/s{1:>8.2f} ×")
    print(f"{'iter_spans':<34}{ours:>9.2f} s{count / ours:>14,.0f} spans/s{ours / alone:>8.2f} ×")


def redaction() -> None:
    redactor = Redactor(b"benchmark")
    prose = ("The customer wrote about order A-1002 and a price of 42.50 on 2025-12-04. " * 30)[:2000]
    body = '[{"role":"user","content":"%s"}]'
    texts = {
        "2 kB of prose": prose,
        "2 kB of JSON": body % prose[:1960],
        "2 kB with an address and a key": prose[:1940] + " a@example.com sk-" + "aB3" * 10,
    }
    for name, text in texts.items():
        took = best(lambda text=text: [redactor.text(text) for _ in range(20)]) / 20
        print(f"redact {name:<34}{took * 1e3:>9.2f} ms")


def large(megabytes: int) -> None:
    """A file of which the traces interleave, read in a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.jsonl"
        made = spans(20_000)
        with path.open("wb") as file:
            wave = 0
            while file.tell() < megabytes * 1_000_000:
                for at, span in enumerate(made):
                    # two halves of a trace lie a whole wave apart
                    number = (wave // 2) * len(made) + at
                    span.trace_id = f"{number // PER_TRACE + 1:032x}"
                    span.span_id = f"{wave * len(made) + at + 1:016x}"
                file.writelines(otlp_lines(made))
                wave += 1
        code = "import sys; from benchmarks.reading import measure; measure(sys.argv[1])"
        subprocess.run(
            [sys.executable, "-c", code, str(path)], check=True, env=os.environ | {"TMPDIR": folder}
        )


def measure(path: str) -> None:
    """Read one trace at a time, and print what it took."""
    began = time.perf_counter()
    traces = count = 0
    for trace in iter_traces(path):
        traces += 1
        count += len(trace)
    # not getrusage: its figure is inherited from the process that started this one
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    size = Path(path).stat().st_size / 1e6
    took = time.perf_counter() - began
    print(
        f"iter_traces: {size:,.0f} MB, {traces:,} traces, {count:,} spans in {took:.0f} s, peak {peak:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=1000)
    args = parser.parse_args()
    speed(args.spans)
    redaction()
    if args.megabytes:
        large(args.megabytes)


if __name__ == "__main__":
    main()
