"""Names of people, which no pattern finds: Microsoft's Presidio does, behind the extra ``pii``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from simulate.errors import InputError, MissingExtra
from simulate.trace.redact import Finding

CERTAIN = 0.6
"""Presidio's score from which on a name is taken for one."""


def finder(language: str = "en") -> Callable[[str], list[Finding]]:
    """A finder for `Redactor(finders=[…])`. Raises MissingExtra where Presidio is not installed."""
    engine = _engine()

    def find(text: str) -> list[Finding]:
        found = engine.analyze(text=text, entities=["PERSON"], language=language)
        return [Finding("name", each.start, each.end) for each in found if each.score >= CERTAIN]

    return find


@cache
def _engine() -> Any:
    try:
        presidio: Any = importlib.import_module("presidio_analyzer")
    except ImportError as error:
        raise MissingExtra("presidio-analyzer, which finds names,", "pii") from error
    try:
        return presidio.AnalyzerEngine()
    except (OSError, ImportError, SystemExit) as error:
        raise InputError(
            f"Presidio has no language model: {error}", hint="python -m spacy download en_core_web_lg"
        ) from error
