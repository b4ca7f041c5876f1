"""Amounts, numbers, dates and ids as a text names them, whatever way they are written or spoken."""

from __future__ import annotations

from simulate.model.text_values.amounts import Amount, amounts
from simulate.model.text_values.containing import contains
from simulate.model.text_values.dates import Date, dates
from simulate.model.text_values.denial import Stance, stance
from simulate.model.text_values.ids import names_id
from simulate.model.text_values.numbers import Number, in_digits, numbers
from simulate.model.text_values.sentences import sentences, statements

__all__ = [
    "Amount",
    "Date",
    "Number",
    "Stance",
    "amounts",
    "contains",
    "dates",
    "in_digits",
    "names_id",
    "numbers",
    "sentences",
    "stance",
    "statements",
]
