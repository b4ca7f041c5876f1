"""JSON schemas of scenario and persona files for editors, made of the models that read them."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from typing import Any, Literal, cast

from pydantic import BaseModel

from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.shapes import is_list, is_object

Kind = Literal["scenario", "persona"]
KINDS: dict[Kind, type[BaseModel]] = {"scenario": Scenario, "persona": Persona}
_SOURCES = ("expect", "history", "persona", "scenario", "tool_pin")
_HOLE = {"type": "string", "pattern": r"^\{\{.+\}\}$"}


def json_schema(kind: Kind) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a file; descriptions are the docstrings of the models' fields."""
    made = KINDS[kind].model_json_schema(by_alias=True)
    for model in (made, *made.get("$defs", {}).values()):
        _describe(model)
    title = f"A {kind} of simulate"
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}
    return cast("dict[str, Any]", _fillable(made) if kind == "scenario" else made)


def file_name(kind: Kind) -> str:
    """How the schema's file is called beside the files that it describes."""
    return f"{kind}.schema.json"


def _describe(model: dict[str, Any]) -> None:
    """Add the docstrings, and drop the titles that pydantic makes of names."""
    described = _docstrings().get(str(model.get("title")), {})
    model.pop("title", None)
    if "description" in model:
        model["description"] = _readable(str(model["description"]))
    for name, form in cast("dict[str, dict[str, Any]]", model.get("properties", {})).items():
        form.pop("title", None)
        text = described.get(name) or described.get(f"{name}_")
        if text:
            form["description"] = text


def _fillable(form: Any) -> Any:
    """Let a ``{{column}}`` stand where anything but text is wanted."""
    if is_list(form):
        return [_fillable(each) for each in form]
    if not is_object(form):
        return form
    form = form
    narrow = form.get("type") in ("integer", "number", "boolean") or "enum" in form or "const" in form
    if not narrow:
        return {key: _fillable(each) for key, each in form.items()}
    around = {key: form[key] for key in ("default", "description") if key in form}
    return {**around, "anyOf": [{key: form[key] for key in form if key not in around}, _HOLE]}


@functools.cache
def _docstrings() -> dict[str, dict[str, str]]:
    """Class → field → the docstring below it. Python drops these when it compiles, so the source is read,
    and only for a schema: the import of the models stays quick."""
    found: dict[str, dict[str, str]] = {}
    for name in _SOURCES:
        tree = ast.parse(inspect.getsource(importlib.import_module(f"simulate.model.{name}")))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = _field_docstrings(node)
    return found


def _field_docstrings(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: _readable(below.value.value)
        for field, below in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _readable(text: str) -> str:
    """One paragraph without reST's double backquotes, as an editor shows it."""
    return re.sub(r"\s+", " ", text.replace("``", "`")).strip()
