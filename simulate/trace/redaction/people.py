"""Names of people, which no pattern finds: Microsoft's Presidio does, behind the extra ``pii``."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from functools import cache
from typing import Any

from simulate.errors import InputError, MissingExtra
from simulate.trace.redaction.findings import Finding

CERTAIN = 0.6
"""Presidio's score from which on a name is taken for one."""


def finder() -> Callable[[str], list[Finding]]:
    """A finder for `Redactor(finders=[…])`, for English. Raises MissingExtra where Presidio is not installed,
    InputError where its language model is not."""
    engine = _engine()

    def find(text: str) -> list[Finding]:
        found = engine.analyze(text=text, entities=["PERSON"], language="en")
        return [Finding("name", each.start, each.end) for each in found if each.score >= CERTAIN]

    return find


MODELS = ("en_core_web_lg", "en_core_web_trf", "en_core_web_md", "en_core_web_sm")
"""spaCy's models of English, the surest first; the first that is installed is taken."""


@cache
def _engine() -> Any:
    """Presidio on an installed model. Left to itself it downloads one in the middle of a redaction."""
    try:
        presidio: Any = importlib.import_module("presidio_analyzer")
        engines: Any = importlib.import_module("presidio_analyzer.nlp_engine")
    except ImportError as error:
        raise MissingExtra("presidio-analyzer, which finds names,", "pii") from error
    model = next((name for name in MODELS if _installed(name)), None)
    if model is None:
        raise InputError(
            f"Presidio needs a language model, one of {', '.join(MODELS)}",
            hint=f"python -m spacy download {MODELS[0]}",
        )
    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    engine = engines.NlpEngineProvider(nlp_configuration=configuration).create_engine()
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def _installed(package: str) -> bool:
    """By what pip knows, as spaCy looks too."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
