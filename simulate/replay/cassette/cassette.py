"""A cassette: the folder that holds what a conversation's model, tools and services answered.

::

    manifest.json    versions, seed, start clock, scenario, how it ended, and the hash of every other file
    http.json        vcrpy's v1 schema, one interaction a block, in the order in which requests began
    tools.jsonl      one tool call a line
    frames.jsonl     voice, frame by frame
    blobs/<sha256>   large bodies and audio

`Cassette.load` reads it, or a plain vcrpy cassette (YAML or JSON). `Cassette.save` writes all or nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from simulate.errors import InputError
from simulate.replay.cassette.bodies import Chunk, blob_reader, is_stream, pack, unpack
from simulate.replay.cassette.folder import recover, replace_folder
from simulate.replay.matching import key as keys
from simulate.replay.matching.components import fingerprint
from simulate.replay.matching.key import Canonical, Rules

SCHEMA = 1
_INDENT = orjson.OPT_INDENT_2


@dataclass(slots=True)
class Reply:
    """What came back. ``ended`` is ``complete``, ``closed`` (by the agent), ``died: …`` or ``failed: …``
    (no response at all; the text names the client's exception)."""

    status: int
    reason: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    ended: str = "complete"

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(content for _, content in self.chunks)

    def header(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value for known, value in self.headers if known.lower() == name), "")


@dataclass(slots=True, eq=False)
class Recording:
    """One request and its reply. ``start`` and ``end`` are ms since the conversation began."""

    key: str
    endpoint: str
    method: str
    uri: str
    body: Any
    """The canonical request body, a JSON value."""
    form: str = "json"
    ordinal: int = 0
    """Which of the requests with the same key this is."""
    start: float = 0.0
    end: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    query: tuple[tuple[str, str], ...] = ()
    components: dict[str, str] = field(default_factory=dict[str, str])
    turn: int | None = None
    span_id: str | None = None
    exact: str = ""
    """`key.exact` of the request as it was made; empty where that is not known."""
    lane: int = 0
    """The task or thread that asked; only what one lane asked has an order."""
    place: str = ""
    """Where it stands, for messages: ``http.json #3``."""
    _reply: Reply | None = None
    _load: Callable[[], Reply] | None = None

    @property
    def reply(self) -> Reply:
        """What came back; unpacked when it is first asked for."""
        if self._reply is None:
            self._reply = self._load() if self._load else Reply(0, ended="failed: nothing was recorded")
        return self._reply

    @reply.setter
    def reply(self, reply: Reply) -> None:
        self._reply = reply


@dataclass(slots=True, eq=False)
class ToolRecording:
    """One tool call and what it gave: ``result``, or ``error`` as ``{"type", "message"}``."""

    key: str
    name: str
    arguments: Any
    result: Any = None
    error: dict[str, Any] | None = None
    write: bool = False
    source: Literal["tool", "mcp", "trace"] = "tool"
    ordinal: int = 0
    start: float = 0.0
    end: float = 0.0
    turn: int | None = None
    place: str = ""


