"""Read a cassette's folder strictly: newer, truncated, edited ones are refused with the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model.collecting import without_collecting
from simulate.model.shapes import is_list, is_object, object_of
from simulate.replay.cassette.bodies import blob_reader
from simulate.replay.cassette.file_shapes import Form, refuse_other_shape
from simulate.replay.cassette.interactions import recording_in, tool_in
from simulate.replay.cassette.stream_file import streams_in
from simulate.replay.matching import keys
from simulate.replay.matching.recordings import HttpRecording, StreamRecording, ToolRecording, number
from simulate.replay.matching.rules import Rules

SCHEMA = 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a schema to the next one, on the manifest; schema 0 is a plain vcrpy file."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a cassette's folder holds."""

    http: list[HttpRecording]
    tools: list[ToolRecording]
    frames: list[dict[str, Any]]
    conversation: list[dict[str, Any]]
    manifest: dict[str, Any]
    streams: list[StreamRecording]


def load_folder(folder: Path, rules: Rules, *, allow_edited: bool) -> Contents:
    """Read the files of ``folder``; InputError says what is wrong with one, and what to do."""
    with without_collecting():
        return _read(folder, rules, allow_edited=allow_edited)


def _read(folder: Path, rules: Rules, *, allow_edited: bool) -> Contents:
    parsed: Any = _parsed(folder / "manifest.json")
    if not is_object(parsed) or not isinstance(parsed.get("schema"), int):
        raise InputError("this is not a cassette's manifest", where=str(folder / "manifest.json"))
    manifest = _upgraded(parsed, folder)
    refuse_other_shape("manifest", manifest, folder / "manifest.json")
    contents, edited = _checked(folder, cast("dict[str, str]", manifest.get("files", {})), allow_edited)
    rekey = edited or manifest.get("key_version") != keys.VERSION
    read = Contents(
        http=_http(folder, contents.get("http.json", b""), rules, rekey=rekey),
        tools=_tools(folder, contents.get("tools.jsonl", b""), rules, rekey=rekey),
        frames=_lines(folder / "frames.jsonl", contents.get("frames.jsonl", b"")),
        conversation=_said(folder / "conversation.jsonl", contents.get("conversation.jsonl", b"")),
        manifest=manifest | {"edited": True} if edited else manifest,
        streams=streams_in(
            _lines(folder / "streams.jsonl", contents.get("streams.jsonl", b"")),
            folder / "streams.jsonl",
            rules,
            rekey=rekey,
        ),
    )
    number(read.streams)
    number(read.http)
    number(read.tools)
    return read


def _upgraded(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    version = int(manifest["schema"])
    if version > SCHEMA:
        raise InputError(
            f"the cassette has schema {version}; this version reads up to {SCHEMA}",
            where=str(folder),
            hint="it was written by a newer simulate-agents: pip install --upgrade simulate-agents",
        )
    while version < SCHEMA:
        upgrade = UPGRADES.get(version)
        if upgrade is None:
            raise InputError(
                f"nothing upgrades schema {version}", where=str(folder), hint="record the cassette again"
            )
        manifest = upgrade(manifest)
        version += 1
    return {**manifest, "schema": version}


def _checked(folder: Path, files: dict[str, str], allow_edited: bool) -> tuple[dict[str, bytes], bool]:
    contents: dict[str, bytes] = {}
    edited: list[str] = []
    for name, expected in files.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"the manifest names a file outside of the cassette: {name}", where=str(folder))
        if name.startswith("blobs/"):
            if not path.is_file():
                blob_reader(folder)(path.name)
            continue  # a blob's content is checked when it is read: its name is its hash
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(
                f"{name} is missing", where=str(folder), hint="restore it or record again"
            ) from error
        if hashlib.sha256(content).hexdigest() != expected:
            _parse_all(path, content)
            edited.append(name)
        contents[name] = content
    strangers = sorted(
        f"blobs/{path.name}" for path in (folder / "blobs").glob("*") if f"blobs/{path.name}" not in files
    )
    if strangers:
        raise InputError(
            f"no recording knows of {', '.join(strangers[:3])}",
            where=str(folder),
            hint="a blob was copied in twice or renamed: remove it, or record the cassette again",
        )
    if edited and not allow_edited:
        raise InputError(
            f"{', '.join(edited)} was edited by hand since it was recorded (its hash is not the manifest's)",
            where=str(folder),
            hint="record it again, or replay it as it is with --allow-edited",
        )
    return contents, bool(edited)


def _parse_all(path: Path, content: bytes) -> None:
    """A file that is cut off is said to be so, not called edited."""
    for text in [content] if path.suffix == ".json" else content.splitlines():
        _loads(path, text)


def _parsed(path: Path) -> Any:
    try:
        return _loads(path, path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _loads(path: Path, content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"the file is truncated or damaged: {error}", where=str(path), hint="restore it or record again"
        ) from error


def _lines(path: Path, content: bytes) -> list[Any]:
    return [_loads(path, line) for line in content.splitlines() if line.strip()]


def _said(path: Path, content: bytes) -> list[dict[str, Any]]:
    lines = _lines(path, content)
    for number_, line in enumerate(lines, 1):
        form: Form = "call in the conversation" if "called" in object_of(line) else "line of the conversation"
        refuse_other_shape(form, line, path, f"line {number_}")
    return lines


def _http(folder: Path, content: bytes, rules: Rules, *, rekey: bool) -> list[HttpRecording]:
    if not content:
        return []
    path = folder / "http.json"
    data: Any = _loads(path, content)
    interactions: Any = object_of(data).get("interactions")
    if not is_list(interactions):
        raise InputError("there are no interactions in it", where=str(path))
    recordings: list[HttpRecording] = []
    for index, interaction in enumerate(interactions):
        refuse_other_shape("interaction", interaction, path, f"interaction {index + 1}")
        try:
            recordings.append(recording_in(interaction, index, folder, rules, rekey=rekey))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"interaction {index + 1} cannot be read: {type(error).__name__} {error}", where=str(path)
            ) from error
    return recordings


def _tools(folder: Path, content: bytes, rules: Rules, *, rekey: bool) -> list[ToolRecording]:
    path = folder / "tools.jsonl"
    recordings: list[ToolRecording] = []
    for index, line in enumerate(_lines(path, content)):
        refuse_other_shape("tool call", line, path, f"line {index + 1}")
        recordings.append(tool_in(line, index, rules, rekey=rekey))
    return recordings
