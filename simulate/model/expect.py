"""The words of ``expect:`` as data. `simulate/scoring/checks` holds one class per word that judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from simulate.model.base import WORDS, Expectation, Strict
from simulate.model.evaluator_names import known_evaluators
from simulate.model.json_path import ignored_path
from simulate.model.matchers import check as check_matcher
from simulate.model.reference import Reference
from simulate.model.units import (
    Arguments,
    AsWritten,
    Data,
    Duration,
    Flag,
    Number,
    Regex,
    Whole,
    mapping_or,
)

Turn = Annotated[Whole, Field(ge=0)]
"""A turn of the caller, from 1; 0 is what the agent says before."""


class Times(Strict):
    """How often; both ends included."""

    at_least: Whole = Field(default=1, ge=0)
    at_most: Whole | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Times:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most: {self.at_most} is below at_least: {self.at_least}")
        return self


Count = Annotated[
    Annotated[Whole, Field(ge=0), Tag("<number>")] | Annotated[Times, Tag("<mapping>")],
    mapping_or("<number>"),
]


class Called(Expectation):
    """The agent called a tool. Arguments match partially unless ``exactly`` is set; a value may be a matcher:
    ``{any: true}``, ``{matches: regex}``, ``{about: 42.5, within: 0.01}``, ``{one_of: [a, b]}``,
    ``{contains: text}``, or ``{exactly: value}`` to escape a value that looks like a matcher."""

    word = "called"
    called: AsWritten
    """The tool's name."""
    with_: Arguments | None = Field(default=None, alias="with")
    """Arguments of the call."""
    exactly: Flag = False
    """No other arguments than these."""
    times: Count | None = None
    """How often: a number, or ``{at_least, at_most}``. Left out: at least once."""
    before: AsWritten | None = None
    """It ended before the first call of this tool began."""
    after: AsWritten | None = None
    """It began after a call of this tool had ended."""
    in_turn: Turn | None = None


class NotCalled(Expectation):
    """The agent never called the tool (with these arguments)."""

    word = "not_called"
    not_called: AsWritten
    """The tool's name."""
    with_: Arguments | None = Field(default=None, alias="with")


class Text(Strict):
    """What an utterance holds; all that is given must hold for one utterance."""

    contains: AsWritten | None = None
    """Ignoring case and runs of white space."""
    matches: Regex | None = None
    """A regular expression, searched for."""
    means: AsWritten | None = None
    """A meaning; needs a judge."""

    @model_validator(mode="after")
    def _holds_something(self) -> Text:
        if self.contains is None and self.matches is None and self.means is None:
            raise ValueError("holds nothing: give contains, matches or means")
        return self


TextOrMeaning = Annotated[
    Annotated[AsWritten, Tag("<text>")] | Annotated[Text, Tag("<mapping>")], mapping_or("<text>")
]


class Said(Expectation):
    """The agent said this. A bare text is a meaning, for the judge."""

    word = "said"
    said: TextOrMeaning
    in_turn: Turn | None = None


class NotSaid(Expectation):
    """The agent never said this."""

    word = "not_said"
    not_said: TextOrMeaning
    in_turn: Turn | None = None


class State(Expectation):
    """What the world's ``state()`` holds at the end: path to value, which may be a matcher."""

    word = "state"
    state: dict[Annotated[str, AfterValidator(ignored_path)], Data]
    """``{orders.4417.refunded: true}``; a JSON path with wildcards must hold at every place that it names."""
    nothing_else_changed: Flag = False
    """Every other place is as it was before the conversation."""

    @model_validator(mode="after")
    def _says_something(self) -> State:
        if not self.state and not self.nothing_else_changed:
            raise ValueError("expects nothing: name a path, or set nothing_else_changed")
        for expected in self.state.values():
            check_matcher(expected)
        return self


class EndedBy(Expectation):
    """Who ended the conversation."""

    word = "ended_by"
    ended_by: Literal["caller", "agent", "limit"]


class RepliedWithin(Expectation):
    """The agent began to answer within this time, in every turn or at a percentile of the turns.
    In voice the time is what the caller heard: end of their speech to start of the agent's."""

    word = "replied_within"
    replied_within: Duration
    percentile: Whole = Field(default=100, ge=1, le=100)
    in_turn: Turn | None = None


class CostBelow(Expectation):
    """The agent's own model calls cost less than this, in US dollars. An unknown price is not a pass."""

    word = "cost_below"
    cost_below: Number = Field(gt=0)


class TokensBelow(Expectation):
    """The agent's own model calls used fewer tokens than this, input and output together."""

    word = "tokens_below"
    tokens_below: Whole = Field(gt=0)


class SpanExists(Expectation):
    """The trace holds spans that a query finds (the filter language of ``simulate trace show --filter``)."""

    word = "span"
    span: dict[str, Data]
    times: Count | None = None