@dataclass(slots=True)
class Cassette:
    """All that was recorded of one conversation."""

    http: list[Recording] = field(default_factory=list[Recording])
    tools: list[ToolRecording] = field(default_factory=list[ToolRecording])
    frames: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    conversation: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """What was said: ``speaker``, ``text``, ``turn``; for the recorded caller."""
    manifest: dict[str, Any] = field(default_factory=dict[str, Any])
    folder: Path | None = None

    @property
    def match(self) -> Literal["http", "chat"]:
        """``chat``: made from a trace, so that messages are matched and not whole requests."""
        return cast("Literal['http', 'chat']", self.manifest.get("match", "http"))

    @property
    def complete(self) -> bool:
        """False when the run broke off while it was recorded."""
        return bool(self.manifest.get("complete", True))

    @property
    def scenario(self) -> str | None:
        """The scenario that it was recorded with."""
        return cast("str | None", self.manifest.get("scenario"))

    def __len__(self) -> int:
        return len(self.http) + len(self.tools)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        allow_edited: bool = False,
        allow_partial: bool = False,
        scenario: str | None = None,
        rules: Rules | None = None,
    ) -> Cassette:
        """Read a cassette folder, or a plain vcrpy file. InputError says what is wrong with it."""
        from simulate.replay.cassette.loading import load_folder, load_vcr

        target = Path(path)
        recover(target)
        if target.is_file():
            cassette = load_vcr(target, rules or Rules())
        elif not (target / "manifest.json").is_file():
            raise InputError("there is no cassette here", where=str(target), hint="record one first")
        else:
            cassette = load_folder(cls(folder=target), target, rules or Rules(), allow_edited=allow_edited)
        if not cassette.complete and not allow_partial:
            ended = cassette.manifest.get("ended", "the run broke off")
            raise InputError(
                f"the cassette is partial: {ended}",
                where=str(target),
                hint="record it again, or replay the part that there is with --partial",
            )
        if scenario is not None and cassette.scenario not in {None, scenario}:
            raise InputError(
                f"the cassette was recorded with the scenario {cassette.scenario!r}, not {scenario!r}",
                where=str(target),
                hint="record this scenario, or name the right cassette",
            )
        return cassette

    def save(self, path: str | Path, *, scan: Callable[[str], list[str]] | None = None) -> Path:
        """Write the folder, all or nothing; returns where. A partial cassette goes beside, to ``….partial``,
        so that it never takes the place of a complete one.

        ``scan`` names the secrets in a text; where it finds one, nothing is written (InputError)."""
        target = Path(path)
        if not self.complete:
            target = target.with_name(target.name + ".partial")
        files = self.files()
        if scan is not None:
            _refuse_secrets(files, scan, target)
        replace_folder(target, files)
        self.folder = target
        return target

    def files(self) -> dict[str, bytes]:
        """The cassette's files by name, as they would be written."""
        blobs = dict(self.blobs)
        files: dict[str, bytes] = {}
        interactions = [_interaction(recording, blobs) for recording in self.http]
        if interactions:
            files["http.json"] = (
                orjson.dumps({"version": 1, "interactions": interactions}, option=_INDENT) + b"\n"
            )
        if self.tools:
            files["tools.jsonl"] = b"".join(orjson.dumps(_tool_line(tool)) + b"\n" for tool in self.tools)
        if self.frames:
            files["frames.jsonl"] = b"".join(orjson.dumps(frame) + b"\n" for frame in self.frames)
        if self.conversation:
            files["conversation.jsonl"] = b"".join(orjson.dumps(said) + b"\n" for said in self.conversation)
        for name, content in blobs.items():
            files[f"blobs/{name}"] = content
        manifest = {
            "schema": SCHEMA,
            "key_version": keys.VERSION,
            "complete": True,
            **{
                name: value
                for name, value in self.manifest.items()
                if name not in {"schema", "key_version", "files"}
            },
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        files["manifest.json"] = orjson.dumps(manifest, option=_INDENT) + b"\n"
        return files


def number(recordings: list[Any]) -> None:
    """Give those with the same key their ordinals, in the order in which they began."""
    counts: dict[str, int] = {}
    for recording in recordings:
        recording.ordinal = counts.get(recording.key, 0)
        counts[recording.key] = recording.ordinal + 1


def record_of(request: Canonical, method: str, uri: str, headers: Mapping[str, str]) -> Recording:
    """The recording of a request that begins now."""
    kept = {
        name.lower(): value
        for name, value in headers.items()
        if name.lower()
        in {"content-type", "accept", "anthropic-version", *(name for name, _ in request.headers)}
    }
    return Recording(
        key=request.key,
        endpoint=request.endpoint,
        method=method.upper(),
        uri=uri,
        body=request.body,
        form=request.form,
        headers=kept,
        query=request.query,
        components=fingerprint(request.endpoint, request.body),
    )


def _interaction(recording: Recording, blobs: dict[str, bytes]) -> dict[str, Any]:
    reply = recording.reply
    body, offsets = pack(reply.chunks, reply.header("content-type"), blobs)
    headers: dict[str, list[str]] = {}
    for name, value in reply.headers:
        headers.setdefault(name, []).append(value)
    request_body: dict[str, Any] = {recording.form: recording.body} if recording.form != "none" else {}
    large = orjson.dumps(recording.body)
    if len(large) > 4 * 65_536:
        name = hashlib.sha256(large).hexdigest()
        blobs[name] = large
        request_body = {"blob": name, "form": recording.form}
    about: dict[str, Any] = {
        "key": recording.key,
        "endpoint": recording.endpoint,
        "start_ms": round(recording.start, 1),
        "end_ms": round(recording.end, 1),
        "ended": reply.ended,
        "chunks_ms": offsets,
        "components": recording.components,
    }
    if recording.query:
        about["query"] = [list(pair) for pair in recording.query]
    if recording.turn is not None:
        about["turn"] = recording.turn
    if recording.exact:
        about["exact"] = recording.exact
    if recording.lane:
        about["lane"] = recording.lane
    if recording.span_id is not None:
        about["span_id"] = recording.span_id
    return {
        "request": {
            "method": recording.method,
            "uri": recording.uri,
            "headers": {name: [value] for name, value in recording.headers.items()},
            "body": request_body or None,
        },
        "response": {
            "status": {"code": reply.status, "message": reply.reason},
            "headers": headers,
            "body": body,
        },
        "simulate": about,
    }


def _tool_line(tool: ToolRecording) -> dict[str, Any]:
    line: dict[str, Any] = {
        "key": tool.key,
        "name": tool.name,
        "arguments": tool.arguments,
        "source": tool.source,
        "start_ms": round(tool.start, 1),
        "end_ms": round(tool.end, 1),
    }
    line |= {"error": tool.error} if tool.error is not None else {"result": tool.result}
    if tool.write:
        line["write"] = True
    if tool.turn is not None:
        line["turn"] = tool.turn
    return line


def _refuse_secrets(files: dict[str, bytes], scan: Callable[[str], list[str]], target: Path) -> None:
    found: list[str] = []
    for name, content in files.items():
        if name == "manifest.json":
            continue
        for number_, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if len(line) < 8:
                continue
            found += [f"{name}:{number_}: {what}" for what in scan(line)]
            if len(found) > 20:
                break
    if found:
        raise InputError(
            "the cassette holds what looks like a secret, so it was not written:\n  "
            + "\n  ".join(found[:20]),
            where=str(target),
            hint="let it be redacted, or keep it out of what the agent sends",
        )


def reply_loader(response: dict[str, Any], about: dict[str, Any], folder: Path | None) -> Callable[[], Reply]:
    """Unpack a response when it is first asked for; loading stays as fast as the JSON parser."""

    def load() -> Reply:
        status = cast("dict[str, Any]", response.get("status") or {})
        given = cast("dict[str, Any]", response.get("headers") or {})
        headers = [
            (name, value)
            for name, values in given.items()
            for value in (cast("list[str]", values) if isinstance(values, list) else [str(values)])
        ]
        chunks = unpack(
            cast("dict[str, Any]", response.get("body") or {}),
            str(about.get("chunks_ms", "")),
            blob_reader(folder),
        )
        return Reply(
            int(status.get("code") or 0),
            str(status.get("message") or ""),
            headers,
            chunks,
            str(about.get("ended", "complete")),
        )

    return load


__all__ = [
    "Cassette",
    "Recording",
    "Reply",
    "ToolRecording",
    "is_stream",
    "number",
    "record_of",
    "reply_loader",
]
