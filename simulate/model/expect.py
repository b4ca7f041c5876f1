"""The words of ``expect:`` as data. `simulate/scoring/checks` holds one class per word that judges it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from simulate.model.base import WORDS, Expectation, Strict
from simulate.model.evaluator_names import known_evaluators
from simulate.model.expect_text import Text, TextOrMeaning
from simulate.model.expect_voice import (
    Dtmf,
    Heard,
    IgnoresAsides,
    IgnoresBackchannel,
    IgnoresBackground,
    IgnoresHoldMusic,
    IgnoresVocalTics,
    LetsCallerFinish,
    NoDeadAir,
    StopsWithin,
    TalkRatio,
)
from simulate.model.json_path import ignored_path
from simulate.model.matchers import check as check_matcher
from simulate.model.reference import Calls, Reference
from simulate.model.shapes import is_object
from simulate.model.units import (
    Arguments,
    AsWritten,
    Data,
    Duration,
    Flag,
    Number,
    Turn,
    Whole,
    mapping_or,
    matchable,
)


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


Returned = Annotated[Data, AfterValidator(matchable)]
"""What a tool gave back: a value, an object that may hold more, or a matcher."""


class OtherCall(Strict):
    """Another call than the one that is expected, by its tool, its arguments and what it gave back."""

    called: AsWritten
    """The tool's name."""
    with_: Arguments | None = Field(default=None, alias="with")
    """Arguments of the call."""
    returned: Returned = None
    """What the tool gave back."""


ToolOrCall = Annotated[
    Annotated[AsWritten, Tag("<text>")] | Annotated[OtherCall, Tag("<mapping>")], mapping_or("<text>")
]


class Called(Expectation):
    """The agent called a tool. Arguments and result match partially; a value may be a matcher:
    ``{any: true}``, ``{matches: regex}``, ``{about: 42.5, within: 0.01}``, ``{one_of: [a, b]}``,
    ``{contains: text}``, ``{schema: {type: object}}``, or ``{exactly: value}`` to escape a value that looks
    like a matcher; a key may be a JSON path, ``$.items[*].sku``."""

    called: AsWritten
    """The tool's name."""
    with_: Arguments | None = Field(default=None, alias="with")
    """Arguments of the call."""
    returned: Returned = None
    """What the tool gave back; a call that failed gave nothing back."""
    exactly: Flag = False
    """No other arguments than these."""
    times: Count | None = None
    """How often: a number, or ``{at_least, at_most}``. Left out: at least once."""
    before: ToolOrCall | None = None
    """It ended before the first call of this tool began; a tool's name, or ``{called, with, returned}``."""
    after: ToolOrCall | None = None
    """It began after a call of this tool had ended; a tool's name, or ``{called, with, returned}``."""
    in_turn: Turn | None = None


class NotCalled(Expectation):
    """The agent never called the tool (with these arguments, or with that result)."""

    not_called: AsWritten
    """The tool's name."""
    with_: Arguments | None = Field(default=None, alias="with")
    """Arguments of the call."""
    returned: Returned = None
    """What the tool gave back."""


class OnlyWrites(Expectation):
    """The agent's successful writes are exactly these; what only reads is ignored. Which tools write is told
    by ``writes:`` of the scenario or of pyproject.toml, by ``@simulate.tool(write=True)``, or by MCP's
    ``readOnlyHint``. An empty list: nothing is written."""

    only_writes: Calls
    """Each a tool's name, or a mapping of ``name`` and ``arguments``, which match as under ``called``."""
    in_order: Flag = False
    """They also have to come in this order."""


class Said(Expectation):
    """The agent said this. A bare text is a meaning, for the judge."""

    said: TextOrMeaning
    whenever: Text | None = None
    """In every sentence of the agent's that holds this, ``said`` holds, with each value of its kind that the
    sentence names; without such a sentence there is nothing to keep."""
    in_turn: Turn | None = None

    @model_validator(mode="after")
    def _for_sentences(self) -> Said:
        needs_judge = isinstance(self.said, str) or self.said.means is not None
        if self.whenever is not None and (needs_judge or self.whenever.means is not None):
            raise ValueError("whenever: takes no meaning; give contains, matches or a value on both sides")
        return self


class NotSaid(Expectation):
    """The agent never said this."""

    not_said: TextOrMeaning
    in_turn: Turn | None = None


class State(Expectation):
    """What the world's ``state()`` holds at the end: path to value, which may be a matcher."""

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


class Complete(Expectation):
    """The agent's answers are whole: their model did not stop for its token limit, a content filter or an
    error. Holds by default for the answers that the caller goes on from; ``true`` asks it of all, the last
    one too, and ``false`` of none."""

    complete: Flag


class BacksClaims(Expectation):
    """What the agent says it has done (a refund, a booking, a message sent), one of its tool calls did. By
    rule for English, and by the judge where there is one."""

    backs_claims: Literal[True]


class CleanText(Expectation):
    """Nothing stands in what the agent says that does not belong there: text in a wrong encoding, said twice
    or cut off, JSON of a tool call, its own instructions, stage directions, placeholders such as
    ``{{name}}``; and markup where the channel shows none."""

    clean_text: Literal[True]
    markup: Flag | None = None
    """Whether the channel shows Markdown. Left out: by text it does, by voice it does not."""


class EndedBy(Expectation):
    """Who ended the conversation."""

    ended_by: Literal["caller", "agent", "limit"]


