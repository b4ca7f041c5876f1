"""Says in a person's words, and at the right line, what pydantic found wrong in a document."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from simulate.errors import Problem
from simulate.model.base import WORDS
from simulate.model.loading.yaml_reader import MOST_PROBLEMS, Document
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_object
from simulate.model.text import shorten

_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "a text",
}

_INNER = re.compile(r"\$((?:\.[\w-]+|\[\d+\])*): ")
_STEP = re.compile(r"\.[\w-]+|\[\d+\]")


def problems_of(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """One problem for each of pydantic's errors."""
    found = error.errors(include_url=False)
    problems = [_problem(cast("dict[str, Any]", each), model, document) for each in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        problems.append(document.problem([], f"and {len(found) - MOST_PROBLEMS} more"))
    return problems


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Dotted path and message of each error, for files that have no places (TOML)."""
    said: list[tuple[str, str]] = []
    for found in error.errors():
        path = tuple(found["loc"])
        message, hint, _ = _told(cast("dict[str, Any]", found), path, model)
        said.append((_dotted(path), f"{message}{'; ' + hint if hint else ''}"))
    return said


def _problem(found: dict[str, Any], model: type[BaseModel], document: Document) -> Problem:
    path: tuple[str | int, ...] = tuple(found["loc"])
    message, hint, at_key = _told(found, path, model)
    if inner := _INNER.match(message):  # a matcher knows where in its mapping it is wrong
        path = (*path, *(int(step[1:-1]) if step[0] == "[" else step[1:] for step in _STEP.findall(inner[1])))
        message = message[inner.end() :]
    if found["type"] == "union_tag_not_found" and isinstance(found["input"], dict):
        path = (*path, next(iter(cast("dict[str, Any]", found["input"])), ""))
    elif not at_key and (dotted := _dotted(path[:-1] if found["type"] == "missing" else path)):
        message = f"{dotted}: {message}"
    return document.problem(path, message, hint=hint, key=at_key)


def _told(
    found: dict[str, Any], path: tuple[str | int, ...], model: type[BaseModel]
) -> tuple[str, str | None, bool]:
    """Message, hint, and whether it stands at the key rather than at the value."""
    kind, given = str(found["type"]), found["input"]
    if kind == "extra_forbidden":
        key = str(path[-1])
        return f'unknown key "{shorten(key, 60)}"{did_you_mean(key, _keys(model, path[:-1]))}', None, True
    if kind == "missing":
        return f'"{path[-1]}" is missing', None, False
    if kind == "union_tag_not_found":
        return (*_no_single_word(given), True)
    if kind == "literal_error":
        words = _expected_words(found)
        return f"{_shown(given)} is none of {', '.join(words)}{_near(given, words)}", None, False
    if kind in _WANTED:
        hint = None
        if given is None:
            hint = "nothing stands here; leave the key out or give it a value"
        elif kind == "bool_type":
            hint = "write true or false, without quotes"
        elif kind == "int_type" and isinstance(given, str):
            hint = "write it without quotes"
        elif kind == "model_type" and isinstance(given, str) and path[:1] == ("script",):
            hint = f"a line is a mapping: write says: {shorten(given, 60)}"
        return f"{_WANTED[kind]} is wanted, not {_shown(given)}", hint, False
    message = str(found["msg"]).removeprefix("Value error, ")
    if kind == "value_error" and "tools" in path[:1] and isinstance(given, dict):
        return message, "if this mapping is itself the tool's answer, write {returns: …} around it", False
    if kind == "string_pattern_mismatch":
        message = f"{_shown(given)} does not look right; it must match {found['ctx']['pattern']}"
    return message[:1].lower() + message[1:], None, False


def _no_single_word(given: Any) -> tuple[str, str | None]:
    if not isinstance(given, dict):
        return f"an item of expect: is a mapping such as {{called: lookup_order}}, not {_shown(given)}", None
    keys = [str(key) for key in cast("dict[Any, Any]", given)]
    words = [key for key in keys if key in WORDS]
    if words:
        return f"{' and '.join(words)} in one item", "make an item of each: a new line with a dash"
    guess = next((text for key in keys if (text := did_you_mean(key, WORDS, most=0))), "")
    what = f'unknown word "{shorten(keys[0], 60)}"' if keys else "an empty item"
    return f"{what} under expect:{guess}", None if guess else f"the words are {', '.join(WORDS)}"


def _expected_words(found: dict[str, Any]) -> list[str]:
    text = str(found["ctx"]["expected"])
    return [word.strip().strip("'") for word in text.replace(" or ", ", ").split(",")]


def _near(given: Any, words: Sequence[str]) -> str:
    return did_you_mean(given, words, most=0) if isinstance(given, str) else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{shorten(value, 60)}"'
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return shorten(str(value), 60) if isinstance(value, int | float) else f"a {type(value).__name__}"


def _is_label(step: str | int) -> bool:
    """A tag of our unions, which is not a key of the file."""
    return isinstance(step, str) and step.startswith("<") and step.endswith(">")


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step + 1}]"  # people count items from 1
        elif not _is_label(step) and step != "[key]":
            text += f".{shorten(step, 60)}" if text else shorten(step, 60)
    return text


def _keys(model: type[BaseModel], path: Sequence[str | int]) -> set[str]:
    """The keys that exist at ``path``, read from the model's JSON schema."""
    steps = list(path)
    for index, step in enumerate(steps):
        if _is_label(step) and str(step)[1:-1] in WORDS:
            return _keys(WORDS[str(step)[1:-1]], steps[index + 1 :])
    schema = _schema(model)
    here = list(_forms(schema, schema))
    for step in steps:
        if not _is_label(step):
            here = [form for each in here for form in _forms(schema, _step(each, step))]
    return {key for form in here for key in form.get("properties", {})}


def _step(form: dict[str, Any], step: str | int) -> Any:
    if isinstance(step, int):
        return form.get("items")
    return form.get("properties", {}).get(step) or form.get("additionalProperties")


def _forms(schema: dict[str, Any], form: Any) -> Iterator[dict[str, Any]]:
    """A form itself and all that it may be instead."""
    if not is_object(form):
        return
    form = form
    if "$ref" in form:
        yield from _forms(schema, schema["$defs"][str(form["$ref"]).rsplit("/", 1)[-1]])
        return
    yield form
    for word in ("anyOf", "oneOf", "allOf"):
        for each in form.get(word, ()):
            yield from _forms(schema, each)


@functools.cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()
