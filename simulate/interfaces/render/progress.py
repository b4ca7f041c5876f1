"""What happens while a suite runs: a small live table on a terminal, one line per outcome elsewhere.

The table never has a row per conversation: it shows totals and the few that have run longest, and is drawn
at most ``HERTZ`` times a second by one thread, however many conversations there are. Counting one is a
dictionary entry.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING

from simulate.interfaces.render.terminal import STYLES, WORST_FIRST, fit
from simulate.model.explain import WORD, headline
from simulate.model.outcome import Outcome
from simulate.model.text import line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from simulate.suite import Progress

HERTZ = 8
SLOWEST = 5
"""Running conversations that the table names."""


def make_progress(total: int | None = None, stream: IO[str] | None = None) -> Progress:
    """A live table when ``stream`` (default: stderr) is a terminal, else lines. ``total`` counts outcomes."""
    out: IO[str] = sys.stderr if stream is None else stream
    if out.isatty():
        from rich.console import Console

        console = Console(file=out, markup=False, emoji=False, highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return LiveProgress(console, total)
    return LineProgress(out, total)


class NoProgress:
    """Says nothing."""

    def started(self, key: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...

    def close(self) -> None: ...


class LineProgress:
    """One line per outcome, for logs of CI and pipes."""

    def __init__(self, stream: IO[str], total: int | None = None) -> None:
        self._stream = stream
        self._total = total
        self._done = 0

    def started(self, key: str) -> None:
        """Lines tell what ended only."""

    def finished(self, outcome: Outcome) -> None:
        """Write its line at once."""
        self._done += 1
        place = f"{self._done}/{self._total}" if self._total is not None else str(self._done)
        text = "".join(piece for _, piece in headline(outcome))
        self._stream.write(fit(f"[{place}] {text}\n", self._stream))
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class LiveProgress:
    """The live table. ``console`` is a rich Console on a terminal."""

    def __init__(self, console: Console, total: int | None = None) -> None:
        from rich.live import Live

        self._total = total
        self._running: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._live = Live(
            console=console,
            get_renderable=self.table,
            refresh_per_second=HERTZ,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def started(self, key: str) -> None:
        """Note when it began; nothing is drawn here."""
        with self._lock:
            self._running[key] = time.monotonic()

    def finished(self, outcome: Outcome) -> None:
        """Count it; nothing is drawn here."""
        with self._lock:
            # a suite names conversations by their folder
            self._running.pop(Path(outcome.folder).name if outcome.folder else outcome.key, None)
            self._counts[outcome.standing] += 1

    def close(self) -> None:
        """Take the table away; the report follows."""
        self._live.stop()

    def table(self) -> Text:
        """What stands on the screen now."""
        from rich.text import Text

        now = time.monotonic()
        with self._lock:
            counts = dict(self._counts)
            running = len(self._running)
            # a dict keeps the order of insertion: its first entries began first
            oldest = list(itertools.islice(self._running.items(), SLOWEST))
        done = sum(counts.values())
        screen = Text(no_wrap=True, overflow="ellipsis")
        screen.append(f"{done:,}", "bold")
        screen.append(f" of {self._total:,}" if self._total is not None else " done")
        for standing in reversed(WORST_FIRST):
            if counts.get(standing):
                screen.append(f"  {counts[standing]:,} {WORD[standing]}", STYLES[standing])
        screen.append(f"  {running:,} running  {_clock(now - self._began)}", "dim")
        for key, since in oldest:
            screen.append(f"\n  {_clock(now - since):>7}  {line(key, 100)}", "dim")
        if running > len(oldest):
            screen.append(f"\n           … and {running - len(oldest):,} younger", "dim")
        return screen


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
