"""What somebody types to say how a case shall be, read as scenario files are."""

from __future__ import annotations

from typing import Any

from simulate.errors import InputError
from simulate.model.loading.yaml_reader import read_documents
from simulate.model.shapes import is_object
from simulate.model.units import plain


def parse_expectation(text: str, where: str) -> dict[str, Any]:
    """An item of ``expect:``. ``where`` is the option or field that it was typed into. Raises InputError."""
    found = _yaml(text, where)
    if not is_object(found):
        raise InputError(f"{where} {text!r} is not a mapping", hint="write '{called: issue_refund}'")
    return found


def parse_pin(text: str, where: str) -> tuple[str, Any]:
    """The answer of a tool, as NAME=YAML. Raises InputError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{where} {text!r} has no =", hint=f"write {where} 'issue_refund={{ok: true}}'")
    return name, _yaml(value, where)


def _yaml(text: str, where: str) -> Any:
    documents = read_documents(text.encode(), where)
    return plain(documents[0].value) if documents else None
