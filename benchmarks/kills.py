"""``kill -9`` at any moment of any verb that writes: nothing that had finished is lost, no file is half.

    python -m benchmarks.kills [--n 200] [--seed 1]

A run is killed and resumed until it is done: each outcome that stood in its folder stays there, at the end
there is one of each, and nothing half-written is left. A file that a verb replaces is the old one or the new
one. Each verb is killed at a random moment of the time that it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from simulate.model.whole_file import HALF_WRITTEN

ROOT = Path(__file__).resolve().parent.parent
TRACE = str(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl")
TRIALS = 12
AGENT = """
import time
def agent(message):
    time.sleep(0.05)
    return "ok"
"""
SCENARIO = """
name: Kept
agent: python:agents:agent
script: [{says: hi}, {says: and then?}]
expect: [{said: {contains: ok}}]
"""
FILES: dict[str, tuple[str, Sequence[str]]] = {
    "trace convert": ("out.jsonl", ["trace", "convert", TRACE, "-o", "out.jsonl"]),
    "trace redact": ("out.jsonl", ["trace", "redact", TRACE, "-o", "out.jsonl"]),
    "trace sample": ("out.jsonl", ["trace", "sample", TRACE, "-o", "out.jsonl", "--baseline", "1"]),
    "trace show": ("out.html", ["trace", "show", TRACE, "--html", "out.html"]),
    "diff": ("out.html", ["diff", TRACE, TRACE, "--trace", "15d5", "--html", "out.html"]),
    "score": ("out.json", ["score", TRACE, "--evaluators", "TrajectoryScore,PII", "--json", "out.json"]),
    "gate": ("gate.xml", ["gate", "done", "--gate", "gate.yaml", "--gate-junit", "gate.xml"]),
    "schema": ("schemas/scenario.schema.json", ["schema", "--write", "schemas"]),
}
"""By verb: the file that it replaces, and its words."""


def started(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulate", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def killed(words: Sequence[str], folder: Path, after: float) -> bool:
    """Whether it was still running when it was killed."""
    process = started(words, folder)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def duration(words: Sequence[str], folder: Path) -> float:
    began = time.perf_counter()
    started(words, folder).wait()
    return time.perf_counter() - began


def kept(run: Path) -> set[str]:
    """The ids of the outcomes whose lines are whole."""
    file = run / "outcomes.jsonl"
    found = set[str]()
    for line in file.read_text().splitlines() if file.is_file() else ():
        try:
            outcome = json.loads(line)
        except ValueError:
            continue  # the line that was being written
        found.add(f"{outcome['scenario']}-{outcome['trial']}")
    return found


def runs(count: int, chance: random.Random, folder: Path, record: bool) -> tuple[int, list[str]]:
    """Kill runs and resume them; the kills that hit, and what is wrong."""
    wrong, hits, number = list[str](), 0, 0
    words = ["run", "s.yaml", "--trials", str(TRIALS), "--jobs", "2"]
    words += ["--record", "tapes"] * record
    takes = duration([*words, "--out", "first"], folder)
    while hits < count:
        number += 1
        out, before = folder / f"run{number}{record}", set[str]()
        again = [*words, "--out", out.name]
        for _ in range(6):
            hits += killed(again, folder, chance.uniform(0.3, takes))
            now = kept(out)
            wrong += [f"{out.name}: {name} is lost" for name in before - now]
            before = now
            again = [*words, "--resume", out.name] if (out / "run.json").is_file() else again
        process = started(again, folder)
        code = process.wait()
        if code != 0 or len(kept(out)) != TRIALS:
            wrong.append(f"{out.name}: exit code {code} with {len(kept(out))} of {TRIALS} outcomes")
        wrong += [f"{file} is left over" for file in out.rglob(HALF_WRITTEN)]
    return hits, wrong


def files(count: int, chance: random.Random, folder: Path) -> tuple[Counter[str], list[str]]:
    """Kill verbs that replace a file; the kills that hit, by verb, and what is wrong."""
    hits, wrong, takes = Counter[str](), list[str](), dict[str, float]()
    whole: dict[str, bytes] = {}
    for verb, (name, words) in FILES.items():
        takes[verb] = duration(words, folder)
        whole[verb] = _steady((folder / name).read_bytes())
    while hits.total() < count:
        verb = min(FILES, key=lambda each: hits[each])
        name, words = FILES[verb]
        file = folder / name
        file.write_bytes(b"old")
        hits[verb] += killed(words, folder, chance.uniform(0, takes[verb] * 1.05))
        left = file.read_bytes() if file.is_file() else b""
        if left != b"old" and _steady(left) != whole[verb]:
            wrong.append(f"{verb}: {name} is neither the old one nor the new one ({len(left)} bytes)")
    return hits, wrong


def _steady(data: bytes) -> bytes:
    """Without what differs from one time to the next: its length says whether it is whole, roughly."""
    return data[:40] + data[-40:] if data.endswith((b"\n", b">", b"}")) else data


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="kills that hit a running verb")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents.py").write_text(AGENT)
        (folder / "s.yaml").write_text(SCENARIO)
        (folder / "gate.yaml").write_text("pass_rate: 10%\n")
        duration(["run", "s.yaml", "--trials", "2", "--out", "done"], folder)
        wrong = list[str]()
        for what, record in (("run, run --resume", False), ("run --record, --resume", True)):
            hits, found = runs(args.n // 4, chance, folder, record)
            print(f"{what:<24}{hits:>5} kills, {len(found)} wrong", flush=True)
            wrong += found
        hit, found = files(args.n - args.n // 4 * 2, chance, folder)
        for verb, hits in hit.items():
            print(f"{verb:<24}{hits:>5} kills", flush=True)
        print(f"{'files':<24}{hit.total():>5} kills, {len(found)} wrong")
        wrong += found
    for each in wrong[:20]:
        print(each, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
