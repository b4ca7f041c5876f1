"""Who calls."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Unknown keys are refused; a loaded file never changes under a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Amount = Literal["none", "low", "medium", "high"]


class Speaks(Strict):
    """How the persona speaks or types."""

    language: str = "en"
    accent: str | None = None
    pace: Literal["slow", "normal", "fast"] | None = None
    verbosity: Literal["terse", "normal", "chatty"] | None = None
    tone: str | None = None
    punctuation: Literal["none", "loose", "correct"] | None = None
    typos: Amount | None = None
    emoji: Amount | None = None
    slang: Amount | None = None


class Voice(Strict):
    """How the persona sounds, and what the line adds."""

    name: str | None = None
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    noise: str | None = None
    noise_db: float = Field(default=20.0, ge=-10.0, le=60.0)
    line: Literal["clean", "phone", "bad"] = "clean"
    interrupts: Amount = "none"
    waits: Amount = "medium"


class Persona(Strict):
    """Who calls: traits, what they know, how they speak. Faker fills what is left open, from a seed."""

    name: str | None = None
    description: str | None = None
    locale: str = "en_US"
    traits: list[str] = Field(default_factory=list)
    knows: dict[str, Any] = Field(default_factory=dict)
    speaks: Speaks = Field(default_factory=Speaks)
    voice: Voice = Field(default_factory=Voice)
    instructions: str | None = None
