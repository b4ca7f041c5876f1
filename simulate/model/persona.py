"""Who calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from simulate.model.base import Strict
from simulate.model.loading.reader import PersonaReader
from simulate.model.locales import check_locale
from simulate.model.units import AsWritten, Data, Duration, Number, Whole

Amount = Literal["none", "low", "medium", "high"]


Gender = Literal["female", "male"]


class Speaks(Strict):
    """How the persona speaks or types."""

    language: AsWritten = "en"
    """An ISO 639 code such as ``en`` or ``es``."""
    accent: AsWritten | None = None
    """For voice, in plain words."""
    pace: Literal["slow", "normal", "fast"] | None = None
    verbosity: Literal["terse", "normal", "chatty"] | None = None
    tone: AsWritten | None = None
    """In plain words: worried, curt, cheerful."""
    punctuation: Literal["none", "loose", "correct"] | None = None
    """How carefully the persona types."""
    typos: Amount | None = None
    emoji: Amount | None = None
    slang: Amount | None = None


class Voice(Strict):
    """How the persona sounds, and what the line adds."""

    name: AsWritten | None = None
    """The voice of the speech engine."""
    gender: Gender | None = None
    """For an engine that has several voices: which of them, where no ``name`` is given."""
    age: Whole | None = Field(default=None, ge=4, le=110)
    """Likewise, in years."""
    recording: AsWritten | None = None
    """A WAV file of a call with the caller on its left channel: the lines of the script are played from it,
    in their order, instead of being spoken anew."""
    speed: Number = Field(default=1.0, ge=0.5, le=2.0)
    """1.0 is the voice's own speed."""
    noise: AsWritten | None = None
    """Behind the persona: ``white``, ``street``, ``cafe``, ``voice`` (somebody else who talks), ``babble``
    (many who do), or a WAV file."""
    noise_db: Number = Field(default=20.0, ge=-10.0, le=60.0)
    """Speech over noise in dB: the lower, the noisier."""
    line: Literal["clean", "phone", "bad"] = "clean"
    """Quality of the line; ``phone`` is 8 kHz µ-law."""
    echo: Number = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the agent's own voice that comes back to it from the caller's loudspeaker."""
    delay: Annotated[Duration, Field(le=5.0)] = 0.0
    """How late the line brings the sound, each way."""
    interrupts: Amount = "none"
    """How readily the persona cuts in."""
    waits: Amount = "medium"
    """How long the persona lets a pause last before speaking."""


class Persona(Strict):
    """Who calls: traits, what they know, how they speak. Faker fills what is left open, from a seed."""

    name: AsWritten | None = None
    """The caller's name; drawn from the run's seed when left out."""
    description: AsWritten | None = None
    """Who this is, in a sentence or two."""
    locale: Annotated[AsWritten, AfterValidator(check_locale)] = "en_US"
    """One of Faker's locales; what is left open is drawn in it. Follows ``speaks.language`` when left out."""
    traits: list[AsWritten] = Field(default_factory=list[str])
    """How they are: impatient, polite, forgetful."""
    user: AsWritten | None = None
    """Who they are to the agent's product, where the scenario does not say: ``user.id`` on its spans."""
    tenant: AsWritten | None = None
    """``tenant.id``, likewise."""
    options: dict[str, Data] = Field(default_factory=dict)
    """What the agent is told of them besides; a scenario's ``options`` come on top."""
    knows: dict[str, Data] = Field(default_factory=dict)
    """Facts that the caller has at hand, and never contradicts."""
    speaks: Speaks = Field(default_factory=Speaks)
    """How they speak or type."""
    voice: Voice = Field(default_factory=Voice)
    """How they sound, for voice."""
    instructions: AsWritten | None = None
    """Anything else the caller should do or leave, in plain words."""

    @classmethod
    def load(cls, path: Path | str) -> Persona:
        """The persona of a file; raises FileProblems with all that is wrong in it."""
        return PersonaReader(cls).load_persona(path)
