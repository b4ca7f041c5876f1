"""What can be replayed: a cassette, a folder of cassettes, or a file of production traces."""

from __future__ import annotations

from pathlib import Path

from simulate.errors import InputError, NotReplayable
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import cassettes
from simulate.replay.from_trace import cassette_of
from simulate.replay.matching.rules import Rules, default_rules
from simulate.trace.files.reader import read


def load_source(
    source: str | Path,
    *,
    partial: bool = False,
    allow_edited: bool = False,
    trace_id: str | None = None,
    rules: Rules | None = None,
) -> list[Cassette]:
    """The cassettes of ``source``; InputError or NotReplayable where there are none that can be played."""
    path = Path(source)
    rules = rules or default_rules()
    if path.is_dir():
        folders = list(cassettes(path))
        if not folders:
            raise InputError("there is no cassette here", where=str(path), hint="record one with --record")
        return [
            Cassette.load(folder, allow_edited=allow_edited, allow_partial=partial, rules=rules)
            for folder in folders
        ]
    if path.suffix in {".yaml", ".yml"}:
        return [Cassette.load(path, rules=rules)]
    return _from_traces(path, partial, trace_id, rules)


def _from_traces(path: Path, partial: bool, trace_id: str | None, rules: Rules) -> list[Cassette]:
    traces = read(path)
    if trace_id is not None:
        traces = [trace for trace in traces if trace.trace_id.startswith(trace_id)]
        if not traces:
            raise InputError(f"the file holds no trace {trace_id}", where=str(path))
    found: list[Cassette] = []
    refused: list[NotReplayable] = []
    for trace in traces:
        trace.source = trace.source or str(path)
        try:
            found.append(cassette_of(trace, rules=rules, partial=partial))
        except NotReplayable as error:
            refused.append(error)
    if not found:
        raise refused[0] if refused else InputError("the file holds no trace", where=str(path))
    lacking = [error for error in refused if "holds no model call" not in error.message]
    if lacking and not partial:
        raise lacking[0]
    return found
