"""What the server answers to: one table, from which requests are answered and the OpenAPI page is made."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulate.errors import InputError
from simulate.server.store.access_keys import AccessKey
from simulate.server.store.find import Wanted
from simulate.server.store.search import parse_search
from simulate.trace.find import moment

if TYPE_CHECKING:
    from aiohttp import web

    from simulate.server.context import Context

LISTED = 50


@dataclass(slots=True)
class PageRequest:
    """One request that may come in: who asks, what for, and with which words."""

    context: Context
    raw: web.BaseRequest
    key: AccessKey
    words: Mapping[str, str]
    """What stands in the path in place of ``{…}``."""
    query: Mapping[str, str]
    form: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The fields of a form, or the object that a program sent."""

    @property
    def project(self) -> str:
        """The project that the key is for."""
        return self.key.project

    def wanted(self, *, default_since: str | None = None) -> Wanted:
        """The search that the query describes. Raises InputError for a word that is none."""
        get = self.query.get
        since, until, before = get("since") or default_since, get("until"), get("before")
        return Wanted(
            self.project,
            parse_search(get("filter") or "", self.context.store.names),
            moment(since, "since") if since and since != "all" else None,
            moment(until, "until") if until else None,
            get("text") or "",
            _place(before) if before else None,
            _limit(get("limit")),
        )


def _place(text: str) -> tuple[int, int]:
    began, _, number = text.partition("-")
    if not (began.isdecimal() and number.isdecimal()) or len(text) > 60:
        raise InputError(f"{text[:60]!r} is not where a page begins", hint="follow the link to the next page")
    return int(began), int(number)


def _limit(text: str | None) -> int:
    if not text:
        return LISTED
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 1000:
        raise InputError(f"limit={text[:20]} is not a number from 1 to 1000")
    return int(text)


Answer = Callable[[PageRequest], Awaitable["web.StreamResponse"]]


@dataclass(frozen=True, slots=True)
class Route:
    """One address: ``{name}`` in its path stands for one step. ``about`` is told in OpenAPI, with the words
    that its query takes, for those that programs use; pages have none."""

    method: str
    path: str
    role: str
    answer: Answer
    about: str = ""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, str] = field(default_factory=dict[str, str])

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The words in the path; None where the route is not this one."""
        if method != self.method and not (method == "HEAD" and self.method == "GET"):
            return None
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path), path)
        return None if found is None else found.groupdict()


def openapi(routes: list[Route], version: str) -> dict[str, Any]:
    """The routes for programs, as OpenAPI 3.1 describes them."""
    paths: dict[str, Any] = {}
    for route in routes:
        if not route.about:
            continue
        text = {"type": "string"}
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": text}
            for name in re.findall(r"\{(\w+)\}", route.path)
        ]
        parameters += [
            {"name": name, "in": "query", "description": told, "schema": text}
            for name, told in route.query.items()
        ]
        made: dict[str, Any] = {
            "operationId": "_".join(re.findall("[a-z0-9]+", f"{route.method} {route.path}".lower())),
            "summary": route.about, "parameters": parameters,
            "responses": {"200": {"description": "done"}, "400": {"$ref": "#/components/responses/Problem"}},
            "description": f"Needs a key that may {route.role}.",
        }  # fmt: skip
        if route.body:
            fields = {name: {"type": "string", "description": told} for name, told in route.body.items()}
            schema = {"type": "object", "properties": fields}
            made["requestBody"] = {"content": {"application/json": {"schema": schema}}}
        paths.setdefault(route.path, {})[route.method.lower()] = made
    problem = {"type": "object", "properties": {"error": {"type": "string"}, "hint": {"type": "string"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "simulate serve", "version": version},
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "what is wrong with the request",
                    "content": {"application/json": {"schema": problem}},
                }
            },
        },
    }
