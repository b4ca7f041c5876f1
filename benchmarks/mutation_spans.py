"""Edits of whole spans, calls and ids of a recorded trace; see `mutation_edits`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from benchmarks.mutation_edits import Call, Json, Truth, calls_of, words_of

_ENDED_FOR_A_TOOL = {"tool_calls", "tool_call", "tool_use", "toolUse", "TOOL_CALLS", "TOOL_CALL"}


def parsed(text: str) -> list[Json]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def dumped(documents: Iterable[Json]) -> str:
    return "\n".join(json.dumps(one, separators=(",", ":")) for one in documents) + "\n"


def holders(documents: Iterable[Json]) -> Iterator[list[Json]]:
    """Each list of spans."""
    for document in documents:
        for resource in document.get("resourceSpans", ()):
            for scope in resource["scopeSpans"]:
                yield scope["spans"]


def doubled(text: str, at: int) -> str:
    """One span came twice."""
    documents = parsed(text)
    places = [(spans, n) for spans in holders(documents) for n in range(len(spans))]
    spans, n = places[at % len(places)]
    spans.append(json.loads(json.dumps(spans[n])))
    return dumped(documents)


def turned(text: str) -> str:
    """The spans came in the opposite order."""
    documents = parsed(text)
    for spans in holders(documents):
        spans.reverse()
    return dumped(reversed(documents))


def one_call_id(text: str) -> str | None:
    """Every call has the same id, as some servers give it."""
    ids = list(dict.fromkeys(re.findall(_CALL_ID, text)))
    if len(ids) < 2:
        return None
    for one in ids[1:]:
        text = text.replace(one, ids[0])
    return text


def without(text: str, truth: Truth) -> str:
    """Nothing of what was said, asked or answered was captured."""
    needles = [*words_of(truth)]
    for call in calls_of(truth):
        needles += [str(one) for one in _leaves([call.arguments, call.result]) if len(str(one)) > 3]
    documents = parsed(text)
    for spans in holders(documents):
        for span in spans:
            for holder in (span, *span.get("events", ())):
                kept = [one for one in holder.get("attributes", ()) if not _holds(one, needles)]
                holder["attributes"] = kept
            span["name"] = span["name"] if not _holds(span["name"], needles) else "call"
            span["events"] = [event for event in span.get("events", ()) if event["attributes"]]
    return dumped(documents)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _leaves(one)
    elif value is not None and not isinstance(value, bool):
        yield value


def _holds(value: Json, needles: Iterable[str]) -> bool:
    plain = json.dumps(value).replace("\\", "")
    return any(needle.replace("\\", "").replace("\n", "n") in plain for needle in needles)


def repeated(text: str, call: Call) -> str | None:
    """The tool ran once more: its span, with all below it, comes again later, under ids of its own."""
    documents = parsed(text)
    found = [(spans, span) for spans in holders(documents) for span in spans if _is_run(span, call)]
    if not found:
        return None
    every = [span for spans in holders(documents) for span in spans]
    ids = {span["spanId"] for _, span in found}
    spans, first = next((each for each in found if each[1].get("parentSpanId") not in ids), found[0])
    below = _below(every, first)
    shift = int(first["endTimeUnixNano"]) - int(first["startTimeUnixNano"]) + 1_000_000
    for span in below:
        again = json.loads(json.dumps(span).replace(span["spanId"], _other_id(span["spanId"])))
        if span is not first:
            again["parentSpanId"] = _other_id(span["parentSpanId"])
        for key in ("startTimeUnixNano", "endTimeUnixNano"):
            again[key] = str(int(again[key]) + shift)
        spans.append(again)
    return dumped(documents)


def _other_id(span_id: str) -> str:
    return f"{(int(span_id, 16) ^ 0xABCD):016x}"


def _below(every: list[Json], top: Json) -> list[Json]:
    found, ids = [top], {top["spanId"]}
    while more := [s for s in every if s.get("parentSpanId") in ids and s["spanId"] not in ids]:
        found += more
        ids |= {span["spanId"] for span in more}
    return found


def without_call(text: str, truth: Truth, call: Call) -> str | None:
    """The call was never made: its spans are gone, and so is what messages tell of it. The answers stay."""
    edit = _Removal(call, [one for one in calls_of(truth) if one.name == call.name])
    documents = parsed(text)
    every = [span for spans in holders(documents) for span in spans]
    runs = [span for span in every if _is_run(span, call) and edit.is_meant(span)]
    gone = {span["spanId"] for run in runs for span in _below(every, run)}
    for span in every:
        edit.note_ids(span) if span["spanId"] in gone else None
    for spans in holders(documents):
        spans[:] = [span for span in spans if span["spanId"] not in gone]
    outputs = {span["spanId"]: _outputs(span) for span in every}
    named = {span["spanId"] for span in every if call.name in json.dumps(span)}
    for _ in range(2):  # the ids of the calls found first tell which answers go with them
        for spans in holders(documents):
            for span in spans:
                edit.strip(span)
    words = words_of(truth)
    for spans in holders(documents):
        spans[:] = [span for span in spans if not _asked_only(span, outputs[span["spanId"]], words)]
    left = [span for spans in holders(documents) for span in spans if re.search("tool", span["name"], re.I)]
    if any(span["spanId"] in named and edit.is_meant(span) for span in left if edit.telling):
        return None  # the span of the tool does not say so in a way that could be found
    return dumped(documents) if gone or edit.count else None


def _outputs(span: Json) -> str:
    """What a span gave back, of its attributes and events."""
    told = [one for one in span.get("attributes", ()) if re.search(_OUTPUT, one["key"])]
    told += [one for one in span.get("events", ()) if re.search(_OUTPUT, json.dumps(one))]
    return json.dumps(told)


_OUTPUT = r"output|completion|choice"
_CALL_ID = r"\b(?:call|toolu|tooluse)_[A-Za-z0-9]{6,}"


def _asked_only(span: Json, before: str, words: Iterable[str]) -> bool:
    """Whether a model's call asked for what is gone, and for nothing else: it was not made either."""
    keys = [one["key"] for one in span.get("attributes", ())]
    if not any(re.search(r"usage|token_count", key) for key in keys):
        return False
    now = _outputs(span)
    plain = now.replace("\\", "")
    return (
        now != before
        and not re.search(_CALL_ID, now)
        and not any(word.replace("\\", "").replace("\n", "n") in plain for word in words)
    )


