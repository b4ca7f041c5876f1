"""What one of the agent's tools answers: a scenario's ``tools:``."""

from __future__ import annotations

from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, Tag, model_validator

from simulate.model.base import Strict
from simulate.model.expect import Arguments
from simulate.model.units import AsWritten, Data, Duration, Number, mapping_or, plain


class ToolCase(Strict):
    """An answer for calls whose arguments match ``when``."""

    when: Arguments
    """Arguments, matched partially; a value may be a matcher as under ``called: … with:``."""
    returns: Data = None
    """The answer."""
    error: AsWritten | None = None
    """The tool fails with this message instead."""


class DelaySpread(Strict):
    """A delay that differs from call to call, drawn from the trial's seed."""

    p50: Duration
    """Half of the calls take at most this long."""
    p95: Duration
    """95 % of them do; the tail is log-normal, as latencies are."""

    @model_validator(mode="after")
    def _in_order(self) -> DelaySpread:
        if not 0 < self.p50 <= self.p95:
            raise ValueError("p50 is above 0 and at most p95")
        return self


class ToolPin(Strict):
    """What one of the agent's tools answers: always the same, one answer a call, or by arguments.

    Any value that is not a mapping of these words alone is itself the answer; ``{returns: …}`` escapes an
    answer that looks like a pin."""

    returns: Data = None
    """The answer; beside ``cases``, the answer where none of them matches."""
    sequence: list[Annotated[Any, BeforeValidator(lambda item: _sequence_item(item))]] | None = None
    """One answer a call, in order; the last one stays. An item may be a pin itself: ``{error: timeout}``."""
    cases: list[ToolCase] | None = None
    """Answers by arguments; the first case that matches is taken."""
    error: AsWritten | None = None
    """The tool fails with this message."""
    probability: Number | None = Field(default=None, gt=0, lt=1)
    """How often it fails with ``error``, between 0 and 1; otherwise it answers as it would without."""
    delay: Annotated[
        Annotated[Duration, Tag("<duration>")] | Annotated[DelaySpread, Tag("<mapping>")],
        mapping_or("<duration>"),
    ] = 0.0
    """How long the answer takes: always the same, or ``{p50: 200ms, p95: 2s}``. Alone, it slows the agent's
    own tool down."""

    @property
    def live(self) -> bool:
        """Nothing is pinned but perhaps a delay: the agent's own tool answers."""
        always_fails = "error" in self.model_fields_set and self.probability is None
        return not always_fails and not self.model_fields_set & {"returns", "sequence", "cases"}

    @model_validator(mode="after")
    def _answers_one_way(self) -> ToolPin:
        given = self.model_fields_set - {"delay", "probability"}
        if self.probability is not None:
            if self.error is None:
                raise ValueError("a probability is that of an error: say which, as in error: timeout")
            given -= {"error"}
        if len(given) > 1 and given != {"returns", "cases"}:
            raise ValueError(f"answers in more than one way: {', '.join(sorted(given))}")
        if self.sequence == [] or self.cases == []:
            raise ValueError("an empty list answers nothing")
        return self


def tool_pin(value: Any) -> Any:
    """A mapping of a pin's own words is a pin; anything else is an answer that is always given."""
    if isinstance(value, ToolPin) or _is_pin(value):
        return value
    return ToolPin(returns=plain(value))


def _is_pin(value: Any) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    words = cast("dict[Any, Any]", value).keys()
    # without an error beside it, a probability is a likely answer of a tool
    return words <= _PIN_WORDS and ("probability" not in words or "error" in words)


def _sequence_item(value: Any) -> Any:
    return ToolPin.model_validate(value) if _is_pin(value) else plain(value)


_PIN_WORDS = frozenset(ToolPin.model_fields)
