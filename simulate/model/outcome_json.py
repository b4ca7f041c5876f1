"""Outcomes and run records to JSON and back; ``outcome.json``, ``outcomes.jsonl`` and ``run.json`` hold it.

An agent may have said or returned anything: half a surrogate pair, bytes, a set, NaN, an object of its own.
None of that may cost a finished outcome, so writing never fails on a value. Reading is strict: a file that
is not an outcome, or that a newer version wrote, is refused with its place.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson

from simulate.errors import InputError
from simulate.model.outcome import SCHEMA, Outcome, RunRecord

T = TypeVar("T")

SCHEMA_FILES: dict[str, type[Any]] = {"outcome.schema.json": Outcome, "run.schema.json": RunRecord}
"""The JSON schemas that ship beside this module, and what each describes."""

MAX_DEPTH = 60
"""Deeper values become text: a list that holds itself must not hang a report."""


def outcome_to_json(outcome: Outcome) -> bytes:
    """One line of JSON, UTF-8."""
    return to_json(outcome)


def outcome_from_json(data: bytes | str, *, where: str = "outcome") -> Outcome:
    """The outcome that ``outcome_to_json`` wrote; InputError says where and why it is none."""
    return _read(Outcome, _parse(data, where), where)


def run_to_json(run: RunRecord) -> bytes:
    """One line of JSON, UTF-8."""
    return to_json(run)


def run_from_json(data: bytes | str, *, where: str = "run.json") -> RunRecord:
    """The record that ``run_to_json`` wrote; InputError says where and why it is none."""
    return _read(RunRecord, _parse(data, where), where)


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain JSON values."""
    return cast("dict[str, Any]", plain(outcome))


def outcome_from_dict(data: Mapping[str, Any], *, where: str = "outcome") -> Outcome:
    """The outcome of plain JSON values; InputError says what is wrong with them."""
    return _read(Outcome, data, where)


def to_json(value: Any) -> bytes:
    """Any dataclass of this package, or plain data, as JSON; NaN and infinity, which JSON lacks, as null."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(plain(value))


def plain(value: Any, depth: int = 0) -> Any:
    """The same in JSON's own types. Bytes become base64, sets lists, anything unknown its ``repr``."""
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return _text(value) if depth >= MAX_DEPTH else _many(value, depth + 1)


def _many(value: Any, depth: int) -> Any:
    # plain types first: most of what is written are dicts and lists, and asking an abstract type is slow
    if isinstance(value, dict | Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {plain(_text(key)): plain(item, depth) for key, item in pairs}
    if isinstance(value, list | tuple | Set):
        return [plain(item, depth) for item in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth) for field in dataclasses.fields(value)}
    return plain(_text(value))


def schema_of(file: str) -> bytes:
    """The JSON schema that should lie in ``file``, of ``SCHEMA_FILES``."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_adapter(SCHEMA_FILES[file]).json_schema(),
    }
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def write_schemas(folder: Path | None = None) -> list[Path]:
    """Write the schemas anew after a change of the dataclasses; by default where they ship."""
    folder = Path(__file__).parent / "schemas" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    for file in SCHEMA_FILES:
        (folder / file).write_bytes(schema_of(file))
    return [folder / file for file in SCHEMA_FILES]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)[:10_000]
    except Exception as error:  # noqa: BLE001  the repr is a foreign program
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _parse(data: bytes | str, where: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}", where=where) from None


def _read(shape: type[T], data: Any, where: str) -> T:
    from pydantic import ValidationError

    if isinstance(data, Mapping):
        written = cast("Mapping[str, Any]", data).get("schema", SCHEMA)
        if isinstance(written, int) and written > SCHEMA:
            raise InputError(
                f"written in schema {written}; this version reads up to {SCHEMA}",
                where=where,
                hint="pip install --upgrade simulate-agents",
            )
    try:
        return cast("T", _adapter(shape).validate_python(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(
            f"not what {shape.__name__} looks like: {place}: {first['msg']}{more}", where=where
        ) from None


@functools.cache
def _adapter(shape: type[Any]) -> Any:
    # pydantic is imported on the first read, not by those who only write
    from pydantic import TypeAdapter

    return TypeAdapter(shape)
