"""The keys by which recordings are found again."""

from __future__ import annotations

import hashlib
from typing import Any

from simulate.replay.matching.json_values import canonical_json, plain
from simulate.replay.matching.rules import Rules

VERSION = 2
"""Goes up when the same request would get another key; older cassettes are re-keyed when they are loaded."""


def digest(
    endpoint: str,
    query: tuple[tuple[str, str], ...],
    form: str,
    body: Any,
    headers: tuple[tuple[str, str], ...] = (),
) -> str:
    """The key of a canonical request."""
    return hashlib.sha256(canonical_json([VERSION, endpoint, query, headers, form, body])).hexdigest()


def call_key(name: str, arguments: Any, rules: Rules) -> str:
    """The key of a tool call. ``_meta`` of MCP is not an argument and never gets here."""
    return digest("tool " + name, (), "json", rules.value(plain(arguments)))
