"""An index of a folder of traces, for `trace find`: what a search asks of each, kept beside them.

It is asked for, never made by itself; and made anew, as a whole, when a file came, went or changed: a trace
may lie in several files.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from simulate.errors import TraceFileError
from simulate.model.shapes import is_object
from simulate.model.whole_file import write_whole
from simulate.trace.files.documents import sources
from simulate.trace.files.reader import iter_traces
from simulate.trace.find import KeptFacts, ReadFacts
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask

NAME = ".simulate-traces.json"
"""Hidden, so that it is none of the folder's traces."""
_FORM = 3


def indexed(
    folder: Path, *, tolerant: bool = False, skipped: list[TraceFileError] | None = None
) -> list[KeptFacts]:
    """The facts of every trace in the folder: from its index where that is current, else read and kept.

    Arguments and errors are those of `iter_traces`. A folder that cannot be written to is read each time."""
    state = _state(folder, tolerant)
    kept = _load(folder / NAME)
    if kept is None or kept["state"] != state:
        data = _made(folder, state, tolerant)
        with contextlib.suppress(OSError):
            write_whole(folder / NAME, data)
        kept = orjson.loads(data)  # so that what is read now and what is read later are the same
    if skipped is not None:
        skipped += [TraceFileError(message, where=where) for message, where in kept["skipped"]]
    return [KeptFacts.load(each) for each in kept["traces"]]


def _made(folder: Path, state: list[Any], tolerant: bool) -> bytes:
    left_out: list[TraceFileError] = []
    mask = SecretMask()
    traces = iter_traces(folder, tolerant=tolerant, skipped=left_out)
    facts = [mask.value(asdict(KeptFacts.of(ReadFacts(TraceReading(trace))))) for trace in traces]
    told = [[error.message, error.where] for error in left_out]
    return orjson.dumps({"state": state, "traces": facts, "skipped": told})


def _state(folder: Path, tolerant: bool) -> list[Any]:
    files = [Path(str(source)) for source in sources(folder)]
    stats = [(str(file.relative_to(folder)), file.stat()) for file in files]
    return [_FORM, tolerant, [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]]


def _load(path: Path) -> dict[str, Any] | None:
    try:
        found: Any = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not is_object(found):
        return None
    kept = found
    return kept if {"state", "traces", "skipped"} <= kept.keys() else None