def _is_run(span: Json, call: Call) -> bool:
    """Whether a span is that of the tool, and not of a model that was offered it."""
    plain = {one["key"]: _plain(one["value"]) for one in span.get("attributes", ())}
    if any(
        re.search(r"tokens|token_count|request\.model$|model_name|invocation_param", key) for key in plain
    ):
        return False
    names = [call.name, call.name.rsplit("__", 1)[-1]]
    named = any(re.search(rf"(?<![A-Za-z0-9]){re.escape(one)}(?![A-Za-z0-9])", span["name"]) for one in names)
    return named or any(value in names and "name" in key for key, value in plain.items())


def _plain(value: Json) -> Any:
    for kind, held in value.items():
        if kind == "arrayValue":
            return [_plain(one) for one in held.get("values", ())]
        if kind == "kvlistValue":
            return {one["key"]: _plain(one["value"]) for one in held.get("values", ())}
        return held
    return None


class _Removal:
    """Takes what tells of one call out of attributes."""

    def __init__(self, call: Call, alike: list[Call]) -> None:
        self.call, self.count = call, 0
        self.ids: set[str] = set()
        others = [one.arguments for one in alike if one != call]
        self.telling = [
            str(value)
            for key, value in call.arguments.items()
            if others and all(other.get(key) != value for other in others)
        ]

    def is_meant(self, value: Json) -> bool:
        """Whether it is this call and not another of the same tool."""
        plain = json.dumps(value).replace("\\", "")
        return all(word in plain for word in self.telling)

    def note_ids(self, value: Json) -> None:
        self.ids |= set(re.findall(_CALL_ID, json.dumps(value)))

    def strip(self, span: Json) -> None:
        before = self.count
        for holder in (span, *span.get("events", ())):
            self._groups(holder)
            for one in holder.get("attributes", ()):
                self._value(one["value"])
        events = span.get("events", ())
        kept = [
            event
            for event in events
            if not self._tells({a["key"]: _plain(a["value"]) for a in event.get("attributes", ())})
        ]
        if len(kept) < len(events):
            span["events"] = kept
            self.count += 1
        if self.count > before:
            self._ended(span)

    def _ended(self, span: Json) -> None:
        """A model that asks for nothing ends for another reason."""
        text = json.dumps(span)
        if not any(name in text for name in (self.call.name,)) or not self._asks(text):
            for reason in _ENDED_FOR_A_TOOL:
                for quote in ('"', '\\"', '\\\\\\"'):
                    text = text.replace(f"{quote}{reason}{quote}", f"{quote}stop{quote}")
            span.clear()
            span.update(json.loads(text))

    def _asks(self, text: str) -> bool:
        return bool(re.search(_CALL_ID, text))

    def _groups(self, holder: Json) -> None:
        """Attributes whose names share a number: ``….tool_calls.0.name``."""
        attributes: list[Json] = holder.get("attributes", [])
        groups: dict[str, list[Json]] = {}
        for one in attributes:
            for at in re.finditer(r"\.\d+(?=\.)", one["key"]):
                groups.setdefault(one["key"][: at.end()], []).append(one)
        gone: list[int] = []
        for prefix in sorted(groups, key=len, reverse=True):
            members = [one for one in groups[prefix] if id(one) not in gone]
            flat = {one["key"][len(prefix) + 1 :]: _plain(one["value"]) for one in members}
            deeper = any(re.search(r"\.\d+\.", f".{key}") for key in flat)
            if flat and not deeper and self._tells(flat):
                self.note_ids([one for one in flat.items() if "id" in one[0]])
                gone += [id(one) for one in members]
        if gone:
            self.count += 1
            holder["attributes"] = [one for one in attributes if id(one) not in gone]

    def _value(self, value: Json) -> None:
        for kind, held in value.items():
            if kind == "arrayValue":
                for one in held.get("values", ()):
                    self._value(one)
            elif kind == "stringValue":
                value[kind] = self._text(held)

    def _text(self, text: str) -> str:
        decoded, encode = _decoded(text)
        if encode is None:
            return text
        before = self.count
        edited = self._tree(decoded)
        return text if self.count == before else encode(edited)

    def _tree(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {key: self._tree(one) for key, one in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            held = cast("list[Any]", value)
            found = [self._tree(one) for one in held]
            return [one for one, was in zip(found, held, strict=True) if not self._small(one, was)]
        return value

    def _small(self, one: Any, was: Any) -> bool:
        """Whether a member of a list tells of the call, or told of nothing else."""
        if self._tells(one):
            self.note_ids(one)
            self.count += 1
            return True
        return one != was and _is_hollow(one)

    def _tells(self, one: Any) -> bool:
        if not isinstance(one, dict) or not one:
            return False
        held = cast("dict[str, Any]", one)
        if any(
            key in held for key in ("description", "parameters", "input_schema", "inputSchema", "generations")
        ):
            return False
        text = json.dumps(held)
        if any(call_id in text for call_id in self.ids):
            return len(set(re.findall(_CALL_ID, text))) == 1
        names = [
            str(value)
            for key, value in _flat(held, 2)
            if key.rsplit(".", 1)[-1] in ("name", "tool_name", "toolName")
        ]
        return (
            self.call.name in names
            and self.is_meant(held)
            and "tool_calls" not in held
            and "messages" not in held
        )


def _flat(value: dict[str, Any], depth: int, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        if isinstance(one, dict) and depth:
            yield from _flat(cast("dict[str, Any]", one), depth - 1, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", one


def _is_hollow(one: Any) -> bool:
    """A message that held nothing but the call."""
    if not isinstance(one, dict):
        return False
    held = cast("dict[str, Any]", one)
    return "role" in held and not any(held.get(key) for key in ("content", "parts", "tool_calls", "text"))


def _decoded(text: str) -> tuple[Any, Callable[[Any], str] | None]:
    """What a text holds, and how to write it again; None for how where it holds only itself."""
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            return json.loads(stripped), json.dumps
        except ValueError:
            pass
        try:
            return ast.literal_eval(stripped), repr
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    return text, None
