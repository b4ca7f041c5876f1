"""One self-contained HTML page: our scripts and styles inside, data as inert JSON, nothing from a network.

Three walls stand between what an agent said and the reader's browser. Data lies in script elements of a
type that no browser runs, with every ``<`` escaped so that none can end its element. Our scripts put it on
the page as text only. And the page's content security policy names the hash of each of our own scripts and
styles: whatever else might find its way in neither runs nor loads anything.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any

from simulate.model.json_values import to_json
from simulate.model.text import line

_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; media-src {media}; "
    "base-uri 'none'; form-action {forms}"
)
_WITHOUT_SCRIPT = "This report draws itself with a script that is part of this file."


def page(
    title: str,
    data: Iterable[tuple[str, Any]],
    *,
    scripts: Sequence[str],
    styles: Sequence[str],
    media: str = "'none'",
    before: str = "",
    without_script: str = _WITHOUT_SCRIPT,
) -> Iterator[bytes]:
    """The page in pieces.

    ``before`` is HTML that stands above the application, such as the navigation of a server that shows the
    page; ``without_script`` is HTML for who runs no scripts. Both are put in as they are.

    ``data`` is ``(element id, JSON value)``; ``scripts`` and ``styles`` are names of files in
    ``assets/``; the last script starts the page. ``media`` is where sound may come from (a CSP source)."""
    script_texts = [asset(name) for name in scripts]
    style_text = "\n".join(asset(name) for name in styles)
    policy = _POLICY.format(
        scripts=" ".join(_hash(text) for text in script_texts), styles=_hash(style_text), media=media,
        forms="'self'" if before else "'none'",
    )  # fmt: skip
    yield (
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        '<meta name=referrer content="no-referrer">\n'
        f"<title>{html.escape(line(title))}</title>\n<style>{style_text}</style>\n</head>\n<body>\n"
        f"{before}<noscript>{without_script}</noscript>\n"
        '<div id="app"></div>\n'
    ).encode()
    for name, value in data:
        yield b'<script type="application/json" id="%s">' % html.escape(name).encode()
        yield inert(value)
        yield b"</script>\n"
    for text in script_texts:
        yield f"<script>{text}</script>\n".encode()
    yield b"</body>\n</html>\n"


def inert(value: Any) -> bytes:
    """JSON that cannot end the script element it lies in, and reads as the same value."""
    data = to_json(value)
    for char in ("<", ">", "&", "\u2028", "\u2029"):
        data = data.replace(char.encode(), f"\\u{ord(char):04x}".encode())
    return data


@cache
def asset(name: str) -> str:
    """The text of one file of ``assets/``."""
    return resources.files("simulate.interfaces.render").joinpath("assets", name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
