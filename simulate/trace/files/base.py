"""What all readers share: notes on what was repaired, times, ids, and errors that name the span."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, cast

from simulate.errors import TraceFileError
from simulate.model.shapes import is_list
from simulate.model.text import line
from simulate.trace.span import Attributes, Span

Record = dict[str, Any]
OtelKind = Literal["internal", "server", "client", "producer", "consumer", "unspecified"]

HUGE = 1_000_000
"""Characters from which on one attribute is worth a note."""

NO_TRACE, NO_SPAN = "0" * 32, "0" * 16
"""Ids that OpenTelemetry calls invalid: they stand for none."""


@dataclass(slots=True)
class Notes:
    """What the reader of a file should know about its traces: one sentence for each kind of repair.

    ``tolerant`` decides what happens to a span that cannot be read: skipped and noted, or an error.
    """

    source: str | None = None
    tolerant: bool = False
    line: int | None = None
    """The line that is being read, where the file has one document a line."""
    left_out: int = 0
    """Records that could not be read and were skipped."""
    _said: dict[tuple[str | None, str], list[Any]] = field(default_factory=dict[Any, Any])

    def say(self, sentence: str, span: str = "", trace_id: str | None = None) -> None:
        """Note this once; later ones of the same sentence and trace are counted."""
        seen = self._said.get((trace_id, sentence))
        if seen is None:
            self._said[trace_id, sentence] = [1, span, self.line]
        else:
            seen[0] += 1

    def of(self, trace_id: str) -> list[str]:
        """The sentences about this trace and those about the whole file."""
        return [
            _sentence(sentence, *seen)
            for (about, sentence), seen in self._said.items()
            if about is None or about == trace_id
        ]

    def where(self, span: str | None = None) -> str:
        """File, line and span, as far as known."""
        parts = [self.source or "trace"]
        if self.line is not None:
            parts.append(f"line {self.line}")
        if span:
            parts.append(span)
        return ", ".join(parts)

    def refuse(self, message: str, span: str | None = None, hint: str | None = None) -> TraceFileError:
        """The error that names the place, to be raised by the caller."""
        return TraceFileError(message, where=self.where(span), hint=hint)


def _sentence(sentence: str, count: int, span: str, line: int | None) -> str:
    place = ", ".join(part for part in (span, f"line {line}" if line and line > 1 else "") if part)
    if count > 1:
        return f"{sentence} ({count} times{', first at ' + place if place else ''})"
    return f"{sentence} ({place})" if place else sentence


@dataclass(frozen=True, slots=True)
class Format:
    """A file format; the reader finds each one that a module of `files` or of `vendors` calls ``FORMAT``."""

    name: str
    rank: int
    """Who is asked first whether a document is theirs: the lower. Plain spans, last, take what is left."""
    fits: Callable[[Any], bool]
    """Whether a JSON document is of this format."""
    spans: Callable[[Any, Notes], Iterator[Span]]
    """The spans of a document that is."""
    streams: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, Notes], Iterator[Span]]], ...] = ()
    """For files that are not JSON: whether the first bytes of one are this format's, and its spans."""


STRUCTURAL = (TypeError, AttributeError, KeyError, ValueError, IndexError, OverflowError, RecursionError)
"""What Python raises when JSON has another shape than the format says."""


def each(
    records: Any, make: Callable[[Any], Span | None], notes: Notes, what: str = "span"
) -> Iterator[Span]:
    """``make`` of each record. What has not the format's shape, or an id of zeros, which would make one of
    many spans, is an error that names it, or is skipped and noted when the reading is tolerant."""
    if isinstance(records, str | dict) or not isinstance(records, Iterable):
        raise notes.refuse(f"expected a list of {what}s, found {kind_of(records)}")
    for index, record in enumerate(cast("Iterable[Any]", records)):
        try:
            span = make(record)
            if span is None:
                continue
            if span.span_id == NO_SPAN or span.trace_id == NO_TRACE:
                raise notes.refuse("an id is all zeros, which means none", f"span {line(span.name, 40)}")
        except TraceFileError as error:
            if not notes.tolerant:
                raise
            notes.left_out += 1
            notes.say(f"a {what} was left out: {error.message}")
            continue
        except STRUCTURAL as error:
            problem = f"a {what} that has not the shape its format says: {explain(error)}"
            if not notes.tolerant:
                raise notes.refuse(problem, label(record, index)) from error
            notes.left_out += 1
            notes.say(f"left out {problem}", label(record, index))
            continue
        yield span


def explain(error: BaseException) -> str:
    """A short reason without the value itself, which may be private and long."""
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, AttributeError):
        # what Python calls an attribute, and its words, say nothing to whoever exported the file
        return f"{_KINDS_IN_WORDS.get(type(error.obj), 'a value')} stands where something else is due"
    return f"{type(error).__name__}: {str(error)[:120]}"


