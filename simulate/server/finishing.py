"""What happens to a trace before it is put away: it is scored, and it is decided whether it is kept."""

from __future__ import annotations

import asyncio
from collections import deque

from simulate.model.percentile import percentile
from simulate.scoring.evaluators.attach import attach_to
from simulate.scoring.evaluators.evaluation_context import EvaluationContext
from simulate.scoring.evaluators.evaluator import Evaluator
from simulate.scoring.evaluators.scoring import choose, score
from simulate.server.settings import ServerSettings
from simulate.trace.reading import TraceReading
from simulate.trace.span import Trace
from simulate.trace.tail_sampling import ENOUGH


class Finishing:
    """Scores and samples as the settings say. Raises InputError for an evaluator that there is not, or that
    asks a judge."""

    def __init__(self, settings: ServerSettings) -> None:
        self._least = {name: least for name, least in settings.evaluators.items() if least is not None}
        self._evaluators: list[Evaluator] = (
            choose(list(settings.evaluators), self._least) if settings.evaluators else []
        )
        self._sampler = settings.keep.sampler() if settings.keep is not None else None
        self._costs: deque[float] = deque(maxlen=10_000)

    def finish(self, project: str, trace: Trace) -> tuple[TraceReading, str | None]:
        """The reading of the scored trace, and why it is kept; None drops it."""
        if self._evaluators:
            # without a judge nothing waits; what needs one is not run, and leaves no score
            context = EvaluationContext(trace)
            attach_to(trace, asyncio.run(score(context, self._evaluators, thresholds=self._least)))
        reading = TraceReading(trace)
        if self._sampler is None:
            return reading, "all are kept"
        self._sampler.outlier = percentile(self._costs, 99) if len(self._costs) >= ENOUGH else None
        if (cost := reading.cost.known) > 0:
            self._costs.append(cost)
        return reading, self._sampler.reason(reading)
