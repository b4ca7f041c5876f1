"""What a cassette's files hold, value by value, so that whoever reads them further may rely on it.

Keys that are not named here are left as they are: requests and answers hold anything.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from simulate.errors import InputError

Form = Literal["manifest", "interaction", "tool call", "line of the conversation", "call in the conversation"]


@with_config(extra="allow")
class _PersonalShape(TypedDict):
    replaced: NotRequired[bool]
    invented: NotRequired[list[str]]
    pseudonyms: NotRequired[list[str]]


@with_config(extra="allow")
class _ManifestShape(TypedDict):
    schema: int
    files: NotRequired[dict[str, str]]
    complete: NotRequired[bool]
    match: NotRequired[Literal["http", "chat"]]
    scenario: NotRequired[str | None]
    started_ns: NotRequired[int | None]
    utc_ahead: NotRequired[float | None]
    ignore: NotRequired[list[str] | None]
    watch: NotRequired[dict[str, str] | None]
    personal: NotRequired[_PersonalShape | None]


@with_config(extra="allow")
class _RequestShape(TypedDict):
    method: str
    uri: str
    headers: dict[str, list[str]]
    body: NotRequired[dict[str, Any] | None]


@with_config(extra="allow")
class _StatusShape(TypedDict):
    code: int
    message: NotRequired[str | None]


@with_config(extra="allow")
class _ResponseShape(TypedDict):
    status: _StatusShape
    headers: dict[str, list[str] | str]
    body: NotRequired[dict[str, Any] | None]


@with_config(extra="allow")
class _AboutShape(TypedDict):
    key: str
    endpoint: str
    start_ms: float
    end_ms: float
    components: dict[str, str]
    query: NotRequired[list[list[str]]]
    turn: NotRequired[int | None]
    lane: NotRequired[int]


@with_config(extra="allow")
class _InteractionShape(TypedDict):
    request: _RequestShape
    response: _ResponseShape
    simulate: _AboutShape


@with_config(extra="allow")
class _ToolCallShape(TypedDict):
    key: str
    name: str
    arguments: Any
    error: NotRequired[dict[str, Any] | None]
    start_ms: float
    end_ms: float
    turn: NotRequired[int | None]
    lane: NotRequired[int]


@with_config(extra="allow")
class _SaidShape(TypedDict):
    speaker: Literal["caller", "agent"]
    text: str
    turn: NotRequired[int | None]


@with_config(extra="allow")
class _CalledShape(TypedDict):
    speaker: Literal["agent"]
    called: str
    arguments: Any
    turn: NotRequired[int | None]


_FORMS: dict[Form, Any] = {
    "manifest": _ManifestShape,
    "interaction": _InteractionShape,
    "tool call": _ToolCallShape,
    "line of the conversation": _SaidShape,
    "call in the conversation": _CalledShape,
}


@cache
def _reader(form: Form) -> TypeAdapter[Any]:
    return TypeAdapter(_FORMS[form])


def refuse_other_shape(form: Form, value: Any, path: Path, place: str = "") -> None:
    """InputError where the value is not of the form: says which key, and what it should be. ``place`` is
    where it stands in the file."""
    try:
        _reader(form).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"])) or "all of it"
        raise InputError(
            f"{place or 'this'} is not a cassette's {form}: {key}: {first['msg']}",
            where=str(path),
            hint="restore the file, or record the cassette again",
        ) from None
