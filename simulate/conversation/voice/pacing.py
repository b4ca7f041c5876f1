"""How well this machine keeps the beat. A latency can be trusted as far as the clock that measured it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulate.errors import EnvironmentFault, HarnessFault
from simulate.model.percentile import percentile

P99_LIMIT = 0.1
"""Seconds by which one frame in a hundred may come late before no latency of the call is believed (measured:
a call beside too many others sounds broken from there on)."""
QUEUE_LIMIT = 5.0
"""Seconds that speech recognition may run behind what was said before the caller answers out of turn."""


@dataclass(slots=True)
class Pacing:
    """Lateness of each frame against the beat of the line, and of speech recognition against the talk."""

    late: list[float] = field(default_factory=list[float])
    recognised: list[float] = field(default_factory=list[float])
    """Seconds from the end of a stretch of speech to its text."""
    lost: int = 0
    """Frames of the agent that came so late that silence stood in for them within its speech."""

    def measures(self) -> dict[str, Any]:
        """As they stand in the outcome, in milliseconds."""
        return {
            "pacing_p50_ms": _ms(self.late, 50),
            "pacing_p95_ms": _ms(self.late, 95),
            "pacing_p99_ms": _ms(self.late, 99),
            "pacing_max_ms": _ms(self.late, 100),
            "stt_p95_ms": _ms(self.recognised, 95),
            "gaps_in_agent_audio": self.lost,
        }

    def judge(self) -> None:
        """Raise where the call cannot be trusted, and say whose fault it is: EnvironmentFault for a machine
        that had no time for us, HarnessFault for recognition that fell behind."""
        worst = percentile(self.late, 99)
        if worst is not None and worst > P99_LIMIT:
            raise EnvironmentFault(
                "this machine could not keep the call's time: one frame in a hundred was more than "
                f"{worst * 1000:.0f} ms late (limit {P99_LIMIT * 1000:.0f} ms)",
                hint="fewer calls at once (--jobs 1), or a less busy machine; see `simulate doctor`",
            )
        behind = percentile(self.recognised, 95)
        if behind is not None and behind > QUEUE_LIMIT:
            raise HarnessFault(
                f"the caller's speech recognition fell {behind:.1f} s behind (limit {QUEUE_LIMIT:g} s)",
                hint="fewer calls at once (--jobs 1), or another `stt` under [tool.simulate.speech]",
            )


LEAST_SECONDS = 3.0
"""A machine is always busy for a moment; a call that suffers of it lasts."""


class Processors:
    """How busy the processors of this machine are from now on, whoever keeps them so."""

    def __init__(self, source: Path = Path("/proc/stat"), least: float = LEAST_SECONDS) -> None:
        self._source, self._least = source, least
        self._since = time.monotonic()
        self._before = self._read()

    def busy(self) -> float | None:
        """The share of their time that was used; None where the system does not tell (only Linux does), and
        for a time too short to say anything."""
        now = self._read() if time.monotonic() - self._since >= self._least else None
        if now is None or self._before is None or now[1] <= self._before[1]:
            return None
        return 1 - (now[0] - self._before[0]) / (now[1] - self._before[1])

    def _read(self) -> tuple[int, int] | None:
        """Idle and all time, in ticks: user, nice, system, idle, waiting for disks, interrupts, stolen."""
        try:
            ticks = [int(word) for word in self._source.read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        return (ticks[3] + ticks[4], sum(ticks)) if len(ticks) > 4 else None


def _ms(values: list[float], percent: float) -> float | None:
    found = percentile(values, percent)
    return None if found is None else round(found * 1000, 1)
