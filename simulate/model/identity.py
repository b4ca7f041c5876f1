"""Who calls and what is tried: the tags of production traces, from a scenario, its case and the command line.

They stand on the agent's spans and reach it as W3C baggage; an endpoint's ``headers`` and ``options`` may
name them, as in ``{user}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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

_PLACE = re.compile(r"\{(" + "|".join([*ATTRIBUTES, "conversation"]) + r")\}")


def identity_of(words: object) -> dict[str, str]:
    """The span attributes that a scenario's words make."""
    given = {attribute: getattr(words, word) for word, attribute in ATTRIBUTES.items()}
    return {attribute: value for attribute, value in given.items() if value is not None}


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


def filled(value: Any, attributes: Mapping[str, str], conversation: str) -> Any:
    """A value of an endpoint's ``headers`` or ``options`` for one conversation, ``{user}`` and the like
    replaced. None for a text that names what this conversation does not have, which is then not sent."""
    if isinstance(value, str):
        known = {word: attributes.get(attribute) for word, attribute in ATTRIBUTES.items()}
        known["conversation"] = conversation
        if any(known[each[1]] is None for each in _PLACE.finditer(value)):
            return None
        return _PLACE.sub(lambda each: str(known[each[1]]), value)
    if is_object(value):
        inside = value
        made = {key: filled(each, attributes, conversation) for key, each in inside.items()}
        return {key: each for key, each in made.items() if each is not None or inside[key] is None}
    if is_list(value):
        items = [filled(each, attributes, conversation) for each in value]
        return [each for each in items if each is not None]
    return value