class RepliedWithin(Expectation):
    """The agent began to answer within this time, in every turn or at a percentile of the turns.
    In voice the time is what the caller heard: end of their speech to start of the agent's."""

    replied_within: Duration
    percentile: Whole = Field(default=100, ge=1, le=100)
    in_turn: Turn | None = None
    reply: Literal["first_sound", "after_tool"] = "first_sound"
    """What counts as the answer: the first sound, be it "one moment", or in voice the first that begins after
    the turn's last tool has answered. A turn without a tool is answered by its first sound."""


class CostBelow(Expectation):
    """The agent's own model calls cost less than this, in US dollars. An unknown price is not a pass."""

    cost_below: Number = Field(gt=0)


class TokensBelow(Expectation):
    """The agent's own model calls used fewer tokens than this, input and output together."""

    tokens_below: Whole = Field(gt=0)


class SpanExists(Expectation):
    """The trace holds spans that a query finds (the filter language of ``simulate trace show --filter``)."""

    span: dict[str, Data]
    times: Count | None = None


class PythonCheck(Expectation):
    """A function of one's own, ``module:function``: it takes the evidence and returns None, a bool, a text
    (the reason why it failed) or a Verdict."""

    python: Annotated[AsWritten, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
    """``module:function``."""
    args: dict[str, Data] = Field(default_factory=dict[str, Any])
    """Passed on to the function by name."""


class Scores(Expectation):
    """Evaluators by name with the least score that passes."""

    scores: Annotated[
        dict[str, Annotated[Number, Field(ge=0, le=1)]], Field(min_length=1), AfterValidator(known_evaluators)
    ]
    reference: Reference | None = None
    """What is right, where an evaluator needs it; what is left open comes from ``goal:`` and ``called:``."""


Toleranced = Literal["tokens", "cost", "latency", "scores", "seconds", "arguments"]


class MatchesTrace(Expectation):
    """The agent's trace behaves as this recorded one did."""

    matches_trace: AsWritten
    """The recorded trace's file."""
    ignore: list[Annotated[AsWritten, AfterValidator(ignored_path)]] = Field(default_factory=list[str])
    """What may differ: JSON paths of changes (``$.tools.send_mail.arguments.body``), or categories."""
    tolerance: dict[Toleranced, Annotated[Number, Field(ge=0)]] = Field(
        default_factory=dict[Toleranced, float]
    )
    """How far apart two numbers count as the same: a share of the larger (``tokens: 0.4``), ``seconds`` in
    seconds and ``arguments`` as they are."""


class Snapshot(Expectation):
    """What happened is what a file says; ``simulate run --update`` writes it."""

    snapshot: Annotated[AsWritten, Field(min_length=1)]
    """The file, from the scenario's folder on; with cases, name it by them: ``snapshots/{{case}}.yaml``."""
    of: Literal["tools", "transcript"] = "tools"
    """The tool calls with their arguments in their order, or what was said."""
    ignore: list[Annotated[AsWritten, AfterValidator(ignored_path)]] = Field(default_factory=list[str])
    """What may differ: JSON paths such as ``$[*].with.note``."""


VOICE_WORDS = frozenset(word for word, cls in WORDS.items() if cls.voice)


def _tag(value: Any) -> str | None:
    """The one word that an item of ``expect:`` holds, as a tag; None where it holds none, or several."""
    if isinstance(value, Expectation):
        return f"<{value.word}>"
    if not is_object(value):
        return None
    words = [key for key in value if key in WORDS]
    return f"<{words[0]}>" if len(words) == 1 else None


AnyExpectation = Annotated[
    Annotated[Called, Tag("<called>")]
    | Annotated[NotCalled, Tag("<not_called>")]
    | Annotated[Said, Tag("<said>")]
    | Annotated[NotSaid, Tag("<not_said>")]
    | Annotated[State, Tag("<state>")]
    | Annotated[Complete, Tag("<complete>")]
    | Annotated[BacksClaims, Tag("<backs_claims>")]
    | Annotated[CleanText, Tag("<clean_text>")]
    | Annotated[EndedBy, Tag("<ended_by>")]
    | Annotated[RepliedWithin, Tag("<replied_within>")]
    | Annotated[CostBelow, Tag("<cost_below>")]
    | Annotated[TokensBelow, Tag("<tokens_below>")]
    | Annotated[SpanExists, Tag("<span>")]
    | Annotated[PythonCheck, Tag("<python>")]
    | Annotated[Scores, Tag("<scores>")]
    | Annotated[MatchesTrace, Tag("<matches_trace>")]
    | Annotated[Snapshot, Tag("<snapshot>")]
    | Annotated[StopsWithin, Tag("<stops_within>")]
    | Annotated[IgnoresBackchannel, Tag("<ignores_backchannel>")]
    | Annotated[IgnoresVocalTics, Tag("<ignores_vocal_tics>")]
    | Annotated[IgnoresAsides, Tag("<ignores_asides>")]
    | Annotated[IgnoresHoldMusic, Tag("<ignores_hold_music>")]
    | Annotated[IgnoresBackground, Tag("<ignores_background>")]
    | Annotated[LetsCallerFinish, Tag("<lets_caller_finish>")]
    | Annotated[NoDeadAir, Tag("<no_dead_air>")]
    | Annotated[TalkRatio, Tag("<talk_ratio>")]
    | Annotated[Heard, Tag("<heard>")]
    | Annotated[Dtmf, Tag("<dtmf>")]
    | Annotated[OnlyWrites, Tag("<only_writes>")],
    Discriminator(cast("Callable[[Any], Any]", _tag)),
]
"""An item of ``expect:``: a mapping with exactly one of the words, and its modifiers."""
