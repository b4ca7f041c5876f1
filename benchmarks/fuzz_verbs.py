"""Mutated files of every kind given to the verb that reads them: each is read or refused in words.

    python -m benchmarks.fuzz_verbs --n 20000 [--seed 1]

A file is changed by its bytes or, where it is JSON or YAML, by its structure: values in other places, odd
values, control and bidirectional characters in names. What counts as a failure: a traceback, an exit code
beyond 0 to 3, more than 20 seconds, a raw control or bidirectional character on standard output or error.
`fuzz_traces` and `fuzz_loader` do the same for the readers of traces and scenarios by themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from simulate.interfaces.cli.main import main as simulate

ROOT = Path(__file__).resolve().parent.parent
HANG = 20
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "\x1b]0;OWNED\x07\x1b[2J\u202e"
ODD: list[Any] = [
    None, True, -1, 2**64, 10**400, 1e308, float("nan"), "", EVIL, "\ud800", "x" * 5000, [], {}, [[]],
    {EVIL: EVIL}, "../../etc/passwd", "\x00", "a\nb", "9" * 400, {"a": {"a": {"a": [None] * 50}}},
]  # fmt: skip
PIECES = [
    EVIL.encode(),
    b"\xff\xfe",
    b"\x00",
    b"[" * 900,
    b"{" * 900,
    b"\n",
    b"'",
    b'"',
    b"\xc3",
    b"NaN",
    b": ",
]
Case = tuple[str, bytes, Callable[[Path], list[str]]]


def cases() -> dict[str, Case]:
    """By name: where the file lies in the folder, what is in it, and the words that have it read."""
    scenario = {
        "name": "Refund", "agent": "python:agents:ok", "opens_with": "hi {{n}}", "tags": ["a"],
        "expect": [{"said": {"contains": "ok"}}, {"called": "f", "with": {"id": {"matches": "[0-9]+"}}}],
        "tools": {"f": {"status": "lost"}}, "limits": {"turns": 3, "time": "5s"}, "cases": "rows.csv",
    }  # fmt: skip
    outcome = {
        "scenario": "a", "agent": "b", "status": "failed", "side": "agent", "trial": 1, "reason": "r",
        "conversation": {"id": "1" * 32, "medium": "text", "utterances": [
            {"speaker": "caller", "text": "hi", "turn": 1, "start": 0.0, "end": 0.1}]},
        "verdicts": [{"check": "said", "expectation": "e", "status": "failed", "fact": "f"}],
    }  # fmt: skip
    record = {"id": "r", "started": "2026-01-01T00:00:00", "ended": "2026-01-01T00:00:01", "agent": "a",
              "seed": 0, "command": ["simulate", "run"], "versions": {}, "counts": {"failed": 1}}  # fmt: skip
    http = {"interactions": [{
        "request": {"method": "POST", "uri": "http://x/v1/chat/completions", "body": "{}", "headers": {}},
        "response": {"status": {"code": 200, "message": "OK"}, "headers": {"content-type": ["text/x"]},
                     "body": {"string": "{}"}}}], "version": 1}  # fmt: skip
    tape = next(path for path in sorted((ROOT / "scenarios/cassettes").iterdir()) if path.is_dir())
    taped = {file.name: file.read_bytes() for file in tape.iterdir() if file.is_file()}
    trace = json.loads((ROOT / "fixtures/traces/openinference_openai.otlp.jsonl").read_text().splitlines()[0])
    gate = {"pass_rate": "90%", "scores": {"PII": 1}, "latency": "3s", "confidence": "95%", "judged": "90%"}
    project = b'[tool.simulate]\nscenarios = ["s.yaml"]\n[tool.simulate.agents]\nx = "python:agents:ok"\n'
    as_yaml, as_json = _yaml, _json
    again = ["replay", "tape", "--agent", "python:agents:ok", "--allow-edited"]
    label = {"evaluator": "Groundedness", "label": "grounded", "said": "a", "name": "n"}
    where = ["--filter", "kind=LLM"]
    stale, score = ["replay", "tape", "--stale"], ["--evaluators", "TrajectoryScore"]
    return {
        "scenario": ("s.yaml", as_yaml(scenario), lambda file: ["check", str(file)]),
        "rows": ("rows.csv", b"n,m\n1,2\n3,4\n", lambda file: ["check", "s.yaml"]),
        "project": ("pyproject.toml", project, lambda file: ["check", "s.yaml"]),
        "gate": ("gate.yaml", as_yaml(gate), lambda file: ["gate", "run", "--gate", str(file)]),
        "run.json": ("run/run.json", as_json(record), lambda file: ["gate", "run", "--gate", "gate.yaml"]),
        "outcomes": ("run/outcomes.jsonl", as_json(outcome) + b"\n", lambda file: [
            "gate", "run", "--gate", "gate.yaml", "--gate-markdown", "gate.md", "--gate-junit", "gate.xml"]),
        "vcr yaml": ("c.yaml", as_yaml(http), lambda file: [
            "replay", str(file), "--agent", "python:agents:ok"]),
        "vcr stale": ("tape/http.json", as_json(http), lambda file: stale),
        "manifest": ("tape/manifest.json", taped["manifest.json"], lambda file: stale),
        "tape http": ("tape/http.json", taped["http.json"], lambda file: stale),
        "tape said": ("tape/conversation.jsonl", taped["conversation.jsonl"],
                      lambda file: again),
        "tape played": ("tape/http.json", taped["http.json"],
                        lambda file: again),
        "reference": ("ref.json", as_json({"expected_tools": ["f"], "answer": "x"}), lambda file: [
            "score", "t.jsonl", "--reference", str(file), *score]),
        "show": ("t.jsonl", as_json(trace), lambda file: ["trace", "show", str(file)]),
        "quality": ("t.jsonl", as_json(trace), lambda file: ["trace", "quality", str(file)]),
        "cost": ("t.jsonl", as_json(trace), lambda file: ["trace", "cost", str(file)]),
        "find": ("t.jsonl", as_json(trace), lambda file: ["trace", "find", str(file), *where]),
        "diff": ("t.jsonl", as_json(trace), lambda file: ["diff", str(file), "u.jsonl"]),
        "score": ("t.jsonl", as_json(trace), lambda file: ["score", str(file), *score]),
        "new": ("t.jsonl", as_json(trace), lambda file: ["new", "--from-trace", str(file), "made"]),
        "labels": ("labels.jsonl", as_json(label), lambda file: [
            "judge", "calibrate", str(file)]),
    }  # fmt: skip


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def mutate(data: bytes, chance: random.Random) -> bytes:
    """The file changed by its structure, or by its bytes."""
    if chance.random() < 0.6:
        for load, dump in ((json.loads, _json), (yaml.safe_load, _yaml)):
            try:
                value = load(data)
                if isinstance(value, dict | list):
                    return dump(_twisted(value, chance))
            except (ValueError, yaml.YAMLError, RecursionError, TypeError):
                continue
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                del changed[at:]
            case 1:
                changed[at:at] = chance.choice(PIECES)
            case 2:
                del changed[at : at + chance.randint(1, 20)]
            case _:
                changed[at : at + 2] = chance.randbytes(2)
    return bytes(changed)


def _twisted(value: Any, chance: random.Random) -> Any:
    for _ in range(chance.randint(1, 3)):
        places, waiting = list[tuple[Any, Any]](), [value]
        while waiting:
            item = waiting.pop()
            keys = (
                list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
            )
            places += [(item, key) for key in keys]
            waiting += [item[key] for key in keys]
        if not places:
            return copy.deepcopy(chance.choice(ODD))
        holder, key = chance.choice(places)
        match chance.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice([f"{key}_", EVIL, "name", "", "x" * 300])] = holder.pop(key)
            case 2:
                holder[key] = copy.deepcopy(chance.choice(places)[0]) if len(places) < 200 else None
            case _:
                holder[key] = copy.deepcopy(chance.choice(ODD))
    return value


def attempt(name: str, data: bytes, all_cases: dict[str, Case]) -> tuple[str, str]:
    """Give the file to its verb, in this folder; the exit code as a word, and what is wrong with it."""
    place, _, words = all_cases[name]
    for other, content, _ in all_cases.values():
        Path(other).parent.mkdir(parents=True, exist_ok=True)
        Path(other).write_bytes(content)
    Path("u.jsonl").write_bytes(all_cases["show"][1])
    Path("agents.py").write_text("def ok(message): return 'ok'\n")
    Path(place).write_bytes(data)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = simulate(words(Path(place)))
        except Hang:
            return "FAILED", "hangs"
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 99
    told = out.getvalue() + err.getvalue()
    if "fault of simulate" in told:
        return "FAILED", " | ".join(told.strip().splitlines()[-4:-1])
    if (raw := RAW.search(told)) is not None:
        return "FAILED", f"raw {raw.group()!r} in {told[max(0, raw.start() - 60) : raw.start() + 20]!r}"
    return (str(code), "") if code in (0, 1, 2, 3) else ("FAILED", f"exit code {code}: {told[-200:]}")


class Hang(Exception):
    """It took too long."""


def _alarm(number: int, frame: Any) -> None:
    raise Hang


def run(count: int, seed: int) -> tuple[Counter[tuple[str, str]], dict[str, bytes]]:
    """How often each case came to what, and an input for each kind of failure."""
    all_cases, chance = cases(), random.Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    failures: dict[str, bytes] = {}
    before, here = signal.signal(signal.SIGALRM, _alarm), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            for _ in range(count):
                name = chance.choice(list(all_cases))
                data = mutate(all_cases[name][1], chance)
                os.chdir(folder)
                signal.alarm(HANG)
                word, problem = attempt(name, data, all_cases)
                signal.alarm(0)
                seen[name, word] += 1
                if word == "FAILED":
                    failures.setdefault(f"{name}: {problem}", data)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            os.chdir(here)
    return seen, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    began = time.perf_counter()
    seen, failures = run(args.n, args.seed)
    words = ("0", "1", "2", "3", "FAILED")
    print(f"{'exit code':<12}" + "".join(f"{word:>9}" for word in words))
    for name in cases():
        print(f"{name:<12}" + "".join(f"{seen[name, word]:>9}" for word in words))
    print(f"{args.n} inputs in {time.perf_counter() - began:.0f} s")
    for problem, data in failures.items():
        print(f"{problem}\n    {data[:300]!r}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
