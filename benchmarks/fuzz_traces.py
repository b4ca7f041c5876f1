"""Mutated trace files against every reader: each is read or refused in words; no crash, no hang.

    python -m benchmarks.fuzz_traces --n 100000 [--seed 1] [FILE…]

Seeds are small files of every format, made here, and the files named on the command line. An input that
raises anything but an InputError is written to the folder ``fuzz-failures`` and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gzip
import io
import json
import random
import re
import resource
import signal
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from simulate.errors import InputError
from simulate.replay.from_trace import cassette_of
from simulate.trace.conversations import conversations
from simulate.trace.cost import cost_of
from simulate.trace.diff import compare
from simulate.trace.files.reader import read
from simulate.trace.otlp import encode
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.redact import Redactor
from simulate.trace.span import Event, Link, Span
from simulate.trace.tree import build
from simulate.trace.vendors.jaeger import to_jaeger

TRACE, NS = "0af7651916cd43dd8448eb211c80319c", 1_700_000_000_000_000_000
MS = NS // 1_000_000
HANG = 20
"""Seconds of processor after which an input counts as one that hangs; far above any real reading of these
small files."""


def seeds() -> dict[str, bytes]:
    """A small file of each format."""
    spans = [
        Span(TRACE, f"{at:016x}", f"chat {at}", f"{at - 1:016x}" if at > 1 else None, NS + at, NS + at + 9,
             {"gen_ai.operation.name": "chat", "n": at, "x": 0.5, "ok": True, "l": ["a", 1], "j": '{"a": [1]}'},
             [Event("e", NS, {"k": "v"})], [Link(TRACE, f"{1:016x}")], "error", "gone")
        for at in range(1, 5)
    ]  # fmt: skip
    record = {
        "name": "s",
        "context": {"trace_id": "t1", "span_id": "s1"},
        "start_time": "2025-01-01T00:00:00Z",
    }
    observation = {
        "id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2025-01-01T00:00:00Z", "name": "g",
        "parentObservationId": None, "metadata": '{"attributes": {"a": "b"}, "scope": {"name": "x"}}',
        "usageDetails": {"input": 3}, "input": [{"role": "user", "content": "hi"}],
    }  # fmt: skip
    run = {
        "id": "r1", "run_type": "llm", "name": "r", "start_time": "2025-01-01T00:00:00", "inputs": {"a": 1},
        "dotted_order": "20250101T000000000000Zr1", "extra": {"metadata": {"ls_model_name": "m"}},
        "child_runs": [{"id": "r2", "run_type": "tool", "name": "c", "start_time": "2025-01-01T00:00:00"}],
    }  # fmt: skip
    chat = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]  # fmt: skip
    ticks = [{"timestamp": "2025-01-01T00:00:00", "user_chunk": {"contains_speech": True}, "agent_chunk": {}}]
    table = {"context.span_id": {"0": "s"}, "context.trace_id": {"0": "t"}, "name": {"0": "n"}}
    as_otlp = encode.to_json(spans)
    made: dict[str, Any] = {
        "otlp": as_otlp,
        "tempo": {"batches": as_otlp["resourceSpans"]},
        "jaeger": to_jaeger(spans),
        "langfuse": {
            "trace": {"id": "t1", "scores": [{"name": "s", "value": 1}]},
            "observations": [observation],
        },
        "langsmith": [run],
        "zipkin": [
            {"traceId": "ab" * 8, "id": "cd" * 8, "timestamp": MS * 1000, "duration": 5, "tags": {"a": "b"}}
        ],
        "phoenix": [record | {"span_kind": "LLM", "attributes": {"llm": {"m": [{"a": 1}]}}}],
        "dataframe": table,
        "plain": [
            record | {"attributes": {"a": 1}, "events": [{"name": "e", "timestamp": NS}], "startTime": [1, 2]}
        ],
        "messages": [{"messages": chat, "trial": 0, "reward": 0.5}, {"traj": chat}],
        "ticks": {"ticks": ticks, "id": "x"},
    }
    files = {name: json.dumps(value).encode() for name, value in made.items()}
    lines = [json.dumps(encode.to_json([span])).encode() + b"\n" for span in spans]
    files["jsonl"] = b"".join(lines)
    files["protobuf"] = encode.to_protobuf(spans).SerializeToString()
    files["prefixed"] = len(files["protobuf"]).to_bytes(4, "big") + files["protobuf"]
    files["csv"] = (
        b"context.span_id,context.trace_id,name,attributes.l,start_time\ns,t,n,\"[{'a': 1}]\",2025-01-01\n"
    )
    files["gzip"] = gzip.compress(files["jsonl"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.json", files["jaeger"])
    files["zip"] = packed.getvalue()
    files |= _parquet(spans)
    files["html"] = b"<html><title>Sign in</title></html>"
    files["log"] = b"2025-01-01 INFO started\n2025-01-01 ERROR stopped\n"
    return files


def _parquet(spans: list[Span]) -> dict[str, bytes]:
    """A dataframe's file, where its extra is installed."""
    try:
        import pyarrow  # pyright: ignore
        from pyarrow import parquet  # pyright: ignore
    except ImportError:
        return {}
    rows = [
        {
            "context.span_id": span.span_id,
            "context.trace_id": TRACE,
            "name": span.name,
            "attributes.l": [{"a": 1}],
        }
        for span in spans
    ]
    written = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), written)  # pyright: ignore
    return {"parquet": written.getvalue()}


