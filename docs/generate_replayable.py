"""Write the table of traces that can be replayed: ``python docs/generate_replayable.py``.

A test holds the page to what this would write (`tests/replay/test_replayable.py`).
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("replayable.md")
ROOT = PAGE.parents[1]
sys.path.insert(0, str(ROOT))

from fixtures.record.integration import LAYERS, Integration, integrations  # noqa: E402
from simulate.errors import NotReplayable  # noqa: E402
from simulate.replay import Cassette  # noqa: E402
from simulate.replay.from_trace import Missing, cassette_of, missing  # noqa: E402
from simulate.trace import TraceReading, read  # noqa: E402

INTRODUCTION = """# Which traces can be replayed

<!-- made from the recordings by docs/generate_replayable.py -->

`simulate replay TRACE --agent ADDRESS` answers the agent's model and its marked tools from a production
trace, if the trace has their words. Each row is a recording of the real packages, as in
[integrations](integrations.md): several traces each, one of them with an error.

- **replays**: how many of its traces replay, with how many model answers and tool results.
- **lacks**: what is missing in the others, with the attribute that would hold it; they are refused before
  anything runs, and `--partial` replays the rest of them.
- **setting**: what brings it. Where the instrumentation records other calls in full, none does.

Recordings without a model call (vector stores, MCP servers and the like) have nothing to replay, and no row.
"""


def page() -> str:
    """The whole page."""
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for name, one in sorted(integrations().items()):
        row = _row(name, one)
        if row is not None:
            rows[one.layer].append(row)
    parts = [INTRODUCTION]
    for layer, title in LAYERS.items():
        if layer in rows:
            head = ["| recording | packages | replays | lacks | setting |", "|---|---|---|---|---|"]
            parts.append("\n".join([f"## {title}\n", *head, *rows.pop(layer), ""]))
    assert not rows, f"no heading for {sorted(rows)}"
    return "\n".join(parts)


def _row(name: str, one: Integration) -> str | None:
    cassettes: list[Cassette] = []
    refused: list[Missing] = []
    total = 0
    for trace in read(ROOT / "fixtures" / "traces" / f"{name}.otlp.jsonl"):
        reading = TraceReading.of(trace)
        if not reading.llm_calls:
            continue
        total += 1
        try:
            cassettes.append(cassette_of(reading))
        except NotReplayable:
            refused += missing(reading)
    if not total:
        return None
    answers, results = sum(len(each.http) for each in cassettes), sum(len(each.tools) for each in cassettes)
    with_what = f": {answers} answers, {results} tool results" if cassettes else ""
    lacks = Counter(each.what for each in refused)
    told = "; ".join(f"{what} ({count}×)" for what, count in sorted(lacks.items()))
    settings = "; ".join(dict.fromkeys(each.setting for each in refused if each.setting))
    if cassettes and refused:
        settings = "none"
    main = [package for package in one.resolved if "exporter" not in package and "sdk-trace" not in package]
    packages = ", ".join(f"{package} {one.resolved[package]}" for package in main[:3])
    return f"| `{name}` | {packages} | {len(cassettes)} of {total}{with_what} | {told} | {settings} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
