"""Results for machines, into a file or onto standard output."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from simulate.model.json_values import plain, to_json
from simulate.model.whole_file import write_whole


def write_json(value: Any, target: str | None, *, indent: bool = False) -> None:
    """Write any value as JSON into a file, or for ``-`` onto standard output; nowhere for None."""
    if target is not None:
        data = json.dumps(plain(value), indent=2, ensure_ascii=False).encode() if indent else to_json(value)
        write_bytes(data + b"\n", target)


def write_bytes(data: bytes, target: str, stream: IO[str] | None = None) -> None:
    """Write bytes into a file, whole or not at all; ``-`` is ``stream``, standard output unless given."""
    if target != "-":
        write_whole(target, data)
        return
    out = sys.stdout if stream is None else stream
    out.flush()
    # UTF-8 whatever the terminal's encoding; a stream without bytes gets text
    binary = getattr(out, "buffer", None)
    if binary is None:
        out.write(data.decode())
    else:
        binary.write(data)
        binary.flush()
