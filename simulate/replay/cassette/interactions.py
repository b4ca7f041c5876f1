"""Recordings as they stand in a cassette's files, and back: vcrpy's v1 schema for HTTP, a line for a tool."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson

from simulate.errors import InputError
from simulate.model.secret_names import is_secret_parameter
from simulate.replay.cassette.bodies import LARGE, blob_reader, pack, unpack
from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.chat import chat_key
from simulate.replay.matching.components import fingerprint
from simulate.replay.matching.endpoints import endpoint_of
from simulate.replay.matching.json_values import canonical_json
from simulate.replay.matching.keys import call_key, digest
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules

_KEPT_HEADERS = ("content-type", "accept", "anthropic-version")


def record_of(request: HttpRequest, rules: Rules) -> HttpRecording:
    """The recording of a request that begins now."""
    canonical = request.canonical(rules)
    names = {*_KEPT_HEADERS, *(name for name, _ in canonical.headers)}
    return HttpRecording(
        key=canonical.key,
        endpoint=canonical.endpoint,
        method=request.method,
        uri=without_secrets(request.url, rules),
        body=canonical.body,
        form=canonical.form,
        headers={name: value for name, value in request.headers.items() if name in names},
        query=canonical.query,
        components=fingerprint(canonical.endpoint, canonical.body),
        exact=request.exact(rules),
    )


def without_secrets(url: str, rules: Rules) -> str:
    """A URL as it may be kept."""
    url = re.sub(r"(?<=://)[^/@]*@", "", url)

    def hidden(match: re.Match[str]) -> str:
        return f"{match[1]}…" if is_secret_parameter(match["name"]) else match[0]

    return rules.text(re.sub(r"([?&](?P<name>[^=&#]*)=)[^&#]*", hidden, url))


def interaction_of(recording: HttpRecording, blobs: dict[str, bytes]) -> dict[str, Any]:
    """A request and its response as a block of ``http.json``; what is large goes to ``blobs``."""
    reply = recording.response
    body, offsets = pack(reply.chunks, reply.header("content-type"), blobs)
    headers: dict[str, list[str]] = {}
    for name, value in reply.headers:
        headers.setdefault(name, []).append(value)
    request_body: dict[str, Any] = {recording.form: recording.body} if recording.form != "none" else {}
    large = orjson.dumps(recording.body)
    if len(large) > 4 * LARGE:
        name = hashlib.sha256(large).hexdigest()
        blobs[name] = large
        request_body = {"blob": name, "form": recording.form}
    about: dict[str, Any] = {
        "key": recording.key,
        "endpoint": recording.endpoint,
        "start_ms": round(recording.start, 3),
        "end_ms": round(recording.end, 3),
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
    if recording.raced:
        about["raced"] = True
    if recording.own_process:
        about["own_process"] = True
    if recording.task:
        about["lane"] = recording.task
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


def recording_in(interaction: Any, index: int, folder: Path, rules: Rules, *, rekey: bool) -> HttpRecording:
    """The inverse of `interaction_of`; ``rekey`` computes key and components anew.

    Raises KeyError, TypeError, ValueError or AttributeError where the block is not one."""
    request, about = interaction["request"], interaction["simulate"]
    form, body = _request_body(request.get("body"), folder)
    query = tuple((str(name), str(value)) for name, value in about.get("query", ()))
    found = HttpRecording(
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
        task=about.get("lane", 0),
        raced=bool(about.get("raced", False)),
        own_process=bool(about.get("own_process", False)),
        place=f"http.json #{index + 1}",
        load=response_loader(interaction["response"], about, folder),
    )
    if rekey and found.endpoint != CHAT:
        found.endpoint, _ = endpoint_of(found.method, found.uri, canonical_json(body), rules.aliases)
    if rekey:
        set_key(found, rules)
    return found


def set_key(recording: HttpRecording, rules: Rules) -> None:
    """Compute the key of a recording anew, and what its parts are told apart by."""
    headers, body = recording.headers, recording.body
    kept = tuple((name, headers[name]) for name in rules.headers if name in headers)
    asked = (recording.endpoint, recording.query, recording.form, body, kept)
    recording.key = chat_key(body) if recording.endpoint == CHAT else digest(*asked)
    recording.components = fingerprint(recording.endpoint, body)


def _request_body(body: Any, folder: Path) -> tuple[str, Any]:
    if not body:
        return "none", None
    if "blob" in body:
        return body["form"], orjson.loads(blob_reader(folder)(body["blob"]))
    form, value = next(iter(body.items()))
    if form == "form":
        value = [tuple(pair) for pair in value]
    return form, value


def response_loader(
    response: dict[str, Any], about: dict[str, Any], folder: Path | None
) -> Callable[[], HttpResponse]:
    """Unpack a response when it is first asked for; loading stays as fast as the JSON parser."""

    def load() -> HttpResponse:
        try:
            return _response(response, about, folder)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"a recorded answer cannot be read: {type(error).__name__} {error}",
                where=str(folder or ""),
                hint="restore the file, or record the cassette again",
            ) from error

    return load


def _response(response: dict[str, Any], about: dict[str, Any], folder: Path | None) -> HttpResponse:
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
    return HttpResponse(
        int(status.get("code") or 0),
        str(status.get("message") or ""),
        headers,
        chunks,
        str(about.get("ended", "complete")),
        float(about.get("end_ms") or 0.0) - float(about.get("start_ms") or 0.0),
    )


def tool_line(tool: ToolRecording) -> dict[str, Any]:
    """A tool call as a line of ``tools.jsonl``."""
    line: dict[str, Any] = {
        "key": tool.key,
        "name": tool.name,
        "arguments": tool.arguments,
        "source": tool.source,
        "start_ms": round(tool.start, 3),
        "end_ms": round(tool.end, 3),
    }
    line |= {"error": tool.error} if tool.error is not None else {"result": tool.result}
    if tool.write:
        line["write"] = True
    if tool.turn is not None:
        line["turn"] = tool.turn
    if tool.task >= 0:
        line["lane"] = tool.task
    if tool.own_process:
        line["own_process"] = True
    return line


def tool_in(line: Any, index: int, rules: Rules, *, rekey: bool) -> ToolRecording:
    """The inverse of `tool_line`; raises KeyError or TypeError where the line is not one."""
    return ToolRecording(
        key=call_key(line["name"], line["arguments"], rules) if rekey else line["key"],
        name=line["name"],
        arguments=line["arguments"],
        result=line.get("result"),
        error=line.get("error"),
        write=bool(line.get("write", False)),
        source=line.get("source", "tool"),
        own_process=bool(line.get("own_process", False)),
        start=line["start_ms"],
        end=line["end_ms"],
        turn=line.get("turn"),
        task=line.get("lane", -1),
        place=f"tools.jsonl:{index + 1}",
    )
