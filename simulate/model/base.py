"""What every part of a scenario file is built on: strict models, and the registry of expectations."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown keys are refused; a loaded file never changes under a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Expectation(Strict):
    """One thing expected. The first field of a subclass is the word that names it in a file."""

    word: ClassVar[str] = ""
    voice: ClassVar[bool] = False
    """Only a conversation by voice can be held against it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.word:
            WORDS[cls.word] = cls


WORDS: dict[str, type[Expectation]] = {}
"""Every word of ``expect:`` with its class."""
