"""Odd values given to every option of every verb: each is taken or refused in words.

    python -m benchmarks.fuzz_options [--verb "trace show"]

What counts as a failure: a traceback, an exit code beyond 0 to 3, a raw control character, more than 30
seconds. `fuzz_verbs` does the same for the files that verbs read.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulate.interfaces.cli.main import main as simulate

ROOT = Path(__file__).resolve().parent.parent
HANG = 30
FAULT = "this is a fault of simulate"
"""What the command line says below a traceback of ours."""
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ODD = (
    "", "0", "-1", "nan", "1e999", "\x1b[2J\u202e", "ünï", "http://[::1", "http:/x", "a=b=c", "[", "{{x}}",
    "9" * 20, "..", "/dev/null", "x" * 3000, "\udcff", "folder", "folder/none.json", ">", "'", "*", "$..[",
    "env:", "=", "@", "1h", "2026-13-45",
)  # fmt: skip
AGENT = "python:agent.py:reply"
NOBODY = "http://127.0.0.1:9"
VERBS = {
    "run": ["scenarios"],
    "new": ["Another"],
    "trace show": ["trace.jsonl"],
    "trace find": ["trace.jsonl"],
    "trace cost": ["trace.jsonl"],
    "trace redact": ["trace.jsonl"],
    "trace convert": ["trace.jsonl"],
    "trace sample": ["trace.jsonl"],
    "diff": ["trace.jsonl", "trace.jsonl"],
    "replay": ["trace.jsonl", "--agent", AGENT],
    "gate": [],
    "score": ["trace.jsonl", "--evaluators", "PII"],
    "dataset add": ["trace.jsonl"],
    "dataset run": [],
    "runs list": [],
    "runs prune": [],
    "runs compare": [],
    "schema": [],
    "traces find": ["--server", NOBODY],
    "traces export": ["--server", NOBODY],
    "judge calibrate": ["trace.jsonl"],
    "callers check": [],
    "serve import": ["trace.jsonl"],
}
"""Words of each verb, and what it needs beside the option."""
_OPTION = re.compile(r"^\s{2,}(?:-\w, )?(--[\w-]+) (?=[A-Z\[{])", re.M)
_LEFT_OUT = frozenset({"--host", "--port", "--model-port", "--ray", "--trials"})
"""These open ports, start a cluster, or do as much work as they are told."""


def run(arguments: list[str]) -> tuple[Any, str]:
    """The exit code of a command in this process, and all that it printed."""

    class Stream(io.TextIOWrapper):
        def __init__(self) -> None:
            super().__init__(io.BytesIO(), "utf-8", errors="surrogateescape", write_through=True)

        def text(self) -> str:
            return self.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]

    out, err = Stream(), Stream()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: Any = simulate(arguments)
        except SystemExit as ended:
            code = ended.code
        except Exception as error:  # noqa: BLE001 - told as a failure
            code = f"raised {type(error).__name__}: {error}"
    return code, out.text() + err.text()


def options_of(verb: str) -> list[str]:
    """Those that take a value."""
    return sorted(set(_OPTION.findall(run([*verb.split(), "--help"])[1])) - _LEFT_OUT)


def problem(verb: str, option: str, odd: str) -> str | None:
    """What was wrong with how the verb took the value; None where nothing was."""
    signal.alarm(HANG)
    try:
        code, told = run([*verb.split(), *VERBS[verb], f"{option}={odd}"])
    except TimeoutError:
        return "hangs"
    finally:
        signal.alarm(0)
    if FAULT in told or code not in (0, 1, 2, 3):
        return f"{code}: {told.strip().splitlines()[-2:]}"
    found = RAW.search(told)
    return None if found is None else f"a raw {found[0]!a}"


@contextlib.contextmanager
def project() -> Iterator[None]:
    """A folder with an agent, a scenario and a trace, as the working directory."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "project"  # what lies beside it is ours, too
        (folder / "scenarios").mkdir(parents=True)
        (folder / "folder").mkdir()
        (folder / "agent.py").write_text("def reply(message):\n    return 'hello'\n")
        (folder / "scenarios/a.yaml").write_text(f"name: a\nagent: {AGENT}\nscript: [{{says: hi}}]\n")
        shutil.copy(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl", folder / "trace.jsonl")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _hangs(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    """Every option with every odd value, or those of one verb."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verb", choices=VERBS, help="options of this one alone")
    only = parser.parse_args().verb
    signal.signal(signal.SIGALRM, _hangs)
    tried = failed = 0
    with project():
        for verb in [only] if only else VERBS:
            for option in options_of(verb):
                for odd in ODD:
                    tried += 1
                    if (told := problem(verb, option, odd)) is not None:
                        failed += 1
                        print(f"{verb} {option}={odd[:40]!a}: {told}", flush=True)
    print(f"{tried:,} odd values, {failed} taken badly")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
