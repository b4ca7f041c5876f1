"""Signals at any moment of any verb: nothing that had finished is lost, no file is half, nothing goes on.

    python -m benchmarks.kills [--n 200] [--seed 1]

A run is killed (``kill -9``) and resumed until it is done: each outcome that stood in its folder stays,
at the end there is one of each, and nothing half-written is left. The other verbs get SIGKILL, SIGTERM,
SIGINT or SIGHUP at a random moment of the time that they take. A file that a verb replaces is the old or the
new one; where it writes several, none of them is there without those that it needs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kills_verbs import OLD, TRACE, VERBS, Verb, steady
from simulate.model.whole_file import HALF_WRITTEN

STOPS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
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


def started(words: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulate", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def stopped(words: Sequence[str], folder: Path, after: float, number: signal.Signals) -> tuple[bool, bool]:
    """Whether it was still running when the signal came, and whether it went on for 30 seconds."""
    process = started(words, folder)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True, True
        return True, False
    return False, False


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


def verbs(
    count: int, chance: random.Random, top: Path, names: Sequence[str]
) -> tuple[Counter[str], list[str]]:
    """Stop verbs by signals; those that hit, by verb, and what is wrong."""
    hits, tries, wrong, takes = Counter[str](), Counter[str](), list[str](), dict[str, float]()
    whole: dict[str, bytes] = {}
    for name in names:
        folder, verb = shutil.copytree(top / "start", top / f"{name} once"), VERBS[name]
        takes[name] = verb.lasts or duration(verb.words, folder)
        if verb.replaces is not None:
            whole[name] = steady((folder / verb.replaces).read_bytes())
    while hits.total() < count:
        name = min(names, key=lambda each: (hits[each], tries[each]))
        verb, number = VERBS[name], chance.choice(STOPS)
        folder = shutil.copytree(top / "start", top / f"{name} {tries[name]}")
        tries[name] += 1
        latest = takes[name] * (1 if verb.lasts else 1.05)
        hit, late = stopped(verb.words, folder, chance.uniform(0, latest), number)
        hits[name] += hit
        found = left_behind(verb, folder, whole.get(name), swept=number != signal.SIGKILL)
        found += ["it did not end within 30 seconds"] * late
        if verb.again and (code := started(verb.words, folder).wait()) != 0:
            found.append(f"the same words end with {code} afterwards")
        wrong += [f"{name} ({number.name}): {each}" for each in found]
        shutil.rmtree(folder)
    return hits, wrong


def left_behind(verb: Verb, folder: Path, whole: bytes | None, *, swept: bool) -> list[str]:
    """What is wrong with what a verb left; ``swept``: nothing half-written may be there."""
    found: list[str] = []
    if verb.replaces is not None:
        data = (folder / verb.replaces).read_bytes()
        if data != OLD and steady(data) != whole:
            found.append(f"{verb.replaces} is neither the old one nor the new one ({len(data)} bytes)")
    if verb.left is not None and (told := verb.left(folder)) is not None:
        found.append(told)
    if swept:
        found += [f"{file.name} is left over" for file in folder.rglob(HALF_WRITTEN)]
    return found


def prepared(folder: Path) -> None:
    """A project in which every verb finds what it needs, and files that it replaces."""
    folder.mkdir()
    (folder / "agents.py").write_text(AGENT)
    (folder / "s.yaml").write_text(SCENARIO)
    (folder / "gate.yaml").write_text("pass_rate: 10%\n")
    duration(["run", "s.yaml", "--trials", "2", "--out", "done"], folder)
    shutil.copytree(folder / "done", folder / ".simulate/runs/one")
    duration(["dataset", "add", TRACE, "--trace", "15d5", "--to", "kept"], folder)
    shutil.copytree(folder / "kept", folder / "edited")
    (case,) = (folder / "edited/cases").glob("*.yaml")
    case.write_text(case.read_text() + "# by hand\n")
    (folder / "schemas").mkdir()
    for verb in VERBS.values():
        if verb.replaces is not None:
            (folder / verb.replaces).write_bytes(OLD)
    (folder / "out.json").write_bytes(OLD)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="signals that hit a running verb")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbs", nargs="*", choices=VERBS, help="these alone, and no runs")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what nohup ignores, the verbs would ignore, too
    wrong = list[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "start"
        prepared(folder)
        each = 0 if args.verbs else args.n // 4
        for what, record in (("run, run --resume", False), ("run --record, --resume", True)) if each else ():
            hits, found = runs(each, chance, shutil.copytree(folder, Path(name) / what), record)
            print(f"{what:<24}{hits:>5} kills, {len(found)} wrong", flush=True)
            wrong += found
        hit, found = verbs(args.n - each * 2, chance, Path(name), args.verbs or list(VERBS))
        for verb, hits in hit.items():
            print(f"{verb:<24}{hits:>5} signals", flush=True)
        print(f"{'verbs':<24}{hit.total():>5} signals, {len(found)} wrong")
        wrong += found
    for told in wrong[:20]:
        print(told, file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
