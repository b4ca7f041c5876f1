"""Connections on which both sides send when they like: WebSockets, and gRPC calls whose request is a stream.

A recording is the list of what was sent, in the order in which it passed. What the agent sends is compared
event by event; sound and pictures are not, since where they are cut depends on the clock: of them only the
form and the amount count.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

import orjson

from simulate.model.shapes import is_list, is_object
from simulate.replay.matching.divergence import Divergence, changes_between
from simulate.replay.matching.json_values import canonical_json
from simulate.replay.matching.recordings import Kind, StreamRecording
from simulate.replay.matching.rules import Rules


@dataclass(frozen=True, slots=True)
class Form:
    """An event as it is compared: without what means nothing, and without sound."""

    value: Any
    media: bytes | None = None
    """The sound or picture in it."""

    @property
    def key(self) -> bytes:
        """Equal for events that are the same."""
        return canonical_json([self.media is not None, self.value])

    @property
    def name(self) -> str:
        """What kind of event it is, for a person."""
        if is_object(self.value):
            kind = self.value.get("type") or self.value.get("event") or self.value.get("message_type")
            if isinstance(kind, str):
                return kind
            if self.value:
                return ", ".join(list(self.value)[:2])
        return "audio" if self.media is not None else "text" if isinstance(self.value, str) else "binary"


def form_of(kind: Kind, content: bytes, rules: Rules) -> Form:
    """What an event is compared by."""
    if kind == "binary" and not _is_readable(content):
        return Form(None, content)
    try:
        value: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        text = content.decode("utf-8", "surrogateescape")
        return Form(rules.text(text) if kind == "text" else content.hex())
    if is_object(value):
        rules.leave_out(value)
    media: list[bytes] = []
    value = _without_media(value, media)
    return Form(rules.value(value), b"".join(media) if media else None)


def keeps_alive(form: Form) -> bool:
    """Whether an event only keeps the connection open, whenever a timer says so."""
    value = form.value
    return (
        is_object(value) and len(value) == 1 and str(value.get("type", "")).lower() in {"keepalive", "ping"}
    )


_MEDIA = re.compile(r"[A-Za-z0-9+/_-]{96,}={0,2}")
_MAP = re.compile(rb"(?:[\x80-\x8f]|\xde..|\xdf....)(?:[\xa1-\xbf]|\xd9.)[A-Za-z_]", re.DOTALL)
"""How a map of MessagePack begins whose keys are names."""


def _is_readable(content: bytes) -> bool:
    """Whether a binary message is something else than sound: text, MessagePack, or compressed."""
    if content[:2] == b"\x1f\x8b" or _MAP.match(content):
        return True
    try:
        return content.decode().isprintable() or content[:1] in b"{["
    except UnicodeDecodeError:
        return False


def _without_media(value: Any, media: list[bytes]) -> Any:
    if isinstance(value, str):
        found = _bytes_in(value)
        if found is None:
            return value
        media.append(found)
        return "<audio>"
    if is_object(value):
        return {name: _without_media(inner, media) for name, inner in value.items()}
    if is_list(value):
        return [_without_media(inner, media) for inner in value]
    return value


def _bytes_in(text: str) -> bytes | None:
    if len(text) % 4 or not _MEDIA.fullmatch(text):
        return None
    try:
        return base64.b64decode(text.translate({45: "+", 95: "/"}), validate=True)
    except binascii.Error:
        return None


_MADE = re.compile(r"(?i)(event|context|request|generation|message|client|correlation)_?id$")
_RANDOM = re.compile(r"(?:[a-z]{2,12}[-_])?(?=\S*\d)[0-9A-Za-z][0-9A-Za-z-]{9,}")


def same_but_for_ids(then: Any, now: Any, ids: dict[str, str]) -> bool:
    """Whether two events differ only in ids that the agent makes up, each always in the place of the same
    one; ``ids`` gets these, from the recorded one to the one of now."""
    found: dict[str, str] = {}

    def same(one: Any, other: Any, name: str) -> bool:
        if one == other:
            return True
        if is_object(one) and is_object(other):
            return one.keys() == other.keys() and all(same(one[key], other[key], key) for key in one)
        if is_list(one) and is_list(other):
            return len(one) == len(other) and all(map(lambda a, b: same(a, b, name), one, other))
        if not (isinstance(one, str) and isinstance(other, str) and _MADE.search(name)):
            return False
        if not (_RANDOM.fullmatch(one) and _RANDOM.fullmatch(other)):
            return False
        known = ids.get(one, found.get(one))
        if known is None and other not in {*ids.values(), *found.values()}:
            found[one] = known = other
        return known == other

    if not same(then, now, ""):
        return False
    ids.update(found)
    return True


def explain_event(
    recording: StreamRecording, number: int | None, then: Form | None, now: Form, total: int
) -> Divergence:
    """An event of the agent's that is not as recorded. ``number`` is that of the event that was due, among
    the ``total`` of the connection, counted from 1; None where nothing more was."""
    asked = f"{recording.endpoint}, event {number or total + 1} ({now.name})"
    if then is None:
        return Divergence(
            "exhausted", asked, "extra event", ["extra event"], nearest=recording.place, key=recording.key
        )
    changes = changes_between(then.value, now.value)
    component = _component(then, now, [change.path for change in changes])
    return Divergence(
        "drifted",
        asked,
        component,
        [component],
        nearest=f"{recording.place}, event {number} ({then.name})",
        changes=changes,
        key=recording.key,
    )


def never_sent(recording: StreamRecording, number: int, form: Form) -> Divergence:
    """An event that the agent sent when it was recorded, and sends no more."""
    asked = f"{recording.endpoint}, event {number} ({form.name})"
    return Divergence(
        "unplayed",
        asked,
        "missing event",
        ["missing event"],
        turn=recording.turn,
        nearest=recording.place,
        key=recording.key,
    )


def _component(then: Form, now: Form, paths: list[str]) -> str:
    """Which part of what a model is told an event changes."""
    first = paths[0].lower() if paths else ""
    words = (
        ("instruction", "system prompt"),
        ("prompt", "system prompt"),
        (".tools", "tools"),
        (".model", "model"),
    )
    for word, component in words:
        if word in first:
            return component
    text = canonical_json(now.value)
    if then.name == now.name and any(
        word in text for word in (b"function_call_output", b"tool_response", b"toolResponse", b"tool_result")
    ):
        return "tool result"
    return "event"
