"""``python -m simulate.integrations.livekit.runner``: LiveKit's own runner, for workers that report no load.

``python -m livekit.agents start agent.py --simulation`` lets a worker take every call, but it still reports
the machine's load, and a livekit-server asks no worker that reports all of it: one call among a few busy
processes, and nobody answers. Whether this machine can hold a call is measured by the caller's own beat."""

from __future__ import annotations

import functools
import runpy
from typing import Any


def _no_load(*_: Any) -> float:
    return 0.0


def main() -> None:
    """Run ``livekit.agents`` with this process's arguments."""
    from livekit.agents import AgentServer

    begin = AgentServer.__init__

    @functools.wraps(begin)
    def without_load(self: AgentServer, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self.load_fnc = _no_load

    AgentServer.__init__ = without_load
    runpy.run_module("livekit.agents", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
