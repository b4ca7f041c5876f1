"""The words of ``expect:`` that only a call has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulate.model.base import Expectation, Strict
from simulate.model.units import AsWritten, Duration, Number, Turn


class StopsWithin(Expectation):
    """After the caller cut in, the agent fell silent within this time (voice)."""

    voice = True
    stops_within: Duration


class IgnoresBackchannel(Expectation):
    """A "mhm" of the caller did not stop the agent (voice)."""

    voice = True
    ignores_backchannel: Literal[True]


class IgnoresVocalTics(Expectation):
    """A cough or an "um" of the caller neither stopped the agent nor was answered (voice)."""

    voice = True
    ignores_vocal_tics: Literal[True]


class IgnoresAsides(Expectation):
    """What the caller said to somebody else neither stopped the agent nor was answered (voice)."""

    voice = True
    ignores_asides: Literal[True]


class IgnoresHoldMusic(Expectation):
    """Hold music neither stopped the agent nor was answered (voice)."""

    voice = True
    ignores_hold_music: Literal[True]


class IgnoresBackground(Expectation):
    """Noise, other voices and its own echo never stopped the agent (voice)."""

    voice = True
    ignores_background: Literal[True]


class LetsCallerFinish(Expectation):
    """The agent never began to speak inside a turn of the caller, nor in a pause of it (voice)."""

    voice = True
    lets_caller_finish: Literal[True]


class NoDeadAir(Expectation):
    """Nobody was silent for longer than this while the agent was due to speak (voice)."""

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

    voice = True
    talk_ratio: Bounds


class Heard(Expectation):
    """The agent's speech recognition understood this, numbers normalised (voice)."""

    voice = True
    heard: AsWritten
    in_turn: Turn | None = None


class Dtmf(Expectation):
    """The agent got these keys (voice)."""

    voice = True
    dtmf: Annotated[AsWritten, Field(pattern=r"^[0-9A-D*#]+$")]
