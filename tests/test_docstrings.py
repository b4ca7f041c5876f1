"""The examples in docstrings are true, and public names say what they take, give and raise."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import simulate

ROOT = Path(simulate.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if "    >>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted and not done.failed


@pytest.mark.parametrize(
    "module", ["simulate", "simulate.trace", "simulate.diff", "simulate.evaluators", "simulate.replay"]
)
def test_public_names_are_described(module: str) -> None:
    offered = importlib.import_module(module)
    for name in offered.__all__:
        found = getattr(offered, name)
        told = inspect.getdoc(found)
        assert told, f"{module}.{name}"
        # one that only dataclass or pydantic wrote lists the arguments and says nothing
        assert not told.startswith(f"{name}("), f"{module}.{name}"
