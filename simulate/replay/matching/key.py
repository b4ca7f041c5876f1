"""The one key function: a request in its canonical form, and the hash by which it is found again.

Recording, replay in the process and the playback server all call `canonical`; nothing else decides whether
two requests are the same. The host is left out for known model providers, so that an agent pointed at
another base URL still matches; whatever differs from run to run without meaning anything is left out too
(see `Rules`), and nothing beyond that is guessed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit

import orjson

from simulate.errors import InputError
from simulate.model.secret_names import is_secret_name
from simulate.replay.cassette.secrets import Redaction

VERSION = 1
"""Goes up when the same request would get another key; older cassettes are re-keyed when they are loaded."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})

_PROVIDERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    # alias, and the part of the path that says what is asked; what stands before it belongs to the base URL
    (
        "openai",
        re.compile(
            r"/(chat/completions|completions|responses|embeddings|models(/[^/:]+)?|moderations|"
            r"audio/(transcriptions|translations|speech)|images/\w+)/?$"
        ),
    ),
    ("anthropic", re.compile(r"/messages(/count_tokens)?/?$")),
    ("google", re.compile(r"/models/[^/]+:\w+$")),
    ("bedrock", re.compile(r"/model/[^/]+/(converse|converse-stream|invoke|invoke-with-response-stream)$")),
)

Form = Literal["none", "json", "form", "multipart", "text", "bytes"]


@dataclass(frozen=True)
class Rules:
    """What a request's key leaves out, beyond what never means anything.

    Always left out: hosts of model providers, headers other than ``headers``, JSON-RPC ids, trace context in
    ``params._meta``, multipart boundaries, the order of JSON keys and of query parameters. ``ignore`` holds
    JSON paths: ``$.metadata.request_id``, ``$.messages[*].name``, ``$..trace_id``. ``redact`` puts stable
    typed placeholders in place of what must not be stored; it runs before hashing, in recording and replay
    alike. ``aliases`` names a host that is the same service under several names.
    """

    ignore: tuple[str, ...] = ()
    headers: tuple[str, ...] = ("anthropic-beta", "openai-beta", "x-amz-target")
    redact: Callable[[str], str] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    _redacted: dict[str, str] = field(default_factory=dict[str, str], repr=False, compare=False)

    def __post_init__(self) -> None:
        for path in self.ignore:
            parse_path(path)

    def text(self, value: str) -> str:
        """The text with placeholders; remembered, since a conversation repeats its history in every call."""
        if self.redact is None:
            return value
        found = self._redacted.get(value)
        if found is None:
            if len(self._redacted) > 20_000:
                self._redacted.clear()
            found = self._redacted[value] = self.redact(value)
        return found

    def value(self, value: Any) -> Any:
        """Every text inside a JSON value with placeholders; the value itself where there is nothing to do."""
        if self.redact is None:
            return value
        unseen: list[str] = []
        if (
            isinstance(self.redact, Redaction)
            and self._is_clean(value, unseen)
            and (not unseen or self.redact.clean(unseen))
        ):
            self._redacted.update(zip(unseen, unseen, strict=True))
            return value
        return self._replaced(value)

    def _is_clean(self, value: Any, unseen: list[str]) -> bool:
        """False where something is known to be replaced; ``unseen`` gets the texts that are new."""
        if isinstance(value, str):
            known = self._redacted.get(value)
            if known is None:
                unseen.append(value)
            return known is None or known == value
        if isinstance(value, dict):
            for name, inner in cast("dict[str, Any]", value).items():
                if (isinstance(inner, str) and is_secret_name(name)) or not self._is_clean(inner, unseen):
                    return False
        elif isinstance(value, list):
            for inner in cast("list[Any]", value):
                if not self._is_clean(inner, unseen):
                    return False
        return True

    def _replaced(self, value: Any, under: str = "") -> Any:
        if isinstance(value, str):
            if under and isinstance(self.redact, Redaction) and is_secret_name(under) and value:
                return self.redact.hidden(value)
            return self.text(value)
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value).items()
            return {name: self._replaced(inner, name) for name, inner in members}
        if isinstance(value, list):
            return [self._replaced(inner, under) for inner in cast("list[Any]", value)]
        return value


@dataclass(frozen=True, slots=True)
class Canonical:
    """A request without what means nothing: redacted, in stable order, with the hash of it all."""

    endpoint: str
    """``openai POST /chat/completions``: what is asked of whom."""
    query: tuple[tuple[str, str], ...]
    form: Form
    body: Any
    """A JSON value: the parsed body, the fields of a form, the parts of a multipart body, or a text."""
    key: str
    headers: tuple[tuple[str, str], ...] = ()


def canonical(method: str, url: str, headers: Mapping[str, str], body: bytes, rules: Rules) -> Canonical:
    """The canonical form of one HTTP request; ``headers`` in any case."""
    endpoint, pairs = _endpoint(method.upper(), url, rules)
    lowered = {name.lower(): value for name, value in headers.items()}
    form, value = _body(lowered.get("content-type", ""), lowered.get("content-encoding", ""), body)
    if form == "json":
        value = _without_noise(value, rules)
    value = rules.value(value)
    query = tuple((name, rules.text(text)) for name, text in pairs)
    kept = tuple((name, lowered[name]) for name in rules.headers if name in lowered)
    return Canonical(endpoint, query, form, value, digest(endpoint, query, form, value, kept), kept)


