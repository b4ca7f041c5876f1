"""Loads what checks need before conversations run: later it would block the event loop, and all of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from simulate.model.expect import CleanText, Expectation, NotSaid, Said, Scores
from simulate.model.expect_text import Text
from simulate.model.language import is_language
from simulate.model.text_values import in_digits


def preload(expectations: Iterable[Expectation]) -> None:
    """Load the libraries and models that these expectations need.

    Raises:
        MissingExtra: One of them is not installed.
    """
    for each in expectations:
        if isinstance(each, CleanText):
            importlib.import_module("ftfy.badness")
        elif isinstance(each, Scores) and "PII" in each.scores:
            importlib.import_module("phonenumbers")
        elif isinstance(each, Said | NotSaid):
            text = each.said if isinstance(each, Said) else each.not_said
            in_digits("two")
            if isinstance(text, Text) and text.language is not None:
                is_language("It takes a while to load the model.", "en")
