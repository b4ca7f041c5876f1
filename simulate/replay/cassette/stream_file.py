"""Connections as they stand in ``streams.jsonl``: a line for each, and one for each of its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from simulate.errors import InputError
from simulate.replay.cassette.aws_frames import restyled
from simulate.replay.cassette.bodies import blob_reader, pack, unpack
from simulate.replay.cassette.interactions import without_secrets
from simulate.replay.cassette.stream_redaction import redacted_values
from simulate.replay.matching.endpoints import endpoint_of
from simulate.replay.matching.keys import digest
from simulate.replay.matching.recordings import StreamEvent, StreamRecording
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules


def stream_of(request: HttpRequest, rules: Rules) -> StreamRecording:
    """The recording of a connection that is opened now."""
    canonical = request.canonical(rules)
    return StreamRecording(
        canonical.key,
        canonical.endpoint,
        without_secrets(request.url, rules),
        canonical.query,
        dict(canonical.headers),
    )


def redact(recording: StreamRecording, rules: Rules) -> None:
    """Take secrets and personal data out of all that was sent, also where it came in pieces."""
    for by in ("agent", "service"):
        events = [event for event in recording.events if event.by == by and event.kind != "binary"]
        roots = [[_value(event)] for event in events]
        redacted_values(roots, rules)
        for event, (value,) in zip(events, roots, strict=True):
            if value != _value(event):
                text = event.content.decode("utf-8", "surrogateescape")
                made = value if _value(event) == text else restyled(text, value)
                event.content = made.encode("utf-8", "surrogateescape")


def _value(event: StreamEvent) -> Any:
    try:
        return orjson.loads(event.content)
    except orjson.JSONDecodeError:
        return event.content.decode("utf-8", "surrogateescape")


def lines_of(recording: StreamRecording, blobs: dict[str, bytes]) -> bytes:
    """A connection and its events as lines."""
    about: dict[str, Any] = {
        "stream": recording.endpoint,
        "key": recording.key,
        "uri": recording.uri,
        "start_ms": round(recording.start, 3),
        "end_ms": round(recording.end, 3),
    }
    if recording.query:
        about["query"] = [list(pair) for pair in recording.query]
    if recording.headers:
        about["headers"] = recording.headers
    if recording.turn is not None:
        about["turn"] = recording.turn
    if recording.span_id is not None:
        about["span_id"] = recording.span_id
    if recording.own_process:
        about["own_process"] = True
    lines = [about]
    for event in recording.events:
        line: dict[str, Any] = {"by": event.by, "kind": event.kind}
        body, _ = pack([(event.at, event.content)], "", blobs)
        line["at_ms"] = round(event.at, 1)
        lines.append(line | body)
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def streams_in(lines: list[Any], path: Path, rules: Rules, *, rekey: bool) -> list[StreamRecording]:
    """The inverse of `lines_of`, for a whole file. InputError where a line is not one."""
    found: list[StreamRecording] = []
    for index, line in enumerate(lines):
        try:
            if "stream" in line:
                found.append(_recording(line, len(found) + 1, rules, rekey=rekey))
            else:
                content = b"".join(part for _, part in unpack(line, "", blob_reader(path.parent)))
                found[-1].events.append(StreamEvent(line["by"], line["kind"], line["at_ms"], content))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"line {index + 1} is neither a connection nor an event: {error}", where=str(path)
            ) from error
    return found


def _recording(line: dict[str, Any], number: int, rules: Rules, *, rekey: bool) -> StreamRecording:
    endpoint, key = line["stream"], line["key"]
    query = tuple((str(name), str(value)) for name, value in line.get("query", ()))
    headers: dict[str, str] = line.get("headers", {})
    if rekey:
        method = endpoint.split(" ")[1]
        endpoint, _ = endpoint_of(method, line["uri"], b"", rules.aliases)
        kept = tuple((name, headers[name]) for name in rules.headers if name in headers)
        key = digest(endpoint, query, "none", None, kept)
    return StreamRecording(
        key,
        endpoint,
        line["uri"],
        query,
        headers,
        start=line["start_ms"],
        end=line["end_ms"],
        turn=line.get("turn"),
        span_id=line.get("span_id"),
        own_process=bool(line.get("own_process", False)),
        place=f"streams.jsonl #{number}",
    )
