"""What every part of a scenario file is built on: strict models, and the registry of expectations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from simulate.model.units import AsWritten

FilePlace = tuple[str, int, int]
"""Where a scenario names a file: the trace of an item of ``expect``, or an attachment of a line of
``script``."""


class Strict(BaseModel):
    """Unknown keys are refused; a loaded file never changes under a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ScenarioModel(Strict):
    """What reading a file needs to know of a scenario."""

    name: AsWritten

    @staticmethod
    def contradictions(data: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str, str | None]]:
        """What no field can see alone: path, message and hint of each. Takes a file's raw data, so that they
        are told beside everything else that is wrong in it."""
        raise NotImplementedError

    def with_files(self, files: Mapping[FilePlace, str]) -> Self:
        """The same scenario, with where the files lie that it names."""
        raise NotImplementedError


class Expectation(Strict):
    """One thing expected. The first field of a subclass is the word that names it in a file."""

    word: ClassVar[str] = ""
    voice: ClassVar[bool] = False
    """Only a conversation by voice can be held against it."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        name, field = next(iter(cls.model_fields.items()))
        cls.word = field.alias or name
        WORDS[cls.word] = cls


WORDS: dict[str, type[Expectation]] = {}
"""Every word of ``expect:`` with its class."""
