"""Read a cassette's folder strictly: newer, truncated, edited ones are refused with the reason."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model.loading.yaml_reader import read_plain
from simulate.replay.cassette import cassette as cassettes
from simulate.replay.cassette.bodies import blob_reader, unpack
from simulate.replay.cassette.cassette import (
    Cassette,
    Recording,
    ToolRecording,
    number,
    record_of,
    reply_loader,
)
from simulate.replay.matching import key as keys
from simulate.replay.matching.components import fingerprint
from simulate.replay.matching.key import Rules

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a schema to the next one, on the manifest; schema 0 is a plain vcrpy file (`load_vcr`)."""


def load_folder(cassette: Cassette, folder: Path, rules: Rules, *, allow_edited: bool) -> Cassette:
    """Fill ``cassette`` from the files of ``folder``."""
    # a large file is nothing but new objects, and the collector would look through them again and again
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _filled(cassette, folder, rules, allow_edited=allow_edited)
    finally:
        if collecting:
            gc.enable()


def _filled(cassette: Cassette, folder: Path, rules: Rules, *, allow_edited: bool) -> Cassette:
    parsed: Any = _parsed(folder / "manifest.json")
    if not isinstance(parsed, dict) or not isinstance(cast("dict[str, Any]", parsed).get("schema"), int):
        raise InputError("this is no cassette's manifest", where=str(folder / "manifest.json"))
    manifest = _upgraded(cast("dict[str, Any]", parsed), folder)
    cassette.manifest = manifest
    contents, edited = _checked(folder, cast("dict[str, str]", manifest.get("files", {})), allow_edited)
    rekey = edited or manifest.get("key_version") != keys.VERSION
    if b := contents.get("http.json"):
        cassette.http = _http(folder, b, rules, rekey=rekey)
        number(cassette.http)
    if b := contents.get("tools.jsonl"):
        cassette.tools = _tools(folder, b, rules, rekey=rekey)
        number(cassette.tools)
    cassette.frames = _lines(folder / "frames.jsonl", contents.get("frames.jsonl", b""))
    cassette.conversation = _lines(folder / "conversation.jsonl", contents.get("conversation.jsonl", b""))
    if edited:
        cassette.manifest["edited"] = True
    return cassette


def _upgraded(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    version = int(manifest["schema"])
    if version > cassettes.SCHEMA:
        raise InputError(
            f"the cassette has schema {version}; this version reads up to {cassettes.SCHEMA}",
            where=str(folder),
            hint="it was written by a newer simulate-agents: pip install --upgrade simulate-agents",
        )
    while version < cassettes.SCHEMA:
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


def _http(folder: Path, content: bytes, rules: Rules, *, rekey: bool) -> list[Recording]:
    path = folder / "http.json"
    data: Any = _loads(path, content)
    interactions: Any = cast("dict[str, Any]", data).get("interactions") if isinstance(data, dict) else None
    if not isinstance(interactions, list):
        raise InputError("there are no interactions in it", where=str(path))
    recordings: list[Recording] = []
    read = blob_reader(folder)
    for index, interaction in enumerate(cast("list[Any]", interactions)):
        try:
            recordings.append(_recording(interaction, index, folder, read, rules, rekey=rekey))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"interaction {index + 1} is not one: {type(error).__name__} {error}", where=str(path)
            ) from error
    return recordings


def _recording(
    interaction: Any, index: int, folder: Path, read: Callable[[str], bytes], rules: Rules, *, rekey: bool
) -> Recording:
    request, about = interaction["request"], interaction["simulate"]
    form, body = _request_body(request.get("body"), read)
    query = tuple((str(name), str(value)) for name, value in about.get("query", ()))
    found = Recording(
        key=about["key"],
        endpoint=about["endpoint"],
        method=request["method"],
        uri=request["uri"],
        body=body,
        form=form,
        start=about["start_ms"],
        end=about["end_ms"],
        headers={name: values[0] for name, values in request["headers"].items()},
        query=query,
        components=about["components"],
        turn=about.get("turn"),
        span_id=about.get("span_id"),
        exact="" if rekey else about.get("exact", ""),
        lane=about.get("lane", 0),
        place=f"http.json #{index + 1}",
        _load=reply_loader(interaction["response"], about, folder),
    )
    if rekey and not about["endpoint"].startswith("chat"):
        kept = tuple((name, found.headers[name]) for name in rules.headers if name in found.headers)
        found.key = keys.digest(found.endpoint, query, form, body, kept)
        found.components = fingerprint(found.endpoint, body)
    elif rekey:
        from simulate.replay.matching.chat import chat_key

        found.key = chat_key(body)
        found.components = fingerprint(found.endpoint, body)
    return found


def _request_body(body: Any, read: Callable[[str], bytes]) -> tuple[str, Any]:
    if not body:
        return "none", None
    if "blob" in body:
        return body["form"], orjson.loads(read(body["blob"]))
    form, value = next(iter(body.items()))
    if form == "form":
        value = [tuple(pair) for pair in value]
    return form, value


def _tools(folder: Path, content: bytes, rules: Rules, *, rekey: bool) -> list[ToolRecording]:
    path = folder / "tools.jsonl"
    recordings: list[ToolRecording] = []
    for index, line in enumerate(_lines(path, content)):
        try:
            recordings.append(
                ToolRecording(
                    key=keys.call_key(line["name"], line["arguments"], rules) if rekey else line["key"],
                    name=line["name"],
                    arguments=line["arguments"],
                    result=line.get("result"),
                    error=line.get("error"),
                    write=bool(line.get("write", False)),
                    source=line.get("source", "tool"),
                    start=line["start_ms"],
                    end=line["end_ms"],
                    turn=line.get("turn"),
                    place=f"tools.jsonl:{index + 1}",
                )
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"line {index + 1} is no tool call: {error}", where=str(path)) from error
    return recordings


def load_vcr(path: Path, rules: Rules) -> Cassette:
    """A plain vcrpy cassette, YAML or JSON, in our shape; its streams have no timing."""
    try:
        data = orjson.loads(path.read_bytes()) if path.suffix == ".json" else read_plain(path)
        interactions = data["interactions"]
    except (OSError, InputError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        told = error.message if isinstance(error, InputError) else error
        raise InputError(
            f"this is neither a cassette folder nor a vcrpy file: {told}", where=str(path)
        ) from error
    cassette = Cassette(
        folder=path.parent, manifest={"schema": cassettes.SCHEMA, "complete": True, "from": "vcrpy"}
    )
    for index, interaction in enumerate(interactions):
        request = interaction["request"]
        raw = unpack({"string": request.get("body")}, "", blob_reader(path.parent))
        given = cast("dict[str, list[str]]", request.get("headers") or {})
        headers = {name: values[0] for name, values in given.items()}
        body = b"".join(content for _, content in raw)
        found = keys.canonical(request["method"], request["uri"], headers, body, rules)
        recording = record_of(found, request["method"], request["uri"], headers)
        recording.place = f"{path.name} #{index + 1}"
        recording.start = recording.end = float(index)
        recording.reply = reply_loader(interaction["response"], {}, path.parent)()
        cassette.http.append(recording)
    number(cassette.http)
    return cassette


def stale(cassette: Cassette, components: dict[str, str]) -> list[Recording]:
    """The recordings whose named parts (``system``, ``tools``, ``model``, ``parameters``) are not these."""
    return [
        recording
        for recording in cassette.http
        if any(
            name in recording.components and recording.components[name] != value
            for name, value in components.items()
        )
    ]
