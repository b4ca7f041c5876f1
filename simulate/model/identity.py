"""Who calls and what is tried: the tags of production traces, from a scenario, its persona, its case and the
command line.

They stand on the agent's spans and reach it as W3C baggage; an endpoint's ``headers`` and ``options`` may
name them, as in ``{user}``; a Python agent's ``start`` is given all of it, as a `ConversationStart`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simulate.errors import InputError
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_list, is_object

ATTRIBUTES = {
    "user": "user.id",
    "session": "session.id",
    "tenant": "tenant.id",
    "feature": "feature.id",
    "experiment": "experiment.id",
    "cohort": "cohort.name",
    "prompt_version": "prompt.version",
}
"""The words of a scenario, and the span attributes that they become."""

TAGS, OPTIONS = "simulate.tags", "simulate.options."
"""The span attributes of a scenario's ``tags``, and of each of its ``options``."""
WORDS = (*ATTRIBUTES, "conversation", "scenario", "tags", "options", "case")
"""What a placeholder names; ``options.plan`` and ``case.plan`` name one of them."""

_NAME = rf"((?:options|case)\.[\w.-]+|{'|'.join(WORDS)})"
_PLACE = re.compile(rf"\{{\{{\s*{_NAME}\s*\}}\}}|\{{{_NAME}\}}")


class ConversationStart(str):
    """What an agent's ``start`` is given: the conversation's id, which is also its trace id, as text, and who
    calls for what.

    ``persona`` is the `Persona` as it is played, ``case`` the columns of the scenario's case, ``options``
    those of persona and scenario together; ``user``, ``tenant`` and the like are None where nobody gives
    them."""

    user: str | None
    session: str | None
    tenant: str | None
    feature: str | None
    experiment: str | None
    cohort: str | None
    prompt_version: str | None

    def __new__(
        cls,
        conversation: str,
        *,
        attributes: Mapping[str, str] | None = None,
        scenario: str = "",
        persona: Any = None,
        case: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> ConversationStart:
        made = super().__new__(cls, conversation)
        made.scenario, made.persona, made.tags = scenario, persona, list(tags)
        made.case, made.options = dict(case or {}), dict(options or {})
        for word, attribute in ATTRIBUTES.items():
            setattr(made, word, (attributes or {}).get(attribute))
        return made

    scenario: str
    persona: Any
    case: dict[str, Any]
    tags: list[str]
    options: dict[str, Any]

    def known(self) -> dict[str, Any]:
        """What is known of who calls, by its word, and beside it the ``options``, which hide none."""
        words = {word: getattr(self, word) for word in (*ATTRIBUTES, "tags")}
        return {**self.options, **{word: value for word, value in words.items() if value}}

    def placeholders(self) -> dict[str, Any]:
        """What each placeholder stands for; None for what nobody gives."""
        found = {word: getattr(self, word) or None for word in WORDS if word != "conversation"}
        parts = {"options": self.options, "case": self.case}
        return {**found, **dict(_leaves(parts)), "conversation": str(self)}


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Everything inside a mapping by its path with dots."""
    for name, each in value.items():
        if above:
            yield above + name, each
        if is_object(each):
            yield from _leaves(each, f"{above}{name}.")


def attributes_of(words: object, persona: object, options: Mapping[str, Any]) -> dict[str, str]:
    """The span attributes that a scenario's words make, or else its persona's."""
    made: dict[str, str] = {}
    for word, attribute in ATTRIBUTES.items():
        value = getattr(words, word)
        value = getattr(persona, word, None) if value is None else value
        if value is not None:
            made[attribute] = value
    if tags := getattr(words, "tags", ()):
        made[TAGS] = ",".join(tags)
    for name, value in options.items():
        made[OPTIONS + name] = as_text(value)
    return made


def parse_tags(given: Iterable[str]) -> dict[str, str]:
    """``--tag NAME=VALUE``: a word such as ``user``, or the full name of any attribute, which has a dot.

    Raises InputError for what is neither."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        attribute = ATTRIBUTES.get(name, name)
        if not equals or not value:
            raise InputError(f"{text!r} has no value", where="--tag", hint="write --tag user=u-7731")
        if "." not in attribute:
            known = f"known are {', '.join(ATTRIBUTES)}; any other attribute by its full name: release.id"
            raise InputError(
                f"{name!r} is not a tag{did_you_mean(name, ATTRIBUTES)}", where="--tag", hint=known
            )
        found[attribute] = value
    return found


def filled(value: Any, places: Mapping[str, Any]) -> Any:
    """A value of an agent's ``headers`` or ``options`` for one conversation, ``{user}``, ``{options.plan}``
    and the like replaced by what `ConversationStart.placeholders` gives; ``{{user}}`` is the same.

    A text that is one of them becomes its value, whatever its type. None for a text that names what this
    conversation does not have, which is then not sent."""
    if isinstance(value, str):
        if (whole := _PLACE.fullmatch(value)) is not None:
            return places.get(_name(whole))
        if any(places.get(_name(each)) is None for each in _PLACE.finditer(value)):
            return None
        return _PLACE.sub(lambda each: as_text(places[_name(each)]), value)
    if is_object(value):
        inside = value
        made = {key: filled(each, places) for key, each in inside.items()}
        return {key: each for key, each in made.items() if each is not None or inside[key] is None}
    if is_list(value):
        items = [filled(each, places) for each in value]
        return [each for each in items if each is not None]
    return value


def filled_texts(texts: Mapping[str, str], places: Mapping[str, Any]) -> dict[str, str]:
    """The same of headers, which are text."""
    made: dict[str, Any] = filled(dict(texts), places)
    return {name: as_text(value) for name, value in made.items()}


def as_text(value: Any) -> str:
    """A value as part of a text: what is not text is JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(place: re.Match[str]) -> str:
    return place[1] or place[2]