class PythonCheck(Expectation):
    """A function of one's own, ``module:function``: it takes the evidence and returns None, a bool, a text
    (the reason why it failed) or a Verdict."""

    word = "python"
    python: Annotated[AsWritten, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
    """``module:function``."""
    args: dict[str, Data] = Field(default_factory=dict[str, Any])
    """Passed on to the function by name."""


class Scores(Expectation):
    """Evaluators by name with the least score that passes."""

    word = "scores"
    scores: Annotated[
        dict[str, Annotated[Number, Field(ge=0, le=1)]], Field(min_length=1), AfterValidator(known_evaluators)
    ]
    reference: Reference | None = None
    """What is right, where an evaluator needs it; what is left open comes from ``goal:`` and ``called:``."""


Toleranced = Literal["tokens", "cost", "latency", "scores", "seconds", "arguments"]


class MatchesTrace(Expectation):
    """The agent's trace behaves as this recorded one did."""

    word = "matches_trace"
    matches_trace: AsWritten
    """The recorded trace's file."""
    ignore: list[Annotated[AsWritten, AfterValidator(ignored_path)]] = Field(default_factory=list[str])
    """What may differ: JSON paths of changes (``$.tools.send_mail.arguments.body``), or categories."""
    tolerance: dict[Toleranced, Annotated[Number, Field(ge=0)]] = Field(
        default_factory=dict[Toleranced, float]
    )
    """How far apart two numbers count as the same: a share of the larger (``tokens: 0.4``), ``seconds`` in
    seconds and ``arguments`` as they are."""


class StopsWithin(Expectation):
    """After the caller cut in, the agent fell silent within this time (voice)."""

    word = "stops_within"
    voice = True
    stops_within: Duration


class IgnoresBackchannel(Expectation):
    """A "mhm" of the caller did not stop the agent (voice)."""

    word = "ignores_backchannel"
    voice = True
    ignores_backchannel: Literal[True]


class NoDeadAir(Expectation):
    """Nobody was silent for longer than this while the agent was due to speak (voice)."""

    word = "no_dead_air"
    voice = True
    no_dead_air: Duration


class Bounds(Strict):
    """Both ends included."""

    at_least: Number = Field(default=0.0, ge=0, le=1)
    at_most: Number = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Bounds:
        if self.at_most < self.at_least:
            raise ValueError(f"at_most: {self.at_most} is below at_least: {self.at_least}")
        return self


class TalkRatio(Expectation):
    """The agent's share of all speech, between 0 and 1 (voice)."""

    word = "talk_ratio"
    voice = True
    talk_ratio: Bounds


class Heard(Expectation):
    """The agent's speech recognition understood this, numbers normalised (voice)."""

    word = "heard"
    voice = True
    heard: AsWritten
    in_turn: Turn | None = None


class Dtmf(Expectation):
    """The agent got these keys (voice)."""

    word = "dtmf"
    voice = True
    dtmf: Annotated[AsWritten, Field(pattern=r"^[0-9A-D*#]+$")]


VOICE_WORDS = frozenset(word for word, cls in WORDS.items() if cls.voice)


def _tag(value: Any) -> str | None:
    """The one word that an item of ``expect:`` holds, as a tag; None where it holds none, or several."""
    if isinstance(value, Expectation):
        return f"<{value.word}>"
    if not isinstance(value, dict):
        return None
    words = [key for key in cast("dict[str, Any]", value) if key in WORDS]
    return f"<{words[0]}>" if len(words) == 1 else None


AnyExpectation = Annotated[
    Annotated[Called, Tag("<called>")]
    | Annotated[NotCalled, Tag("<not_called>")]
    | Annotated[Said, Tag("<said>")]
    | Annotated[NotSaid, Tag("<not_said>")]
    | Annotated[State, Tag("<state>")]
    | Annotated[EndedBy, Tag("<ended_by>")]
    | Annotated[RepliedWithin, Tag("<replied_within>")]
    | Annotated[CostBelow, Tag("<cost_below>")]
    | Annotated[TokensBelow, Tag("<tokens_below>")]
    | Annotated[SpanExists, Tag("<span>")]
    | Annotated[PythonCheck, Tag("<python>")]
    | Annotated[Scores, Tag("<scores>")]
    | Annotated[MatchesTrace, Tag("<matches_trace>")]
    | Annotated[StopsWithin, Tag("<stops_within>")]
    | Annotated[IgnoresBackchannel, Tag("<ignores_backchannel>")]
    | Annotated[NoDeadAir, Tag("<no_dead_air>")]
    | Annotated[TalkRatio, Tag("<talk_ratio>")]
    | Annotated[Heard, Tag("<heard>")]
    | Annotated[Dtmf, Tag("<dtmf>")],
    Discriminator(cast("Callable[[Any], Any]", _tag)),
]
"""An item of ``expect:``: a mapping with exactly one of the words, and its modifiers."""
