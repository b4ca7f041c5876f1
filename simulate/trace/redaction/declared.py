"""What a user declares to be secret or personal: patterns by kind, and the paths of places."""

from __future__ import annotations

import re

from simulate.errors import InputError
from simulate.model.bounded_regex import bounded
from simulate.trace.redaction.searched import RedactionRule


def rule_of(kind: str, text: str) -> RedactionRule:
    """The rule of a pattern. Raises InputError for what is none."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*", kind):
        raise InputError(f"{kind!r} is not a name of a pattern", hint="lower-case letters, digits, - and _")
    try:
        return RedactionRule(kind, bounded(text))
    except re.error as error:
        raise InputError(f"pattern {kind}: {text!r} is not a regular expression: {error}") from None


def place_of(path: str) -> re.Pattern[str]:
    """A path as a pattern of places: ``.attributes.orders.0.address``. Raises InputError for what is none."""
    bare = re.sub(r"\[['\"]?([^\]'\"]+)['\"]?\]", r".\1", path.removeprefix("$")).lstrip(".")
    if not bare:
        raise InputError(f"{path!r} is not a path", hint="such as attributes.user.id or **.customer.name")
    steps = "".join(
        r"(?:\.[^.]+)*" if step == "**" else r"\.[^.]+" if step == "*" else r"\." + re.escape(step)
        for step in bare.split(".")
    )
    return re.compile(steps)
