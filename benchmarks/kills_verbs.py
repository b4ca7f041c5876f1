"""The verbs that `benchmarks.kills` kills: what each needs, and what it may leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.scoring.datasets.store import Dataset

ROOT = Path(__file__).resolve().parent.parent
TRACE = str(ROOT / "fixtures/traces/openinference_openai.otlp.jsonl")
LABELLED = str(ROOT / "fixtures/judge/refund.labelled.yaml")
TAPE = str(ROOT / "scenarios/cassettes/cancel-a-booking-2")
OLD = b"old"
Left = Callable[[Path], "str | None"]
"""What is wrong with what a verb left in this folder; None: nothing."""


@dataclass(frozen=True)
class Verb:
    """``again``: whether the same words end well in what a kill left."""

    words: Sequence[str]
    replaces: str | None = None
    """The file that it replaces: afterwards it is the old one or the new one."""
    left: Left | None = None
    again: bool = False
    lasts: float | None = None
    """Seconds after which it is killed at the latest, where it never ends by itself."""


def steady(data: bytes) -> bytes:
    """Without what differs from one time to the next: how it begins and ends says whether it is whole."""
    return data[:40] + data[-40:] if data.endswith((b"\n", b">", b"}")) else data


def _new(folder: Path) -> str | None:
    """A scenario is there only with all that it needs."""
    scenario = folder / "scenarios/my_order.yaml"
    if not scenario.is_file():
        return None
    lacks = [
        name for name in ("first_agent.py", "personas/patient_customer.yaml") if not (folder / name).is_file()
    ]
    if lacks:
        return f"there is a scenario without its {lacks}"
    return None


def _from_trace(folder: Path) -> str | None:
    scenario, tape = folder / "scenarios/my_order.yaml", folder / "scenarios/cassettes/my-order"
    if scenario.is_file() and not tape.is_dir():
        return "there is a scenario without its cassette"
    return _cassette(tape)


def _cassette(folder: Path) -> str | None:
    try:
        if folder.is_dir():
            Cassette.load(folder)
    except InputError as error:
        return str(error)
    return None


def _dataset(folder: Path) -> str | None:
    try:
        Dataset(folder / "d").versions()
    except InputError as error:
        return str(error)
    return None


def _runs(folder: Path) -> str | None:
    if not (folder / ".simulate/runs/one").is_dir():
        return None
    left = sorted(each.name for each in (folder / ".simulate/runs/one").iterdir())
    return None if "run.json" not in left or "outcomes.jsonl" in left else f"half a run is listed: {left}"


def _report(folder: Path) -> str | None:
    text = (folder / "out.json").read_bytes()
    try:
        return None if text == OLD or json.loads(text) is not None else "empty"
    except ValueError:
        return f"half a report: {text[:60]!r}"


VERBS: dict[str, Verb] = {
    "trace convert": Verb(["trace", "convert", TRACE, "-o", "out.jsonl"], "out.jsonl"),
    "trace redact": Verb(["trace", "redact", TRACE, "-o", "out.jsonl"], "out.jsonl"),
    "trace sample": Verb(["trace", "sample", TRACE, "-o", "out.jsonl", "--baseline", "1"], "out.jsonl"),
    "trace show": Verb(["trace", "show", TRACE, "--html", "out.html"], "out.html"),
    "diff": Verb(["diff", TRACE, TRACE, "--trace", "15d5", "--html", "out.html"], "out.html"),
    "score": Verb(
        ["score", TRACE, "--evaluators", "TrajectoryScore,PII", "--json", "out.json"], "out.json"
    ),
    "gate": Verb(["gate", "done", "--gate", "gate.yaml", "--gate-junit", "gate.xml"], "gate.xml"),
    "schema": Verb(["schema", "--write", "schemas"], "schemas/scenario.schema.json"),
    "new": Verb(["new", "My order"], left=_new),
    "new --from-trace": Verb(["new", "My order", "--from-trace", TRACE, "--trace", "15d5"], left=_from_trace),
    "dataset add": Verb(["dataset", "add", TRACE, "--trace", "15d5", "--to", "d"], left=_dataset, again=True),
    "dataset accept": Verb(["dataset", "accept", "edited", "--by", "me"], left=_dataset, again=True),
    "dataset run": Verb(["dataset", "run", "kept", "--agent", "python:agents:agent", "--out", "r"]),
    "replay": Verb(["replay", TAPE, "--agent", "python:agents:agent", "--save", "out.jsonl"], "out.jsonl"),
    "playback": Verb(["playback", TAPE, "--report", "out.json"], left=_report, lasts=3),
    "judge calibrate": Verb(["judge", "calibrate", LABELLED, "--json", "out.json"], left=_report),
    "callers check": Verb(["callers", "check"]),
    "runs prune": Verb(["runs", "prune", "--keep", "0"], left=_runs),
    "livekit status": Verb(["livekit", "status"]),
    "doctor": Verb(["doctor"]),
}  # fmt: skip
