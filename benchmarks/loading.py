"""Loading 1,000 scenario files, beside the C loader of PyYAML and pydantic alone on the same files.

    python -m benchmarks.loading [--files 1000]

The other side does strictly less: it types scalars wrongly, lets duplicate keys win, resolves no persona and
no file, knows no place of a mistake. What is asked for is a ratio below 3.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

SCENARIO = """\
name: Refund {number} for a parcel that never came
agent: support                   # a name, or an address
persona: hurried_parent
tags: [refund, "{number}"]
goal: Get the money back for order 4417. Refuse a replacement.

opens_with: Hi, my order never turned up.
script:
  - says: Sorry, just tell me, is it lost or not?
    interrupts_after: 2s

tools:
  lookup_order: {{status: lost, total: 42.50}}
  issue_refund: {{ok: true}}

expect:
  - called: lookup_order
    with: {{order_id: "4417"}}
  - called: issue_refund
    with: {{amount: 42.50}}
    after: lookup_order
  - not_called: offer_replacement
  - said: That the refund is $42.50, and when it will arrive
  - replied_within: 1500ms

limits: {{turns: 12, time: 90s}}
trials: 4
"""


def bare(folder: Path) -> int:
    """The C loader and pydantic, and nothing else."""
    from simulate.model.scenario import Scenario

    count = 0
    for file in sorted(folder.glob("*.yaml")):
        document: Any = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
        Scenario.model_validate(document)
        count += 1
    return count


def ours(folder: Path) -> int:
    """What `simulate run`, `simulate check` and pytest do."""
    from simulate.scenario_files import load_scenarios

    return len(load_scenarios([folder]))


def measure(load: Callable[[Path], int], folder: Path, files: int) -> float:
    """Seconds of one pass."""
    began = time.perf_counter()
    assert load(folder) == files
    return time.perf_counter() - began


def import_seconds(module: str) -> float:
    """Seconds that ``import module`` takes in a fresh process, its start left out."""
    code = f"import time; b = time.perf_counter(); import {module}; print(time.perf_counter() - b)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    files: int = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "pyproject.toml").touch()
        (root / "personas").mkdir()
        (root / "personas" / "hurried_parent.yaml").write_text("name: Dana\ntraits: [impatient]\n", "utf-8")
        folder = root / "scenarios"
        folder.mkdir()
        for number in range(files):
            (folder / f"{number:05}.yaml").write_text(SCENARIO.format(number=number), "utf-8")
        measure(bare, folder, files)
        rounds = [(measure(bare, folder, files), measure(ours, folder, files)) for _ in range(5)]
    theirs, own = (statistics.median(pair[side] for pair in rounds) for side in (0, 1))
    ratio = statistics.median(ours / bare for bare, ours in rounds)
    print(f"{'loading ' + format(files, ',') + ' files':<36}{'seconds':>10}{'ms a file':>12}")
    print(f"{'C loader and pydantic alone':<36}{theirs:>10.3f}{theirs / files * 1000:>12.3f}")
    print(f"{'simulate':<36}{own:>10.3f}{own / files * 1000:>12.3f}")
    print(f"{'ratio (at most 3 is asked for)':<36}{ratio:>10.2f}")
    print(f"{'import of pydantic':<36}{import_seconds('pydantic'):>10.3f}")
    print(f"{'import of the loader':<36}{import_seconds('simulate.scenario_files'):>10.3f}")


if __name__ == "__main__":
    main()
