"""Outcomes and run records to JSON and back; ``outcome.json``, ``outcomes.jsonl`` and ``run.json`` hold it.

An agent may have said or returned anything: half a surrogate pair, bytes, a set, NaN, an object of its own.
None of that may cost a finished outcome, so writing never fails on a value. Reading is strict: a file that
is not an outcome, or that a newer version wrote, is refused with its place.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson

from simulate.errors import InputError
from simulate.model.json_values import plain, to_json
from simulate.model.outcome import SCHEMA, Outcome, RunRecord

T = TypeVar("T")

SCHEMA_FILES: dict[str, type[Any]] = {"outcome.schema.json": Outcome, "run.schema.json": RunRecord}
"""The JSON schemas that ship beside this module, and what each describes."""


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
