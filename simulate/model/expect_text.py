"""What an utterance is expected to hold: words, meanings, and values such as amounts, dates and ids."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field, Tag, model_validator

from simulate.model.base import Strict
from simulate.model.units import AsWritten, Data, Regex, mapping_or, matchable


def _figure(value: Any) -> Any:
    """A number, or a matcher of numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float | dict):
        raise ValueError("takes a number, or a matcher such as {about: 42.5, within: 0.01} or {any: true}")
    return matchable(cast("Any", value))


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(f"a day is written 2026-12-01, not {value!r}") from None


def _any_day(value: Any) -> Any:
    if isinstance(value, str):
        return _day(value)
    if value == {"any": True}:
        return value
    raise ValueError("a day is written 2026-12-01, or {any: true} for whichever")


Figure = Annotated[Data, AfterValidator(_figure)]


class Text(Strict):
    """What an utterance holds; all that is given must hold for one utterance. Values are found however they
    are written or spoken: "$42.50", "42.5 dollars", "forty-two fifty"."""

    contains: AsWritten | None = None
    """Ignoring case and runs of white space; amounts and dates by their value."""
    matches: Regex | None = None
    """A regular expression, searched for."""
    means: AsWritten | None = None
    """A meaning; needs a judge."""
    amount: Figure = None
    """An amount of money: a number, or a matcher of numbers."""
    currency: Annotated[AsWritten, Field(pattern="^[A-Z]{3}$")] | None = None
    """The amount's currency, by its ISO 4217 code."""
    date: Annotated[Data, AfterValidator(_any_day)] = None
    """A day, written ``2026-12-01``; the text may leave its year out."""
    number: Figure = None
    """A number, or a matcher of numbers."""
    unit: AsWritten | None = None
    """The number's unit, singular or plural; a time in another unit is converted."""
    id: AsWritten | None = None
    """An id, also spelled letter by letter."""
    language: Annotated[AsWritten, Field(pattern="^[a-z]{2,3}$")] | None = None
    """The language of the utterance, by its ISO 639 code; needs the extra ``language``."""
    json_: Annotated[Data, AfterValidator(matchable)] = Field(default=None, alias="json")
    """What the JSON holds that the utterance is, or has in a code fence: a value, an object that may hold
    more, or a matcher."""

    @property
    def typed(self) -> bool:
        """Whether a value is asked for."""
        return any(value is not None for value in (self.amount, self.date, self.number, self.id))

    @model_validator(mode="after")
    def _holds_something(self) -> Text:
        given = (self.contains, self.matches, self.means, self.language, self.json_)
        if self.currency is not None and self.amount is None:
            raise ValueError("currency: goes with amount:, which may be {any: true}")
        if self.unit is not None and self.number is None:
            raise ValueError("unit: goes with number:, which may be {any: true}")
        if not self.typed and all(value is None for value in given):
            raise ValueError(
                "holds nothing: give contains, matches, means, amount, date, number, id, language or json"
            )
        return self


TextOrMeaning = Annotated[
    Annotated[AsWritten, Tag("<text>")] | Annotated[Text, Tag("<mapping>")], mapping_or("<text>")
]