# ruff: noqa: E501 - data
ODD: list[Any] = [
    None, True, 0, -1, 2**63, 10**30, 1e308, float("nan"), "", "x", "\ud800", "\x1b[2J", "9" * 400, [], {}, [[]],
    [None], {"a": None}, "0" * 32, "A" * 24, NS, MS, -NS, "2025-13-99T99:99:99Z", [1] * 50, "{", "x" * 20_000,
    {"values": [{"stringValue": 1}]},
]  # fmt: skip
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\0",
    b",",
    b":",
    b"\n",
    b"\xff",
    b"NaN",
    b"1e999",
    b"\\ud800",
    b"null",
]


_ID = re.compile(r"id$", re.IGNORECASE)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: of a value inside of the JSON (a line of it where there are several), or of
    bytes."""
    if data[:1] in b"{[" and rng.random() < 0.6:
        whole = data.count(b"\n{") == 0
        lines = [data] if whole else data.splitlines(keepends=True)
        at = rng.randrange(len(lines))
        with contextlib.suppress(ValueError):
            twisted = json.dumps(_twisted(json.loads(lines[at]), rng)).encode("utf-8", "surrogatepass")
            lines[at] = twisted if whole else twisted + b"\n"
            return b"".join(lines)
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(7):
            case 0:
                del changed[at:]
            case 1:
                del changed[at : at + rng.randint(1, 40)]
            case 2:
                changed[at:at] = rng.choice(PIECES) * rng.choice([1, 1, 1, 2, 3000])
            case 3 if changed:
                changed[at % len(changed)] = rng.randrange(256)
            case 4:
                changed[at:at] = changed[: rng.randint(1, 200)]
            case 5:
                changed[at : at + 8] = rng.randbytes(8)
            case _:
                changed[:0] = rng.choice(
                    [b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b" ", b"\x1f\x8b", b"PK\x03\x04", b"PAR1"]
                )
    return bytes(changed)


def _twisted(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        waiting = [value]
        while waiting:
            item = waiting.pop()
            keys = (
                list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
            )
            places += [(item, key) for key in keys]
            waiting += [item[key] for key in keys]
        if not places or len(places) > 20_000:
            return copy.deepcopy(rng.choice(ODD))
        named = [(item, key) for item, key in places if isinstance(key, str) and _ID.search(key)]
        if named and rng.random() < 0.15:
            holder, key = rng.choice(named)
            other, its = rng.choice(named)
            holder[key] = rng.choice([other[its], rng.randrange(10**15), copy.deepcopy(rng.choice(ODD))])
            continue
        holder, key = rng.choice(places)
        if (inner := _document_in(holder[key])) is not None and rng.random() < 0.8:
            # what instrumentations write into one attribute: messages, arguments, documents
            holder[key] = json.dumps(_twisted(inner, rng))
            continue
        match rng.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[rng.choice([str(key) + "_", "traceId", "spans", "data", "attributes", "id"])] = (
                    holder.pop(key)
                )
            case 2:
                # a part of the document in another place; copied first, or it could hold itself
                holder[key] = json.loads(json.dumps(rng.choice(places)[0]))
            case 3:
                holder[key] = [holder[key]] * rng.choice([1, 3])
            case _:
                holder[key] = copy.deepcopy(rng.choice(ODD))
    return value


def _document_in(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return None
    try:
        return json.loads(value) or None
    except ValueError:
        return None


def attempt(data: bytes, rng: random.Random) -> str:
    """Read, and do with the traces what every user of them does; the outcome as a word."""
    try:
        traces = read(io.BytesIO(data), tolerant=rng.random() < 0.5)
    except InputError as error:
        if not 10 < len(str(error)) < 3000:
            raise AssertionError("an error must say something, and not all of the file") from error
        return "refused"
    redactor = Redactor(b"fuzz")
    for trace in conversations(traces):
        _ = TraceReading(trace).tool_calls
    for trace in traces:
        tree = build(trace)
        assert sum(1 for _ in tree) == len(tree)
        for span in trace.spans[:5]:
            redactor.span(span)
        reading = TraceReading(trace)
        _ = reading.tool_calls, reading.handoffs, reading.retrievals, reading.embeddings, reading.evidence
        with contextlib.suppress(InputError):  # what the trace lacks is refused in words
            cassette_of(trace, partial=True)
        encode.to_json(trace.spans)
        cost_of(trace)
        assert compare(trace, trace).changes == []
        to_jaeger(trace.spans)
    return "read, with notes" if any(trace.notes for trace in traces) else "read"


class Hang(Exception):
    """An input took too long."""


def _alarm(signum: int, frame: Any) -> None:
    raise Hang


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    files = seeds() | {path.name: path.read_bytes() for path in args.files}
    rng = random.Random(args.seed)
    signal.signal(signal.SIGPROF, _alarm)
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: Counter[str] = Counter()
    slowest, began = (0.0, ""), time.perf_counter()
    for name, data in files.items():
        if name not in ("html", "log"):
            assert attempt(data, rng) != "refused", f"the seed {name} itself is refused"
    for number in range(args.n):
        name = rng.choice(list(files))
        data = mutate(files[name], rng)
        started = time.perf_counter()
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            outcome = attempt(data, rng)
        except (Exception, Hang) as error:  # noqa: BLE001 - what a fuzzer is for
            outcome = "FAILED"
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "?"
            failures[f"{type(error).__name__} at {where}: {str(error)[:80]}"] += 1
            folder = Path("fuzz-failures")
            folder.mkdir(exist_ok=True)
            (folder / f"{args.seed}-{number}-{name}").write_bytes(data)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        outcomes[name, outcome] += 1
        slowest = max(slowest, (time.perf_counter() - started, f"{name} #{number}, {len(data)} bytes"))
    words = ("read", "read, with notes", "refused", "FAILED")
    print(f"{'seed':<46}" + "".join(f"{word:>18}" for word in words))
    for name in files:
        print(f"{name[:45]:<46}" + "".join(f"{outcomes[name, word]:>18}" for word in words))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{args.n} inputs in {time.perf_counter() - began:.0f} s, at most {memory:.0f} MB, slowest {slowest[0]:.2f} s ({slowest[1]})"
    )
    for failure, count in failures.most_common(40):
        print(f"{count} × {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
