"""100,000 mutated scenario files: every one is read or refused, none crashes or hangs.

    python -m benchmarks.fuzz_loader [--files 100000] [--seed 0]

The work is done in child processes, so that a crash of libyaml itself would be seen, and the seed and the
number of the guilty file are printed.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BATCH = 5_000
SLOW_SECONDS = 5.0
"""A file that takes longer has hung, for all that a person can tell."""

EVERY_WORD = """\
name: Every word
agent: python:a:b
persona: {name: Bo, locale: de_DE, knows: {id: 0420}, speaks: {typos: low}, voice: {speed: 1.1, line: phone}}
goal: Get {{what}} for {{n}}
medium: voice
opens_with: "Hi: {{what}}"
script:
  - {says: yes, when: {said_matches: 'a+'}, waits: 250ms, interrupts_after: 2s}
  - {dtmf: 12#}
  - {silent_for: 1.5s}
  - {hangs_up: true}
tools: &tools
  a: {status: lost, total: 42.50}
  b: {sequence: [1, {error: x}], delay: 1s}
  c: {cases: [{when: {id: '1'}, returns: ~}], returns: no}
expect:
  - {called: a, with: {id: {matches: '[0-9]+'}}, times: {at_least: 1, at_most: 2}, after: b}
  - {not_called: c}
  - {said: {contains: 4417, matches: 'x|y', means: z}, in_turn: 1}
  - {ended_by: caller}
  - {replied_within: 1500ms, percentile: 95}
  - {cost_below: 1e-3}
  - {span: {name: chat}, times: '{{n}}'}
  - {python: 'm:f', args: {a: [1, 2]}}
  - {scores: {Groundedness: 0.8}}
  - {talk_ratio: {at_most: 0.7}}
limits: {turns: 12, time: 90s, tokens: 1000, cost: 0.5}
trials: 4
cases:
  - {what: &w money, n: 1}
  - {what: *w, n: 2}
---
name: Second
goal: &g |
  Two lines
  of text
description: *g
"""

PIECES = (
    *(
        b"\t",
        b"\0",
        b"\n",
        b"\r\n",
        b"---\n",
        b"...\n",
        b": ",
        b"- ",
        b"? ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"'",
        b'"',
    ),
    *(b"|", b">", b"&a ", b"*a ", b"<<: *a\n", b"!!str ", b"!x ", b"%YAML 1.1\n", b"#", b"@", b"`", b"\\"),
    *(
        b"{{",
        b"}}",
        b"{{x}}",
        b"\\{{",
        b"~",
        b"null",
        b"true",
        b"no",
        b"012",
        b"12:30",
        b"1e999",
        b"-",
        b"9" * 400,
    ),
    *(b"\xff", b"\xc3", b"\xef\xbb\xbf", "é".encode(), "\u2028".encode(), b"\x85", "\U0001f600".encode()),
    *(
        b"[" * 300,
        b"- " * 300,
        b"(" * 200,
        b"a" * 5_000,
        b"expect:\n",
        b"cases: nope.csv\n",
        b"persona: ../x\n",
    ),
)


def corpus() -> list[bytes]:
    """What is mutated: our own examples, and a file that uses every word."""
    files = sorted([*ROOT.glob("scenarios/**/*.yaml"), *ROOT.glob("personas/*.yaml")])
    return [EVERY_WORD.encode(), *(file.read_bytes() for file in files)]


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """One to eight changes: bytes flipped, pieces cut, doubled, swapped, taken from another file."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 1, 2, 5, 20, 100)))
        how = chance.randrange(7)
        if how == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif how == 1:
            del data[at:end]
        elif how == 2:
            data[at:at] = chance.choice(PIECES)
        elif how == 3:
            data[at:at] = data[at:end] * chance.choice((1, 2, 30))
        elif how == 4:
            data[at:end] = chance.choice(PIECES)
        elif how == 5:
            other = chance.choice(seeds)
            start = chance.randint(0, len(other))
            data[at:at] = other[start : start + 80]
        else:
            lines = data.split(b"\n")
            first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            data = bytearray(b"\n".join(lines))
    return bytes(data)


def batch(seed: int, start: int, count: int) -> None:
    """Read ``count`` files; prints how many were good, refused, and the slowest in milliseconds."""
    from simulate.errors import FileProblems
    from simulate.scenario_files import scenario_reader

    seeds, good, slowest = corpus(), 0, 0.0
    for number in range(start, start + count):
        data = mutated(random.Random(f"{seed}/{number}"), seeds)
        faulthandler.dump_traceback_later(SLOW_SECONDS, exit=True)
        began = time.perf_counter()
        reader = scenario_reader()
        try:
            list(reader.scenarios_in(data, ROOT / "scenarios" / "fuzz.yaml"))
            reader.done()
            good += 1
        except FileProblems as error:
            str(error)
        except BaseException:
            print(f"file {number} of seed {seed}: {data!r}", file=sys.stderr)
            raise
        slowest = max(slowest, time.perf_counter() - began)
    faulthandler.cancel_dump_traceback_later()
    print(good, count - good, f"{slowest * 1000:.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, metavar="START", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.batch is not None:
        batch(args.seed, args.batch, args.files)
        return 0
    good, refused, slowest, broken = 0, 0, 0.0, 0
    began = time.perf_counter()
    for start in range(0, args.files, BATCH):
        count = min(BATCH, args.files - start)
        command = [sys.executable, "-m", "benchmarks.fuzz_loader", "--seed", str(args.seed)]
        command += ["--files", str(count), "--batch", str(start)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            broken += 1
            print(f"files {start} to {start + count}: exit code {done.returncode}\n{done.stderr[-3000:]}")
            continue
        one_good, one_refused, one_slowest = done.stdout.split()
        good, refused, slowest = (
            good + int(one_good),
            refused + int(one_refused),
            max(slowest, float(one_slowest)),
        )
    print(f"files      {args.files:>9,}   in {time.perf_counter() - began:.0f} s")
    print(f"read       {good:>9,}")
    print(f"refused    {refused:>9,}")
    print(f"slowest    {slowest:>9.1f}   ms")
    print(f"broken     {broken:>9,}   batches that crashed, hung or raised something else")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
