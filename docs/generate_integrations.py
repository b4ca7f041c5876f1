"""Write the table of integrations from the recordings: ``python docs/generate_integrations.py``.

A test holds the page to what this would write (`tests/test_docs.py`).
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).resolve().with_name("integrations.md")
ROOT = PAGE.parents[1]
sys.path.insert(0, str(ROOT))

from fixtures.record.integration import LAYERS, Integration, integrations  # noqa: E402

TRUTH = ROOT / "fixtures" / "truth"
WRONG = ROOT / "tests" / "trace" / "known_wrong"
COLUMNS = {
    "model calls": ("model_calls", "model_calls"),
    "tokens": ("model_calls", "tokens"),
    "content": ("model_calls", "words"),
    "tools": ("tools", "tools"),
    "arguments": ("tools", "arguments"),
    "results": ("tools", "results"),
    "documents": ("retrievals", "documents"),
    "hand-offs": ("handoffs", "handoffs"),
}
"""Column → what of a truth has to be there, and the fact that is held against the reader."""

INTRODUCTION = """# Integrations

<!-- made from the recordings and their truths by docs/generate_integrations.py -->

Each row is a recording of the real, unmodified packages in these versions, against a model server that speaks
the provider's own wire. A list of what is true, written by hand, stands beside each. One test reads them all
(`tests/trace/test_corpus.py`).

- **yes**: recorded, and read as it was.
- **part**: the instrumentation records it for some of the calls only.
- **no**: the instrumentation does not record it, or records something false; it is read as unknown.
- **misread**: it is recorded, and we are known to read it wrongly.
- an empty cell: nothing of the kind happens in this recording.
"""


def page() -> str:
    """The whole page."""
    wrong = {
        name: facts
        for table in sorted(WRONG.glob("*.toml"))
        for name, facts in tomllib.loads(table.read_text("utf-8")).items()
    }
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for name, one in sorted(integrations().items()):
        truth = yaml.safe_load((TRUTH / f"{name}.yaml").read_text("utf-8"))
        rows[one.layer].append(_row(name, one, truth, wrong.get(name, {})))
    head = ["recording", "packages", *COLUMNS]
    parts = [INTRODUCTION]
    for layer, title in LAYERS.items():
        table = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *rows.pop(layer)]
        parts.append("\n".join([f"## {title}\n", *table, ""]))
    assert not rows, f"no heading for {sorted(rows)}"
    return "\n".join([*parts, *_absent()])


def _row(name: str, one: Integration, truth: dict[str, Any], wrong: dict[str, str]) -> str:
    main = [package for package in one.resolved if "exporter" not in package and "sdk-trace" not in package]
    packages = ", ".join(f"{package} {one.resolved[package]}" for package in main[:4])
    cells = [_cell(truth, wrong, *which) for which in COLUMNS.values()]
    return f"| `{name}` | {packages} | {' | '.join(cells)} |"


def _cell(truth: dict[str, Any], wrong: dict[str, str], needed: str, fact: str) -> str:
    if not truth.get(needed):
        return ""
    if fact in wrong:
        return "misread"
    gaps = [gap for gap in truth.get("gaps", ()) if gap["fact"] == fact]
    if not gaps:
        return "yes"
    return "part" if all("of" in gap for gap in gaps) else "no"


def _absent() -> Iterator[str]:
    yield "## Not recorded\n"
    yield "Read by the names that their documentation gives, without a recording of our own.\n"
    yield "| integration | why |"
    yield "|---|---|"
    for one in yaml.safe_load((TRUTH / "not_recorded.yaml").read_text("utf-8")):
        yield f"| {one['name']} | {' '.join(str(one['why']).split())} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
