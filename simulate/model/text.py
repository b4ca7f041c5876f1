"""Text as it is shown: shortened in one way, and safe: nothing that an agent says can steer a terminal or
reorder a line.

Control characters are shown, not dropped, so that a reader sees what the agent really sent: ESC becomes
``\\x1b``, a right-to-left override ``\\u202e``.
"""

from __future__ import annotations

import codecs
import math
from typing import TextIO, cast

import orjson

from simulate.model.json_values import plain

LIMIT = 2_000
"""Characters of one field that a report on a terminal shows."""

_HIDDEN = (
    *(code for code in range(0x20) if code not in (0x09, 0x0A)),
    *range(0x7F, 0xA0),  # DEL and the C1 controls: 0x9b starts an escape sequence on some terminals
    *(0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F)),  # invisible, and bidirectional overrides
    *(0x2028, 0x2029, 0x2060, *range(0x2066, 0x206A), 0xFEFF),
    *range(0xD800, 0xE000),  # half a surrogate pair cannot be encoded
    *range(0xE0000, 0xE0080),  # "tag" characters: invisible text
)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_SHOWN = {code: _escape(code) for code in _HIDDEN} | {0x09: "    "}


_NOTE = " … (99 more characters)"


def safe(text: object, limit: int | None = LIMIT) -> str:
    """Text over several lines, safe to print; what is cut off is counted. What is hardly longer than
    ``limit`` stays whole, since the note would take its place."""
    whole = text if isinstance(text, str) else str(text)
    cut = 0 if limit is None or len(whole) <= limit + len(_NOTE) else len(whole) - limit
    shown = whole[:limit] if cut else whole
    shown = shown.replace("\r\n", "\n").translate(_SHOWN)
    return f"{shown} … ({cut:,} more characters)" if cut else shown


def line(text: object, limit: int | None = 200) -> str:
    """Like ``safe``, on one line."""
    return safe(text, limit).replace("\n", "⏎ ")


_SPACES = {code: " " for code in range(0x3001) if chr(code).isspace()}


def folded(text: str) -> str:
    """For comparing: without upper case, and one blank for any white space.

    A list of its words would take twenty times the size of a long text."""
    text = text.casefold().translate(_SPACES)
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip(" ")


def shorten(text: str, most: int = 160) -> str:
    """At most ``most`` characters on one line, ending in … where something was cut off.

    >>> shorten("a long  sentence", 8)
    'a long…'
    """
    begins = " ".join(text[: 4 * most].split())
    text = begins if len(begins) > most else " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


IN_ASCII = "simulate-ascii"
"""A codec's way with what it cannot encode: signs that we write become what is nearest on a keyboard, and
everything else an escape such as ``\\u00e9``."""
_SIGNS = {
    "✓": "ok", "✗": "x", "○": "-", "→": "->", "←": "<-", "…": "...", "–": "-", "—": "-", "“": '"', "”": '"',
    "’": "'", "×": "x", "·": ".", "•": "*", "≥": ">=", "≤": "<=", "⏎": "/", "─": "-", "│": "|", "├": "|",
    "└": "`", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "✅": "ok", "❌": "x", "❔": "?", "▪": "*",
}  # fmt: skip


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    failed = cast("UnicodeEncodeError", error)
    signs = failed.object[failed.start : failed.end]
    return "".join(_SIGNS.get(sign) or _escape(ord(sign)) for sign in signs), failed.end


codecs.register_error(IN_ASCII, _in_ascii)


def write_what_fits(stream: TextIO, *, ascii_only: bool = False) -> None:
    """Let a stream write what its encoding (or ASCII alone) cannot show in other signs."""
    reconfigure = getattr(stream, "reconfigure", None)  # a stream that a test has put in its place has none
    if reconfigure is not None:
        reconfigure(**({"encoding": "ascii"} if ascii_only else {}), errors=IN_ASCII)


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "span"), counted(1200, "span")
    ('1 span', '1,200 spans')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def dollars(amount: float | None) -> str:
    """US dollars as a person reads them, small amounts with two digits that count.

    >>> dollars(12.5), dollars(0.0312), dollars(0.000149), dollars(None)
    ('$12.50', '$0.0312', '$0.00015', 'unknown')
    """
    if amount is None:
        return "unknown"
    if amount < 0:
        return f"-{dollars(-amount)}"
    if amount >= 1:
        return f"${amount:,.2f}"
    if amount == 0:
        return "$0"
    return f"${amount:.{max(4, 1 - math.floor(math.log10(amount)))}f}"


def compact(value: object, limit: int | None = 400) -> str:
    """Any value as compact JSON on one line; text without quotes."""
    if isinstance(value, str):
        return line(value, limit)
    return line(orjson.dumps(plain(value)).decode(), limit)
