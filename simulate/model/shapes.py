"""The shapes of JSON, asked of a value of which nothing is known."""

from __future__ import annotations

from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object; its keys are taken to be texts, as in all that was JSON."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether it is a list."""
    return isinstance(value, list)


def object_of(value: object) -> dict[str, Any]:
    """The object; an empty one where it is something else."""
    return value if is_object(value) else {}


def list_of(value: object) -> list[Any]:
    """The list; an empty one where it is something else."""
    return value if is_list(value) else []