_KINDS_IN_WORDS: dict[type[object], str] = {
    dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number",
    type(None): "nothing",
}  # fmt: skip


def label(record: Any, index: int) -> str:
    """How an error calls a span that could not be read."""
    if isinstance(record, dict):
        fields = cast(Record, record)
        name = fields.get("name") or fields.get("operationName")
    else:
        name = getattr(record, "name", None)
    if isinstance(name, str):
        return f"span {index + 1} ({line(name, 60)})"
    return f"span {index + 1}"


def kind_of(value: Any) -> str:
    """A JSON type in words."""
    return _KINDS_IN_WORDS.get(cast("type[object]", type(value)), "a number")


# -- ids -------------------------------------------------------------------------------------------------

HEX = re.compile(r"[0-9a-fA-F]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def hex_id(value: Any, digits: int, notes: Notes, what: str, span: str = "") -> str:
    """An OpenTelemetry id as lower-case hex of 32 or 16 ``digits``.

    Base64 (what generic protobuf-to-JSON converters write, Tempo among them) is recognised by its length
    and padding and said in the notes. Anything else would join or tear spans silently, and is refused.
    """
    if isinstance(value, str):
        if len(value) == digits and HEX.fullmatch(value):
            return value.lower()
        text = value[2:] if value.startswith("0x") else value
        if len(text) == digits and HEX.fullmatch(text):
            return text.lower()
        if len(text) in (24 if digits == 32 else 12, 22 if digits == 32 else 11) and _BASE64.fullmatch(text):
            raw = _from_base64(text)
            if raw is not None and len(raw) * 2 == digits:
                notes.say("ids are base64 in the file and were read as such")
                return raw.hex()
    shown = line(value, 60) if isinstance(value, str) else kind_of(value)
    size = f" of {len(value)} characters" if isinstance(value, str) else ""
    raise notes.refuse(
        f"{what} must be {digits} hex digits, not {shown!r}{size}",
        span,
        "ids that were cut or converted would join the wrong spans; export the trace again as OTLP JSON",
    )


def hex_from_bytes(raw: bytes, digits: int, notes: Notes, what: str, span: str = "") -> str:
    """A protobuf id as hex. ``google.protobuf.json_format`` reads hex as if it were base64, and makes 12
    bytes of 8 and 24 of 16: reversible, so it is reversed and said."""
    if len(raw) * 2 == digits:
        return raw.hex()
    if len(raw) * 4 == digits * 3:
        text = base64.b64encode(raw).decode()
        if HEX.fullmatch(text):
            notes.say("ids had been read as base64 by a generic protobuf converter; restored to hex")
            return text.lower()
    raise notes.refuse(f"{what} must be {digits // 2} bytes, not {len(raw)}", span)


def _from_base64(text: str) -> bytes | None:
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_" if set(text) & set("-_") else None, validate=True)
    except (binascii.Error, ValueError):
        return None


# -- times -----------------------------------------------------------------------------------------------

_UNITS = (
    ("seconds", 946_684_800, 4_102_444_800, 10**9),
    ("milliseconds", 946_684_800_000, 4_102_444_800_000, 10**6),
    ("microseconds", 946_684_800_000_000, 4_102_444_800_000_000, 10**3),
)
"""Between the years 2000 and 2100 the magnitude tells the unit."""

_FACTORS = {unit: factor for unit, _, _, factor in _UNITS} | {"nanoseconds": 1}

NANO_FLOOR = 946_684_800_000_000_000
NANO_CEILING = 2**63 - 1


def nanoseconds(value: Any, notes: Notes, span: str = "", *, due: str = "nanoseconds") -> int:
    """A moment as nanoseconds since the Unix epoch; 0 where the file says nothing.

    Numbers may come as digits, ISO 8601 texts, ``[seconds, nanoseconds]`` pairs (OpenTelemetry JS), or in
    another unit than the one that is ``due``: said in the notes when it is.
    """
    if type(value) is int and NANO_FLOOR <= value <= NANO_CEILING:
        return value
    if value is None or value == "":
        return 0
    if isinstance(value, str):
        return _time_from_text(value.strip(), notes, span, due)
    if is_list(value):
        pair = value
        if len(pair) == 2 and all(type(part) is int and part >= 0 for part in pair):
            return _bounded(pair[0] * 10**9 + pair[1], notes, span)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise notes.refuse(f"a time is a number or an ISO 8601 text, not {kind_of(value)}", span)
    if isinstance(value, float) and not math.isfinite(value):
        raise notes.refuse(f"a time is {value}", span)
    return _bounded(_by_magnitude(value, notes, due), notes, span)


def _by_magnitude(value: float, notes: Notes, due: str) -> int:
    for unit, low, high, factor in _UNITS:
        if low <= value < high:
            if unit != due:
                notes.say(f"times are {unit} where {due} are due; read as {unit}")
            return value * factor if isinstance(value, int) else round(value * factor)
    if value >= NANO_FLOOR:
        return int(value)
    # a clock that does not start at the epoch, as tests and simulations have it: the unit is the one due
    return int(value * _FACTORS[due])


def _time_from_text(text: str, notes: Notes, span: str, due: str) -> int:
    if text.isdecimal() and text.isascii():
        if len(text) > 25:
            raise notes.refuse("a time has more than 25 digits", span)
        return _bounded(_by_magnitude(int(text), notes, due), notes, span)
    try:
        return _bounded(_by_magnitude(float(text), notes, due), notes, span)
    except (ValueError, OverflowError):
        pass
    moment = iso_nanoseconds(text)
    if moment is None:
        raise notes.refuse(f"“{line(text, 40)}” is not a time", span)
    return _bounded(moment, notes, span)


_FRACTION = re.compile(r"(.*\d\d:\d\d:\d\d)[.,](\d+)(.*)")


def iso_nanoseconds(text: str) -> int | None:
    """An ISO 8601 text to the nanosecond (Python's own parser stops at microseconds); UTC where it names no
    zone. None when it is not a time."""
    match = _FRACTION.fullmatch(text)
    fraction = int(match[2][:9].ljust(9, "0")) if match else 0
    try:
        moment = datetime.fromisoformat((match[1] + match[3] if match else text).replace(" UTC", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + fraction


def lasting(start: int, duration: Any, factor: int, notes: Notes, span: str) -> int | None:
    """The end of a span that says how long it took, in units of ``factor`` nanoseconds."""
    if duration is None:
        return None
    took = duration * factor if type(duration) is int else round(float(duration) * factor)
    return _bounded(start + took, notes, span)


def _bounded(value: int, notes: Notes, span: str) -> int:
    if 0 <= value <= NANO_CEILING:
        return value
    raise notes.refuse(f"a time of {line(str(value), 30)} is before 1970 or after 2262", span)


def times(
    start: Any, end: Any, notes: Notes, span: str, *, due: str = "nanoseconds"
) -> tuple[int, int | None]:
    """Start and end; the end is None for a span that never ended."""
    return nanoseconds(start, notes, span, due=due), nanoseconds(end, notes, span, due=due) or None


# -- enums -----------------------------------------------------------------------------------------------

KINDS: tuple[OtelKind, ...] = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUSES: tuple[Literal["unset", "ok", "error"], ...] = ("unset", "ok", "error")


def otel_kind(value: Any) -> OtelKind:
    """``3``, ``"SPAN_KIND_CLIENT"``, ``"SpanKind.CLIENT"`` or ``"client"``."""
    if type(value) is int:
        return KINDS[value] if 0 <= value < len(KINDS) else "unspecified"
    if isinstance(value, str):
        name = value.rsplit(".", 1)[-1].lower().removeprefix("span_kind_")
        if name.isdecimal() and name.isascii() and len(name) == 1:
            return otel_kind(int(name))
        if name in KINDS:
            return name
    return "unspecified"


def status_code(value: Any) -> Literal["unset", "ok", "error"]:
    """``2``, ``"STATUS_CODE_ERROR"``, ``"ERROR"`` and the like."""
    if type(value) is int:
        return STATUSES[value] if 0 <= value < len(STATUSES) else "unset"
    if isinstance(value, str):
        name = value.rsplit(".", 1)[-1].lower().removeprefix("status_code_")
        if name in ("error", "2"):
            return "error"
        if name in ("ok", "1"):
            return "ok"
    return "unset"


def text_or_none(value: Any) -> str | None:
    """None for nothing and for the empty text, which formats use for "not set"."""
    return None if value is None or value == "" else str(value)


def note_size(span: Span, notes: Notes) -> None:
    """Say it where one attribute is so large that something else than text may be in it."""
    for key, value in span.attributes.items():
        if isinstance(value, str) and len(value) > HUGE:
            notes.say(
                f"attribute {line(key, 60)} holds {len(value) / 1e6:.1f} MB",
                f"span {line(span.name, 40)}",
                span.trace_id,
            )


def plain_attributes(value: Any, notes: Notes, span: str = "") -> Attributes:
    """Attributes that must be an object; nothing is an empty one."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return cast(Attributes, value)
    raise notes.refuse(f"attributes must be an object, not {kind_of(value)}", span)
