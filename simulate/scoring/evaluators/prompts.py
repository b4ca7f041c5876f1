"""The questions that judged evaluators ask: files with a version in their name, to read and replace."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from simulate.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """One answer: what it means to the judge, and what it is worth; None is worth nothing, neither way."""

    means: str
    value: float | None
    quote: bool
    """Whether it counts only with words of the material that show it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question with its labels. ``quote_from`` names the parts of the material that is quoted from."""

    name: str
    question: str
    labels: dict[str, Label]
    quote_from: tuple[str, ...] | None


@lru_cache(256)
def prompt(name: str, folder: Path | None = None) -> Prompt:
    """The question of this name, ``faithfulness.v1``: from a folder of one's own prompts, else ours."""
    own = None if folder is None else folder / f"{name}.toml"
    if own is not None and own.is_file():
        text, where = own.read_text(encoding="utf-8"), str(own)
    else:
        where = f"simulate/scoring/evaluators/prompts/{name}.toml"
        text = (
            files("simulate.scoring.evaluators")
            .joinpath("prompts", f"{name}.toml")
            .read_text(encoding="utf-8")
        )
    try:
        return _read(name, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"not an evaluator's question: {error}",
            where=where,
            hint="it holds `question` and two [labels.NAME] or more with `means` and `value` (0 to 1)",
        ) from error


def _read(name: str, data: dict[str, Any]) -> Prompt:
    labels: dict[str, Label] = {}
    for label, given in data["labels"].items():
        value = given.get("value")
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"the value of {label} is {value}")
        labels[label] = Label(
            str(given["means"]), None if value is None else float(value), bool(given.get("quote", False))
        )
    if len(labels) < 2:
        raise ValueError("it has fewer than two labels")
    quote_from = data.get("quote_from")
    return Prompt(
        name, str(data["question"]).strip(), labels, None if quote_from is None else tuple(quote_from)
    )
