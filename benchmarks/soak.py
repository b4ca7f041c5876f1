"""Whether memory, tasks, threads and files stay flat over 5,000 conversations of one process.

``python -m benchmarks.soak [conversations]`` prints one line a fifth. The agent leaves spans and calls a tool
that is marked.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import tempfile
import threading
from pathlib import Path

from opentelemetry import trace

from simulate import tool
from simulate.interfaces.render.progress import NoProgress
from simulate.model.loading.project import Project
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.run_folder import RunFolder
from simulate.suite import Suite


@tool(write=True)
def refund(order: str) -> str:
    return f"{order} refunded"


async def agent(message: str) -> str:
    with trace.get_tracer("soak").start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        return f"{refund('4417')}: {message}"


def held() -> tuple[int, int, int, int]:
    """Megabytes, tasks, threads and open files of this process."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    kilobytes = int((re.search(r"VmRSS:\s+(\d+)", status) or [0, 0])[1])
    files = len(list(Path("/proc/self/fd").iterdir()))
    return kilobytes // 1024, len(asyncio.all_tasks()), threading.active_count(), files


async def soak(total: int, folder: Path) -> None:
    """Run them eight at a time, and print what is held after each fifth."""
    scenario = Scenario.model_validate(
        {
            "name": "soak",
            "trials": total // 5,
            "script": [{"says": "refund 4417"}, {"says": "and now?"}],
            "expect": [{"said": {"contains": "refunded"}}],
        }
    )
    stage = Resources(Project(folder), [scenario], agent=agent)
    print(f"{'conversations':>13}{'MB':>7}{'tasks':>7}{'threads':>9}{'files':>7}")
    for done in range(5):
        run = RunFolder.create(folder / f"run{done}")
        suite = Suite(run, stage, jobs=8)
        record = await suite.run(
            [TrialSpec(scenario, "soak.yaml", 1, None, id="soak", text="0")], NoProgress()
        )
        assert record.counts == {"passed": total // 5}, record.counts
        run.close()
        megabytes, tasks, threads, files = held()
        print(f"{(done + 1) * total // 5:>13}{megabytes:>7}{tasks:>7}{threads:>9}{files:>7}", flush=True)


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(soak(total, Path(folder)))


if __name__ == "__main__":
    main()
