"""How much the caller and the judge may spend."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.errors import SimulatorFault


@dataclass(slots=True)
class Budget:
    """Limits on calls, tokens (input and output together) and US dollars, and what is spent so far.

    Shared by as many models as one likes. ``spent_usd`` counts only calls whose price is known; ``unpriced``
    says how many were not. A call that began below the limit is finished: the sum may end a call above it.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    spent_calls: int = 0
    spent_tokens: int = 0
    spent_usd: float = 0.0
    unpriced: int = 0

    def take(self) -> None:
        """Count one call that is about to be made. Raises SimulatorFault when something is used up."""
        for what, limit, spent in (
            ("calls", self.calls, self.spent_calls),
            ("tokens", self.tokens, self.spent_tokens),
            ("US dollars", self.usd, self.spent_usd),
        ):
            if limit is not None and spent >= limit:
                raise SimulatorFault(
                    f"the budget for the simulator's own models is used up: {spent:g} of {limit:g} {what}",
                    hint="raise the budget, or run fewer scenarios at once",
                )
        self.spent_calls += 1

    def add(self, tokens: int | None, usd: float | None) -> None:
        """Count what a finished call used."""
        self.spent_tokens += tokens or 0
        if usd is None:
            self.unpriced += 1
        else:
            self.spent_usd += usd
