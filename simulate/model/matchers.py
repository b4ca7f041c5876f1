"""Matchers: what a value may be, as data. Shared by ``called: with:``, by span filters and by replay.

An object with one of these words is a matcher; any other value must be equal, where an object may hold more
keys than expected::

    {any: true}                    anything that is there
    {matches: "ord-[0-9]+"}        a text that a regular expression finds
    {about: 42.5, within: 0.01}    a number near it
    {one_of: [a, b]}               one of these
    {contains: refund}             a part of a text, an item of a list, a key of an object
    {schema: {type: object}}       what a JSON Schema describes
    {exactly: value}               this and nothing more, even where it looks like a matcher

A key of an expected object that is a JSON path, such as ``$.items[*].sku``, is looked for from that object
on; one of the places that it names must match. Numbers are numbers and texts are texts: ``42.5`` is not
``"42.50"``, and the mismatch says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from simulate.errors import InputError
from simulate.model.bounded_regex import BoundedRegex, bounded
from simulate.model.json_path import JsonPath, parse_path, values_at
from simulate.model.shapes import is_list, is_object
from simulate.model.text import folded, shorten

WORDS = frozenset({"any", "matches", "about", "within", "one_of", "contains", "schema", "exactly"})

_SCHEMA_WORDS = frozenset(
    {"$schema", "$ref", "type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf"}
    | {"not", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "format"}
    | {"contains", "uniqueItems", "additionalProperties", "patternProperties"}
)


def matches(expected: Any, actual: Any) -> bool:
    """Whether the value is what is expected."""
    return mismatch(expected, actual) is None


def mismatch(expected: Any, actual: Any) -> str | None:
    """The first difference, with the path to it (``$.items[2].price``); None when it matches. A matcher that
    is written wrongly raises ValueError, as `check` does."""
    return _differs(expected, actual, "$")


def is_matcher(value: Any) -> bool:
    """Whether this is a matcher: one of the words, and ``within`` only beside ``about``."""
    if not is_object(value) or not value:
        return False
    keys = set(cast("dict[Any, Any]", value))
    if keys == {"schema"}:  # and not an argument of that name
        schema = value["schema"]
        return isinstance(schema, dict) and not _SCHEMA_WORDS.isdisjoint(cast("dict[Any, Any]", schema))
    return keys in ({"about"}, {"about", "within"}) or (len(keys) == 1 and keys <= WORDS - {"within"})


def check(expected: Any) -> None:
    """Raise ValueError, with the path, for a matcher or a JSON path that could never work: before anything
    runs."""
    waiting: list[tuple[Any, str]] = [(expected, "$")]
    while waiting:
        value, path = waiting.pop()
        if is_matcher(value):
            word, given = _word(value)
            if word == "matches":
                _pattern(given, path)
            elif word == "about":
                _number(given, path)
                _number(value.get("within", 0), path)
            elif word == "any" and given is not True:
                raise ValueError(f"{path}: any: takes true")
            elif word == "schema":
                _check_schema(given, path)
            elif word == "one_of":
                waiting += [(item, f"{path}[{at}]") for at, item in enumerate(_items(given, path))]
        elif isinstance(value, dict):
            for key, item in cast("dict[Any, Any]", value).items():
                _json_path(key, path)
                waiting.append((item, _at(path, key)))
        elif is_list(value):
            waiting += [(item, f"{path}[{at}]") for at, item in enumerate(value)]


def _differs(expected: Any, actual: Any, path: str) -> str | None:
    if is_matcher(expected):
        word, given = _word(expected)
        return _MATCHERS[word](given, actual, path, expected)
    if is_object(expected) and is_object(actual):
        return _objects(expected, actual, path, whole=False)
    if is_list(expected) and is_list(actual):
        return _lists(expected, actual, path, _differs)
    return _scalars(expected, actual, path)


def _exactly_differs(expected: Any, actual: Any, path: str) -> str | None:
    if is_object(expected) and is_object(actual):
        return _objects(expected, actual, path, whole=True)
    if is_list(expected) and is_list(actual):
        return _lists(expected, actual, path, _exactly_differs)
    return _scalars(expected, actual, path)


def _objects(expected: dict[Any, Any], actual: dict[Any, Any], path: str, *, whole: bool) -> str | None:
    differs = _exactly_differs if whole else _differs
    for key, value in expected.items():
        steps = None if whole or key in actual else _json_path(key, path)
        if steps is not None:
            found = _anywhere(key, steps, value, actual, path)
        elif key not in actual:
            return f"{_at(path, key)}: expected {_shown(value)}, but it is missing"
        else:
            found = differs(value, actual[key], _at(path, key))
        if found is not None:
            return found
    if whole:
        extra = next((key for key in actual if key not in expected), None)
        if extra is not None:
            return f"{_at(path, extra)}: not expected, but it is {_shown(actual[extra])}"
    return None


def _anywhere(key: str, steps: JsonPath, expected: Any, actual: Any, path: str) -> str | None:
    """The difference at the first place that a JSON path names, where none of its places matches."""
    places = values_at(actual, steps)
    if not places:
        return f"{_from(path, key)}: expected {_shown(expected)}, but nothing is there"
    differences = [_differs(expected, value, _from(path, key)) for value in places]
    if None in differences:
        return None
    more = f", nor at {len(places) - 1} more places" if len(places) > 1 else ""
    return f"{differences[0]}{more}"


def _from(path: str, key: str) -> str:
    return path + key.removeprefix("$")


def _json_path(key: Any, path: str) -> JsonPath | None:
    """The steps of a key that is a JSON path; None for a plain name."""
    if not isinstance(key, str) or not key.startswith(("$.", "$[")):
        return None
    try:
        return parse_path(key)
    except InputError as error:
        raise ValueError(f"{path}: {error.message}; {error.hint}") from None


def _lists(
    expected: list[Any], actual: list[Any], path: str, differs: Callable[[Any, Any, str], str | None]
) -> str | None:
    for at, (value, found) in enumerate(zip(expected, actual, strict=False)):
        problem = differs(value, found, f"{path}[{at}]")
        if problem is not None:
            return problem
    if len(expected) != len(actual):
        return f"{path}: expected {len(expected)} items, got {len(actual)}"
    return None


def _scalars(expected: Any, actual: Any, path: str) -> str | None:
    number = _is_number(expected), _is_number(actual)
    if isinstance(expected, bool) or isinstance(actual, bool):
        same = expected is actual
    elif all(number):
        same = expected == actual or (_is_nan(expected) and _is_nan(actual))
    else:
        same = type(expected) is type(actual) and expected == actual
    if same:
        return None
    hint = ""
    if number[0] and isinstance(actual, str) and _reads_as(actual) == expected:
        hint = " (the number came as a text)"
    elif number[1] and isinstance(expected, str) and _reads_as(expected) == actual:
        hint = " (a text was expected, and a number came)"
    return f"{path}: expected {_shown(expected)}, got {_shown(actual)}{hint}"


# -- the words -------------------------------------------------------------------------------------------


def _word(matcher: dict[str, Any]) -> tuple[str, Any]:
    word = next(word for word in matcher if word != "within")
    return word, matcher[word]


def _any(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    if given is not True:
        raise ValueError(f"{path}: any: takes true")
    return None if actual is not None else f"{path}: expected anything, got nothing"


def _matches(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    pattern = _pattern(given, path)
    text = actual if isinstance(actual, str) else _shown(actual) if _is_number(actual) else None
    if text is not None and pattern.search(text):
        return None
    return f"{path}: expected a text that matches {given!r}, got {_shown(actual)}"


def _about(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    middle, within = _number(given, path), _number(whole.get("within", 1e-9 * max(1.0, abs(given))), path)
    # half a billionth on top, since 42.51 - 42.5 is a little more than 0.01 in binary
    if _is_number(actual) and abs(actual - middle) <= within * (1 + 1e-9) + 1e-12:
        return None
    hint = " (the number came as a text)" if isinstance(actual, str) and _reads_as(actual) is not None else ""
    return f"{path}: expected {_shown(given)} ± {_shown(within)}, got {_shown(actual)}{hint}"


def _one_of(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    choices = _items(given, path)
    if any(_differs(choice, actual, path) is None for choice in choices):
        return None
    return f"{path}: expected one of {_shown(choices)}, got {_shown(actual)}"


def _contains(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    if isinstance(actual, str) and isinstance(given, str):
        if folded(given) in folded(actual):
            return None
    elif is_list(actual):
        if any(_differs(given, item, path) is None for item in actual):
            return None
    elif isinstance(actual, dict) and isinstance(given, str) and given in actual:
        return None
    return f"{path}: expected something that contains {_shown(given)}, got {_shown(actual)}"


def _schema(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    from jsonschema import exceptions  # start-up time

    # which is not typed there
    best_match = cast("Callable[..., Any]", exceptions.best_match)  # pyright: ignore[reportUnknownMemberType]
    error = best_match(_validator(json.dumps(given)).iter_errors(actual))
    if error is None:
        return None
    return f"{path}{error.json_path.removeprefix('$')}: {shorten(error.message, 200)}, by the schema"


@lru_cache(maxsize=128)
def _validator(schema: str) -> Any:
    from jsonschema.validators import validator_for  # start-up time
    from referencing import Registry

    given = json.loads(schema)
    # a registry of our own, for with the default one a $ref elsewhere would be fetched
    return validator_for(given)(given, registry=Registry())


def _check_schema(given: Any, path: str) -> None:
    from jsonschema.exceptions import SchemaError  # start-up time
    from jsonschema.validators import validator_for

    try:
        validator_for(given).check_schema(given)
    except SchemaError as error:
        raise ValueError(f"{path}: not a JSON Schema: {error.message}, at {error.json_path}") from None
    for ref in values_at(given, parse_path("$..$ref")):
        if not str(ref).startswith("#"):
            raise ValueError(f"{path}: {ref!r} lies outside the schema, and nothing is fetched: copy it in")


def _exactly(given: Any, actual: Any, path: str, whole: Any) -> str | None:
    return _exactly_differs(given, actual, path)


_MATCHERS: dict[str, Callable[[Any, Any, str, Any], str | None]] = {
    "any": _any,
    "matches": _matches,
    "about": _about,
    "one_of": _one_of,
    "contains": _contains,
    "schema": _schema,
    "exactly": _exactly,
}


# -- small things ----------------------------------------------------------------------------------------


def _pattern(given: Any, path: str) -> BoundedRegex:
    if not isinstance(given, str):
        raise ValueError(f"{path}: matches: takes a regular expression")
    try:
        return bounded(given)
    except re.error as error:
        raise ValueError(f"{path}: {given!r} is not a regular expression: {error}") from error


def _number(given: Any, path: str) -> float:
    if not _is_number(given):
        raise ValueError(f"{path}: about: and within: take numbers, not {_shown(given)}")
    return given


def _items(given: Any, path: str) -> list[Any]:
    if not is_list(given):
        raise ValueError(f"{path}: one_of: takes a list")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _reads_as(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _at(path: str, key: Any) -> str:
    return f"{path}.{key}" if isinstance(key, str) and re.fullmatch(r"[\w-]+", key) else f"{path}[{key!r}]"


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), 200)