def exact(method: str, url: str, headers: Mapping[str, str], body: bytes, rules: Rules) -> str:
    """A hash of a request's own bytes. Requests with the same one have the same key, so that a replay need
    not bring each to its canonical form; others may have the same key all the same."""
    _, path, pairs = _split(url)
    lowered = {name.lower(): value for name, value in headers.items()}
    kept = [lowered.get(name) for name in (*rules.headers, "content-type", "content-encoding")]
    endpoint, _ = _endpoint(method.upper(), url, rules)
    return hashlib.sha256(repr((endpoint, path, pairs, kept)).encode() + body).hexdigest()[:32]


def digest(
    endpoint: str,
    query: tuple[tuple[str, str], ...],
    form: str,
    body: Any,
    headers: tuple[tuple[str, str], ...] = (),
) -> str:
    """The key of a canonical request."""
    return hashlib.sha256(canonical_json([VERSION, endpoint, query, headers, form, body])).hexdigest()


def canonical_json(value: Any) -> bytes:
    """One byte string for one JSON value: sorted keys, no spaces. NaN and infinities become null."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:
        import json

        # integers beyond 64 bits, and whatever else only the slow way can say
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def short(value: Any) -> str:
    """Ten hex digits that tell two JSON values apart, for component hashes."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:10]


def call_key(name: str, arguments: Any, rules: Rules) -> str:
    """The key of a tool call. ``_meta`` of MCP is not an argument and never gets here."""
    return digest("tool " + name, (), "json", rules.value(plain(arguments)))


def plain(value: Any) -> Any:
    """A JSON value of whatever a tool was given: models and dataclasses as dicts, the rest as text."""
    try:
        return orjson.loads(
            orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
        )
    except TypeError:
        import json

        # integers beyond 64 bits, or a value that nests too deeply for the fast way
        return json.loads(json.dumps(value, default=_plain, sort_keys=True))


def _plain(value: Any) -> Any:
    for method in ("model_dump", "to_dict", "_asdict"):
        dump = getattr(value, method, None)
        if callable(dump) and not isinstance(value, type):
            return dump()
    if isinstance(value, (set, frozenset)):
        return sorted(cast("set[Any]", value), key=str)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int):
        return str(value)
    # an object's default text holds its address, which no second run would have
    return re.sub(r" at 0x[0-9a-fA-F]+", "", str(value))


@lru_cache(maxsize=4096)
def _split(url: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    parts = urlsplit(url)
    pairs = tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    return (parts.hostname or ""), parts.path or "/", pairs


def _endpoint(method: str, url: str, rules: Rules) -> tuple[str, tuple[tuple[str, str], ...]]:
    host, path, pairs = _split(url)
    alias = rules.aliases.get(host)
    if alias is None:
        for known, pattern in _PROVIDERS:
            match = pattern.search(path)
            if match:
                secret = ("key", "api_key")  # Google's API key rides in the query
                return f"{known} {method} {match[0].rstrip('/')}", tuple(
                    pair for pair in pairs if pair[0] not in secret
                )
        alias = "localhost" if host in LOOPBACK else host
    return f"{alias} {method} {path}", pairs


def _body(content_type: str, encoding: str, body: bytes) -> tuple[Form, Any]:
    if not body:
        return "none", None
    if encoding in {"gzip", "deflate"}:
        try:
            body = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)
        except (OSError, EOFError, zlib.error):
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
    messages = cast("list[Any]", value) if isinstance(value, list) else [value]
    for message in messages:
        if isinstance(message, dict) and "jsonrpc" in message:
            _without_rpc_noise(cast("dict[str, Any]", message))
    for path in rules.ignore:
        _remove(value, parse_path(path))
    return cast("Any", value)


def _without_rpc_noise(message: dict[str, Any]) -> None:
    message.pop("id", None)
    given = message.get("params")
    params = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    meta = params.get("_meta")
    if isinstance(meta, dict):
        kept = {
            name: inner
            for name, inner in cast("dict[str, Any]", meta).items()
            if not name.startswith("trace") and name not in {"baggage", "progressToken"}
        }
        if kept:
            params["_meta"] = kept
        else:
            del params["_meta"]


@lru_cache(maxsize=256)
def parse_path(path: str) -> tuple[str | int, ...]:
    """``$.a[0]..b[*]`` → its steps; ``*`` is every member, ``**`` any depth. InputError where it is none."""
    if not path.startswith("$"):
        raise InputError(f"{path!r} is no JSON path", hint="write it as $.messages[*].name or $..trace_id")
    steps: list[str | int] = []
    at = 1
    token = re.compile(r"\.\.(?=[\w*'\[])|\.?([\w$-]+)|\[(\d+)\]|\[\*\]|\.\*|\['([^']*)'\]")
    while at < len(path):
        match = token.match(path, at)
        if match is None:
            raise InputError(f"{path!r} is no JSON path (column {at + 1})", hint="as in $.messages[*].name")
        if match[0] == "..":
            steps.append("**")
        elif match[1] is not None:
            steps.append(match[1])
        elif match[2] is not None:
            steps.append(int(match[2]))
        else:
            steps.append("*" if match[3] is None else match[3])
        at = match.end()
    if not steps:
        raise InputError("'$' would ignore the whole request", hint="name the part that changes")
    return tuple(steps)


def _remove(value: Any, steps: tuple[str | int, ...]) -> None:
    step, rest = steps[0], steps[1:]
    if step == "**":
        _remove(value, rest)
        for inner in _members(value):
            _remove(inner, steps)
    elif isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        for name in list(members) if step == "*" else [step] if step in members else []:
            if rest:
                _remove(members[name], rest)
            else:
                del members[name]
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        places = range(len(items)) if step == "*" else [step] if isinstance(step, int) else []
        for place in [place for place in places if place < len(items)][::-1]:
            if rest:
                _remove(items[place], rest)
            else:
                del items[place]


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []
