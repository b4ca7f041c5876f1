"""Whether this machine has processor time to spare, as Linux tells (pressure stall information)."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from simulate.conversation.voice.pacing import Processors
from simulate.determinism.clock import current_loop

CPU = Path("/proc/pressure/cpu")
BUSY_SHARE = 0.25
"""Share of the time in which somebody waited for a processor from which on a machine is busy."""
_SOME = re.compile(r"some avg10=([\d.]+) .*total=(\d+)")


def is_busy(source: Path = CPU) -> bool:
    """Whether in the last ten seconds somebody waited for a processor for a quarter of the time; where the
    kernel does not tell, whether more wants to run than there are processors."""
    told = _read(source)
    if told is not None:
        return told[0] / 100 >= BUSY_SHARE
    try:
        return os.getloadavg()[0] > (os.cpu_count() or 1)
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Pressure:
    """From when it is made: how long somebody on this machine waited for a processor."""

    source: Path = CPU
    since: float = 0.0
    waited: int | None = None

    @classmethod
    def begin(cls, source: Path = CPU) -> Pressure:
        """Look at it now."""
        told = _read(source)
        return cls(source, time.monotonic(), None if told is None else told[1])

    def share(self) -> float | None:
        """Share of the time since then, between 0 and 1; None where the kernel does not tell."""
        told, passed = _read(self.source), time.monotonic() - self.since
        if told is None or self.waited is None or passed <= 0:
            return None
        return min(1.0, (told[1] - self.waited) / 1e6 / passed)


class Machine:
    """How busy this machine is while a call lasts, from when it is made."""

    def __init__(self) -> None:
        self._processors, self._pressure = Processors(), Pressure.begin()

    def measures(self) -> dict[str, float | None]:
        """Shares of the time in which processors worked, and in which somebody waited for one; None where the
        system does not tell. Nothing in virtual time, which no busy machine makes longer."""
        if current_loop() is not None:
            return {}
        busy, waited = self._processors.busy(), self._pressure.share()
        return {
            "processors_busy": None if busy is None else round(busy, 3),
            "processors_waited_for": None if waited is None else round(waited, 3),
        }


def _read(source: Path) -> tuple[float, int] | None:
    """The average of the last ten seconds in percent, and the sum in microseconds."""
    try:
        found = _SOME.search(source.read_text())
    except OSError:
        return None
    return None if found is None else (float(found[1]), int(found[2]))
