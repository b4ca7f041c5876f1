"""How one turn becomes a request to an agent that speaks no standard protocol, and its answer a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, model_validator

from simulate.model.base import Strict
from simulate.model.identity import WORDS, as_text
from simulate.model.json_path import path_text
from simulate.model.nearest import did_you_mean
from simulate.model.shapes import is_list
from simulate.model.units import Data

PLACEHOLDERS = ("message", "messages", *WORDS)
"""What ``{{…}}`` may name; ``{{options.plan}}`` and ``{{case.plan}}`` name one of them."""
_PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]*)\s*\}\}")


class UnknownPlaceholder(KeyError):
    """A placeholder that has no value yet, such as the session before the agent has given one."""


def placeholders(value: Any) -> Iterator[str]:
    """The names of all placeholders in a JSON value."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            yield from placeholders(key)
            yield from placeholders(inner)
    elif is_list(value):
        for inner in value:
            yield from placeholders(inner)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A JSON value with its placeholders filled in.

    A text that is one placeholder becomes its value, whatever its type; a member whose value is unknown is
    left out, so that a first request has no session instead of an empty one."""
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole is not None:
            return _value(whole[1], values)
        return filled_text(value, values)
    if isinstance(value, Mapping):
        made: dict[str, Any] = {}
        for key, inner in cast("Mapping[str, Any]", value).items():
            try:
                made[key] = filled(inner, values)
            except UnknownPlaceholder:
                continue
        return made
    if is_list(value):
        return [filled(inner, values) for inner in value]
    return value


def filled_text(text: str, values: Mapping[str, Any], quote: Callable[[str], str] = str) -> str:
    """A text with its placeholders filled in, each ``quote``\\ d. Raises UnknownPlaceholder."""
    return _PLACEHOLDER.sub(lambda found: quote(as_text(_value(found[1], values))), text)


def _value(name: str, values: Mapping[str, Any]) -> Any:
    if values.get(name) is None:
        raise UnknownPlaceholder(name)
    return values[name]


def check_placeholders(value: Any) -> None:
    """Raise ValueError, for pydantic, where a value has a placeholder that does not exist."""
    for name in placeholders(value):
        if name not in PLACEHOLDERS and not name.startswith(("options.", "case.")):
            raise ValueError(f"no placeholder {{{{{name}}}}}{did_you_mean(name, PLACEHOLDERS)}")


def _session_source(value: str) -> str:
    kind, _, name = value.partition(":")
    if kind in ("cookie", "header") and name.strip():
        return value
    if value.startswith("$"):
        return path_text(value)
    raise ValueError("a session comes from cookie:NAME, header:NAME or a JSON path such as $.session_id")


Path = Annotated[str, AfterValidator(path_text)]


class RequestTemplate(Strict):
    """One turn as a request, and where the answer is in what comes back.

    ``{{message}}`` is the caller's line, ``{{messages}}`` the whole conversation in OpenAI's message shape,
    ``{{session}}`` what the agent named its session, ``{{conversation}}`` our id of this conversation, and
    ``{{user}}``, ``{{tags}}``, ``{{options.plan}}``, ``{{case.plan}}`` and the like what the scenario
    says."""

    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    path: str = ""
    """Appended to the address; placeholders in it are quoted for a URL."""
    body: Data = None
    """A mapping or list is sent as JSON, or as a form where a header says so; a text as it is."""
    answer: Path | None = None
    """JSON path of the answer's text, in each event where it is streamed; none: the body is the text."""
    stream: Literal["sse", "ndjson"] | None = None
    """How the answer comes in pieces; none: as its content type says."""
    done: Path | None = None
    """JSON path that is set in the event that ends a streamed answer; one without it broke off."""
    session: Annotated[str, AfterValidator(_session_source)] | None = None
    """Where the agent names its session: ``cookie:NAME``, ``header:NAME`` or a JSON path."""
    hang_up: Path | None = None
    """JSON path that is set where the agent ends the conversation."""
    process: Literal["turn", "conversation"] | None = None
    """Of an agent on the command line: whether each turn or each conversation starts one."""
    tool: str | None = None
    """Of an MCP server: the tool that is the agent; none: its only one."""

    @model_validator(mode="after")
    def _fits(self) -> RequestTemplate:
        check_placeholders([self.path, self.body])
        if (self.stream == "ndjson" or self.done or self.hang_up) and self.answer is None:
            raise ValueError('"answer" is missing: the JSON path of the text in each event')
        return self

    @property
    def takes_history(self) -> bool:
        """Whether what was said before is part of a request."""
        return "messages" in placeholders([self.path, self.body])

    def says_something(self, *more: Any) -> bool:
        """Whether the caller's line is anywhere in it, or in what is sent beside it."""
        return bool({"message", "messages"} & set(placeholders([self.path, self.body, *more])))
