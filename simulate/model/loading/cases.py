"""Rows that make several tests of one scenario: inline, or from a CSV, JSON or JSONL file.

``{{column}}`` is filled in every text. A value that is one placeholder and nothing else keeps the type of the
column; ``{{column|text}}`` makes text of it, and ``\\{{`` is a plain ``{{``. Cells of a CSV file are typed as
unquoted YAML scalars are: ``42`` is a number, ``012`` is text.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulate.errors import FileProblems, Problem
from simulate.model.loading.yaml_reader import MAX_DEPTH, scalar
from simulate.model.nearest import did_you_mean
from simulate.model.secret_names import is_secret
from simulate.model.shapes import is_list, is_object
from simulate.model.units import Written, as_written

Row = Mapping[str, Any]
Step = str | int
Hole = tuple[tuple[Step, ...], str, str | None]
"""Path, column and filter of a placeholder."""

MAX_ROWS = 10_000
MAX_BYTES = 16 * 1024 * 1024
MAX_FILLED = 3_000_000
"""Size of all cases of one file together: what stops a small file from filling the memory."""

# lengths are bounded, and blanks are stripped afterwards: no text makes this slow
_HOLE = re.compile(r"(\\?)\{\{([^{}|]{1,200})(?:\|([^{}|]{1,50}))?\}\}")
_LABELS = ("case", "name")


def placeholders(value: Any, path: tuple[Step, ...] = ()) -> Iterator[Hole]:
    """Every placeholder in a text of ``value``; keys hold none."""
    if isinstance(value, str):
        if "{{" in value:
            for hole in _HOLE.finditer(value):
                if not hole[1]:
                    yield path, hole[2].strip(), hole[3] and hole[3].strip()
    elif is_object(value):
        for key, item in value.items():
            yield from placeholders(item, (*path, key))
    elif is_list(value):
        for index, item in enumerate(value):
            yield from placeholders(item, (*path, index))


def fill(value: Any, row: Row) -> Any:
    """``value`` with every placeholder filled from ``row``; one that has no column stays as it is."""
    if isinstance(value, str):
        return _filled(value, row) if "{{" in value else value
    if is_object(value):
        return {key: fill(item, row) for key, item in value.items()}
    if is_list(value):
        return [fill(item, row) for item in value]
    return value


def _filled(text: str, row: Row) -> Any:
    alone = _HOLE.fullmatch(text)
    if alone and not alone[1] and not alone[3]:
        return row.get(alone[2].strip(), text)
    return _HOLE.sub(lambda hole: hole[0][1:] if hole[1] else _text(row.get(hole[2].strip(), hole[0])), text)


def literal(value: Any) -> Any:
    """The value with every ``{{…}}`` written so that `fill` gives it back: what was really said holds no
    holes."""
    if isinstance(value, str):
        return _HOLE.sub(lambda hole: "\\" + hole[0], value)
    if is_object(value):
        return {key: literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if is_list(value) else value


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = as_written(value)
    return text if isinstance(text, str) else json.dumps(value, ensure_ascii=False)


def lacks(row: Row | None, number: int, column: str, asked: str | None) -> tuple[str, str | None] | None:
    """Message and hint where a row cannot fill a placeholder."""
    if row is None:
        return f"{{{{{column}}}}} has no cases: to be filled from", "a plain {{ is written \\{{"
    if column not in row:
        return f'no column "{column}" in case {number}{did_you_mean(column, row)}', None
    if asked not in (None, "text"):
        return f'unknown filter "{asked}"; there is text', None
    return None


def filled_size(template: Any, rows: Sequence[Row | None], holes: int) -> int:
    """How much data the cases come to at most; nothing where there are none."""
    given = [row for row in rows if row is not None]
    if not given:
        return 0
    return len(given) * _size(template) + holes * sum(_size(dict(row)) for row in given)


def _size(value: Any) -> int:
    """How many values ``value`` holds; a long text counts as several."""
    if is_object(value):
        return 1 + sum(map(_size, value.values()))
    if is_list(value):
        return 1 + sum(map(_size, value))
    return 1 + len(value) // 64 if isinstance(value, str) else 1


def label(row: Row, index: int, masked: Callable[[str], str]) -> str:
    """What a report calls the case: its column ``case`` or ``name``, else its number and short values.
    Secrets are ``masked`` before it is cut: nobody could tell half a secret for one."""
    for column in _LABELS:
        if row.get(column) not in (None, ""):
            return masked(_text(row[column]))[:80]
    values = [
        _text(value)
        for column, value in row.items()
        if not isinstance(value, dict | list) and not is_secret(column, value)
    ]
    short = masked(" ".join(value for value in values if 0 < len(value) <= 20))[:40].strip()
    return f"{index} {short}".strip()


def read_rows(path: Path, file: str) -> list[dict[str, Any]]:
    """The rows of a data file; raises FileProblems. ``file`` is how messages call it."""
    readers = {".csv": _csv, ".json": _json, ".jsonl": _jsonl, ".ndjson": _jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FileProblems([Problem(f"cases come from {', '.join(readers)} files", file)])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileProblems([Problem(f"cannot be read: {error.strerror}", file)]) from error
    if len(data) > MAX_BYTES:
        raise FileProblems([Problem("the file is larger than 16 MiB", file)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileProblems([Problem("not UTF-8", file, line, hint="save the file as UTF-8")]) from None
    rows = reader(text, file)
    if not rows:
        raise FileProblems([Problem("holds no case", file)])
    if len(rows) > MAX_ROWS:
        raise FileProblems([Problem(f"holds more than {MAX_ROWS:,} cases", file)])
    return rows


def _csv(text: str, file: str) -> list[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(header, file, reader.line_num)
                continue
            if len(cells) != len(header):
                message = f"{len(cells)} cells in a row of a table of {len(header)} columns"
                raise FileProblems([Problem(message, file, reader.line_num)])
            rows.append(
                {name: scalar(cell) if cell else "" for name, cell in zip(header, cells, strict=True)}
            )
    except csv.Error as error:
        raise FileProblems([Problem(f"not CSV: {error}", file, reader.line_num)]) from None
    return rows


def _check_header(header: Sequence[str], file: str, line: int) -> None:
    if "" in header:
        raise FileProblems([Problem("a column without a name", file, line)])
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise FileProblems([Problem(f'two columns "{twice}"', file, line)])


def _json(text: str, file: str) -> list[dict[str, Any]]:
    value = _loads(text, file, 1)
    if not is_list(value):
        raise FileProblems([Problem("cases in JSON are a list of objects", file)])
    return [_row(item, file, None, number) for number, item in enumerate(value, 1)]


def _jsonl(text: str, file: str) -> list[dict[str, Any]]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [_row(_loads(line, file, number), file, number, number) for number, line in lines]


def _row(value: Any, file: str, line: int | None, number: int) -> dict[str, Any]:
    if not is_object(value):
        raise FileProblems([Problem(f"case {number} is not an object", file, line)])
    if _deeper(value, MAX_DEPTH):
        raise FileProblems(
            [Problem(f"case {number} is nested more than {MAX_DEPTH} levels deep", file, line)]
        )
    return value


def _deeper(value: Any, levels: int) -> bool:
    if is_object(value):
        value = list(value.values())
    if not is_list(value):
        return False
    return levels == 0 or any(_deeper(item, levels - 1) for item in value)


def _loads(text: str, file: str, line: int) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise FileProblems([Problem(f'the key "{twice}" is given twice', file, line)])
        return found

    def constant(name: str) -> Any:
        raise FileProblems([Problem(f"{name} is not JSON", file, line)])

    try:
        return json.loads(text, parse_float=Written, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        at = line + error.lineno - 1
        raise FileProblems([Problem(f"not JSON: {error.msg}", file, at, error.colno)]) from None
    except RecursionError:
        raise FileProblems([Problem(f"nested more than {MAX_DEPTH} levels deep", file, line)]) from None
    except ValueError as error:
        raise FileProblems([Problem(f"not JSON that can be read: {error}", file, line)]) from None
