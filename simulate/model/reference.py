"""What is right, as far as somebody knows it: the side of a comparison that no trace holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from simulate.model.base import Strict
from simulate.model.shapes import is_list
from simulate.model.units import Arguments, AsWritten, Data

Order = Literal["exact", "in_order", "any_order", "subset", "superset", "writes"]


class ExpectedCall(Strict):
    """A tool call that belongs to the right way. Arguments match partially, as under ``called``."""

    name: AsWritten
    arguments: Arguments | None = None
    """None leaves them open."""


def _calls(value: Any) -> Any:
    """A bare name stands for a call with whatever arguments."""
    if not is_list(value):
        return value
    return [{"name": one} if isinstance(one, str) else one for one in value]


Calls = Annotated[
    list[ExpectedCall], BeforeValidator(_calls, json_schema_input_type=list[ExpectedCall | str])
]
"""Calls in their order, each a name or a mapping."""


class ExpectedHandoff(Strict):
    """One agent hands over to another."""

    to: AsWritten
    from_: AsWritten | None = Field(default=None, alias="from")
    payload: Arguments | None = None
    """What has to be handed over, matched partially."""


class Injected(Strict):
    """What the attacker wants who planted text for the agent: tool calls, or words in its answers."""

    tools: Calls = Field(default_factory=list[ExpectedCall])
    says: list[AsWritten] = Field(default_factory=list[str])
    """Texts that the agent says only if it obeys; without case and runs of white space."""


class Reference(Strict):
    """What is right for one trace or conversation. Every field may be left open; an evaluator that needs one
    which is open is not run."""

    answer: AsWritten | None = None
    """The answer that would be right."""
    goal: AsWritten | None = None
    """What the caller came for."""
    tools: Calls | None = None
    """The calls of the right way, in their order; an empty list says that no tool is to be called."""
    order: Order = "in_order"
    """How ``tools`` is held against the calls: `TrajectoryScore` explains each word."""
    writes: list[AsWritten] | None = None
    """The tools that change something, for ``order: writes``; the list is complete."""
    forbidden: list[AsWritten] = Field(default_factory=list[str])
    """Tools that must not be called."""
    state: dict[str, Data] = Field(default_factory=dict[str, Any])
    """The end state: tool → what its last result has to match."""
    documents: list[AsWritten] | None = None
    """Ids of the documents that are relevant."""
    handoffs: list[ExpectedHandoff] | None = None
    transcript: list[AsWritten] | None = None
    """What the caller really said, for the agent's speech recognition."""
    heard: list[AsWritten] | None = None
    """What a listener, or a recogniser, heard of the agent's speech."""
    injected: Injected | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Reference:
        both = sorted({one.name for one in self.tools or ()} & set(self.forbidden))
        if both:
            raise ValueError(f"{', '.join(both)} is under both tools and forbidden")
        wanted = [one for one in self.tools or () if self.injected and one in self.injected.tools]
        if wanted:
            raise ValueError(f"{wanted[0].name} stands under tools and, the same, under injected")
        if len(self.documents or ()) != len(set(self.documents or ())):
            raise ValueError("documents has the same id twice")
        return self
