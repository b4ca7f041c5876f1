"""The words of ``expect:`` as data. `simulate/checks` holds one class per word that judges it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from simulate.model.persona import Strict
from simulate.model.units import seconds

Duration = Annotated[float, BeforeValidator(seconds)]


class Expectation(Strict):
    """One thing expected. The first field of a subclass is the word that names it in a file."""

    word: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.word:
            WORDS[cls.word] = cls


WORDS: dict[str, type[Expectation]] = {}
"""Every word of ``expect:`` with its class."""


class Times(Strict):
    """How often; both ends included."""

    at_least: int = Field(default=1, ge=0)
    at_most: int | None = Field(default=None, ge=0)


class Called(Expectation):
    """The agent called a tool. Arguments match partially unless ``exactly`` is set; a value may be a matcher:
    ``{any: true}``, ``{matches: regex}``, ``{about: 42.5, within: 0.01}``, ``{one_of: [a, b]}``,
    ``{contains: text}``, or ``{exactly: value}`` to escape a value that looks like a matcher."""

    word = "called"
    called: str
    with_: dict[str, Any] | None = Field(default=None, alias="with")
    exactly: bool = False
    times: int | Times | None = None
    before: str | None = None
    after: str | None = None
    in_turn: int | None = None


class NotCalled(Expectation):
    """The agent never called the tool (with these arguments)."""

    word = "not_called"
    not_called: str
    with_: dict[str, Any] | None = Field(default=None, alias="with")


class Text(Strict):
    """What an utterance holds; all that is given must hold for one utterance."""

    contains: str | None = None
    """Ignoring case and runs of white space."""
    matches: str | None = None
    """A regular expression, searched for."""
    means: str | None = None
    """A meaning; needs a judge."""


class Said(Expectation):
    """The agent said this. A bare text is a meaning, for the judge."""

    word = "said"
    said: str | Text
    in_turn: int | None = None


class NotSaid(Expectation):
    """The agent never said this."""

    word = "not_said"
    not_said: str | Text
    in_turn: int | None = None


class EndedBy(Expectation):
    """Who ended the conversation."""

    word = "ended_by"
    ended_by: Literal["caller", "agent", "limit"]


class RepliedWithin(Expectation):
    """The agent began to answer within this time, in every turn or at a percentile of the turns.
    In voice the time is what the caller heard: end of their speech to start of the agent's."""

    word = "replied_within"
    replied_within: Duration
    percentile: int = Field(default=100, ge=1, le=100)
    in_turn: int | None = None


class CostBelow(Expectation):
    """The agent's own model calls cost less than this, in US dollars. An unknown price is not a pass."""

    word = "cost_below"
    cost_below: float = Field(gt=0)


class TokensBelow(Expectation):
    """The agent's own model calls used fewer tokens than this, input and output together."""

    word = "tokens_below"
    tokens_below: int = Field(gt=0)


class SpanExists(Expectation):
    """The trace holds spans that a query finds (the filter language of ``simulate trace show --filter``)."""

    word = "span"
    span: dict[str, Any]
    times: int | Times | None = None


class PythonCheck(Expectation):
    """A function of one's own, ``module:function``: it takes the evidence and returns None, a bool, a text
    (the reason why it failed) or a Verdict."""

    word = "python"
    python: str
    args: dict[str, Any] = Field(default_factory=dict)


class Scores(Expectation):
    """Evaluators by name with the least score that passes."""

    word = "scores"
    scores: dict[str, float]


class MatchesTrace(Expectation):
    """The agent's trace behaves as this recorded one did."""

    word = "matches_trace"
    matches_trace: str
    ignore: list[str] = Field(default_factory=list)
    tolerance: dict[str, float] = Field(default_factory=dict)


class StopsWithin(Expectation):
    """After the caller cut in, the agent fell silent within this time (voice)."""

    word = "stops_within"
    stops_within: Duration


class IgnoresBackchannel(Expectation):
    """A "mhm" of the caller did not stop the agent (voice)."""

    word = "ignores_backchannel"
    ignores_backchannel: Literal[True]


class NoDeadAir(Expectation):
    """Nobody was silent for longer than this while the agent was due to speak (voice)."""

    word = "no_dead_air"
    no_dead_air: Duration


class TalkRatio(Expectation):
    """The agent's share of all speech, between 0 and 1 (voice)."""

    word = "talk_ratio"
    talk_ratio: Bounds


class Bounds(Strict):
    """Both ends included."""

    at_least: float = 0.0
    at_most: float = 1.0


class Heard(Expectation):
    """The agent's speech recognition understood this, numbers normalised (voice)."""

    word = "heard"
    heard: str
    in_turn: int | None = None


class Dtmf(Expectation):
    """The agent got these keys (voice)."""

    word = "dtmf"
    dtmf: str
