"""A request in its canonical form, which decides alone whether two requests are the same.

Recording, replay in the process and the playback server all hand on one `HttpRequest`, whose canonical form
is computed once. The base URL is left out for model providers, so that an agent pointed at another one still
matches; whatever differs from run to run without meaning anything is left out too (see `Rules`), and nothing
beyond that is guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

import orjson

from simulate.model.shapes import is_list, is_object, object_of
from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.chat import chat_key, form_of_request, is_chat
from simulate.replay.matching.encodings import NotDecoded, decoded
from simulate.replay.matching.endpoints import Query, base_of, endpoint_of, split_url
from simulate.replay.matching.keys import digest
from simulate.replay.matching.rules import Rules

Form = Literal["none", "json", "form", "multipart", "text", "bytes"]


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """A request without what means nothing: redacted, in stable order, with the hash of it all."""

    endpoint: str
    """``openai POST /chat/completions``: what is asked of whom."""
    query: tuple[tuple[str, str], ...]
    form: Form
    body: Any
    """A JSON value: the parsed body, the fields of a form, the parts of a multipart body, or a text."""
    key: str
    headers: tuple[tuple[str, str], ...] = ()


class HttpRequest:
    """One HTTP request on its way: ``url`` in full, ``headers`` with lower-case names, ``body`` as sent."""

    __slots__ = ("_canonical", "_chat", "_endpoint", "_rules", "body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method.upper()
        self.url = url
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self._rules: Rules | None = None
        self._canonical: CanonicalRequest | None = None
        self._chat: CanonicalRequest | None = None
        self._endpoint: tuple[str, Query] | None = None

    def base(self, rules: Rules) -> str | None:
        """The base URL that a model's endpoint is asked by; None for any other."""
        return base_of(self.endpoint(rules)[0], self.url)

    def endpoint(self, rules: Rules) -> tuple[str, Query]:
        """What is asked of whom, and the query as far as it counts."""
        if self._endpoint is None or self._rules is not rules:
            self._forget(rules)
            self._endpoint = endpoint_of(self.method, self.url, self.body, rules.aliases)
        return self._endpoint

    def _forget(self, rules: Rules) -> None:
        if self._rules is not rules:
            self._rules, self._endpoint, self._canonical, self._chat = rules, None, None, None

    def canonical(self, rules: Rules) -> CanonicalRequest:
        """The canonical form by these rules."""
        if self._canonical is None or self._rules is not rules:
            self._forget(rules)
            self._canonical = self._computed(rules)
        return self._canonical

    def _computed(self, rules: Rules) -> CanonicalRequest:
        endpoint, pairs = self.endpoint(rules)
        header = self.headers.get
        form, value = _body(header("content-type", ""), header("content-encoding", ""), self.body)
        if form == "json":
            value = _without_noise(value, rules)
        value = rules.value(value)
        query = tuple((name, rules.parameter(name, text)) for name, text in pairs)
        kept = tuple((name, self.headers[name]) for name in rules.headers if name in self.headers)
        return CanonicalRequest(
            endpoint, query, form, value, digest(endpoint, query, form, value, kept), kept
        )

    def as_chat(self, rules: Rules) -> CanonicalRequest | None:
        """The chat form, which recordings made from a trace are matched by; None for any other request."""
        canonical = self.canonical(rules)
        if self._chat is None and is_chat(canonical.endpoint):
            form = form_of_request(canonical.endpoint, canonical.body, rules)
            if form is not None:
                self._chat = CanonicalRequest(CHAT, (), "json", form, chat_key(form))
        return self._chat

    def exact(self, rules: Rules) -> str:
        """A hash of the request's own bytes. Requests with the same one have the same key, so that a replay
        need not bring each to its canonical form; others may have the same key all the same."""
        _, path, pairs = split_url(self.url)
        kept = [self.headers.get(name) for name in (*rules.headers, "content-type", "content-encoding")]
        text = repr((self.endpoint(rules)[0], path, pairs, kept))
        return hashlib.sha256(text.encode() + self.body).hexdigest()[:32]


def _body(content_type: str, encoding: str, body: bytes) -> tuple[Form, Any]:
    if not body:
        return "none", None
    if encoding:
        try:
            (body,) = decoded([body], encoding)
        except NotDecoded:
            return "bytes", hashlib.sha256(body).hexdigest()
    if content_type.startswith("multipart/"):
        return "multipart", _multipart(content_type, body)
    if content_type.startswith("application/x-www-form-urlencoded"):
        return "form", sorted(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if "json" in content_type or body[:1] in b"{[":
        try:
            return "json", orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # something else that calls itself JSON: compared as text
    try:
        return "text", body.decode()
    except UnicodeDecodeError:
        return "bytes", hashlib.sha256(body).hexdigest()


def _multipart(content_type: str, body: bytes) -> list[dict[str, str]]:
    """The parts in order: name, file name, type, and the text of a field or the hash of a file."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        return [{"sha256": hashlib.sha256(body).hexdigest()}]
    parts: list[dict[str, str]] = []
    for chunk in body.split(b"--" + match[1].encode())[1:-1]:
        head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        text = head.decode("utf-8", "replace")
        part = {
            name: found[1]
            for name, pattern in (
                ("name", r'[; ]name="([^"]*)"'),
                ("filename", r'filename="([^"]*)"'),
                ("type", r"(?i)content-type: *([^\r\n;]+)"),
            )
            if (found := re.search(pattern, text))
        }
        if "filename" not in part and len(content) < 65_536:
            part["text"] = content.decode("utf-8", "replace")
        else:
            part["sha256"] = hashlib.sha256(content).hexdigest()
        parts.append(part)
    return parts


def _without_noise(value: Any, rules: Rules) -> Any:
    messages = value if is_list(value) else [value]
    for message in messages:
        if is_object(message) and "jsonrpc" in message:
            _without_rpc_noise(message)
    rules.leave_out(value)
    return cast("Any", value)


def _without_rpc_noise(message: dict[str, Any]) -> None:
    message.pop("id", None)
    given = message.get("params")
    params = object_of(given)
    meta = params.get("_meta")
    if is_object(meta):
        kept = {
            name: inner
            for name, inner in meta.items()
            if not name.startswith("trace") and name not in {"baggage", "progressToken"}
        }
        if kept:
            params["_meta"] = kept
        else:
            del params["_meta"]
