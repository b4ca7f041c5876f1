"""The name of a tool, as each side writes it, and when two names mean one tool."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

_QUALIFIED = re.compile(r"(?P<server>.+)(?:__|[./:])(?P<bare>[^./:]+?)", re.DOTALL)
_NO_SERVER = frozenset({"functions", "default_api", "mcp"})
"""What model APIs put before the names of all tools alike; it names no server."""


class ToolName(str):
    """A tool's name as it was written, which is the text itself, with its parts.

    ``bare`` is the tool's own name, and ``server`` what stands before it: ``mcp__shop__refund``,
    ``shop.refund``, ``shop/refund``, ``shop:refund`` and ``shop__refund`` are all the ``refund`` of ``shop``.
    ``functions.refund``, as OpenAI's models write it, names no server.
    """

    __slots__ = ("bare", "server")

    bare: str
    server: str | None

    def __new__(cls, text: str) -> ToolName:
        if isinstance(text, ToolName):
            return text
        name = super().__new__(cls, text)
        name.server, name.bare = _parts(text)
        return name

    def matches(self, other: str) -> bool:
        """Whether both mean one tool: the same bare name, and the same server where both name one.

        Upper and lower case differ. Equality (``==``) is that of the texts."""
        if str.__eq__(self, other):
            return True
        if flat(self) == flat(other):
            return True
        other = ToolName(other)
        servers_agree = self.server is None or other.server is None or self.server == other.server
        return self.bare == other.bare and servers_agree


@lru_cache(4096)
def flat(text: str) -> str:
    """The name as APIs take it that allow letters, digits and ``_``: ``shop.issue-refund`` is
    ``shop_issue_refund`` there."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text) if text[:1].isalnum() else text


@lru_cache(4096)
def _parts(text: str) -> tuple[str | None, str]:
    found = _QUALIFIED.fullmatch(text)
    if found is None or found["bare"].startswith("__"):
        return None, text
    server = found["server"].removeprefix("mcp__")
    return (None if server in _NO_SERVER else server), found["bare"]


def as_qualified(names: Iterable[str]) -> dict[str, ToolName]:
    """Each name, or the one with a server that an API wrote in its own letters: ``shop.refund`` for
    ``shop_refund`` where both are among them."""
    every = [ToolName(name) for name in names]
    full = {flat(name): name for name in every if name.server is not None}
    return {name: name if name.server is not None else full.get(flat(name), name) for name in every}


def groups(names: Iterable[str]) -> dict[str, str]:
    """For each name a key that all names of one tool among these share, so that only names of one key need be
    compared by `ToolName.matches`."""
    return {given: flat(name.bare) for given, name in as_qualified(names).items()}


def keys(names: Iterable[str]) -> dict[str, str]:
    """For each name a key that is equal for names of one tool, to group calls by.

    That is the bare name, unless tools of that name belong to several servers: then it tells those apart.
    """
    servers: defaultdict[str, set[str]] = defaultdict(set)
    every = as_qualified(names)
    for name in every.values():
        if name.server is not None:
            servers[name.bare].add(name.server)
    return {
        given: f"{name.server}.{name.bare}" if name.server and len(servers[name.bare]) > 1 else name.bare
        for given, name in every.items()
    }
