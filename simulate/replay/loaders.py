"""What can be replayed: cassettes, folders of cassettes, or files of production traces."""

from __future__ import annotations

from pathlib import Path

from simulate.errors import InputError, NotReplayable
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import cassettes
from simulate.replay.from_trace import cassette_of
from simulate.replay.matching.rules import Rules, default_rules
from simulate.trace.conversations import ALL, Choice, read_conversations


def load_source(
    source: str | Path,
    *more: str | Path,
    choice: Choice = ALL,
    partial: bool = False,
    allow_edited: bool = False,
    tolerant: bool = False,
    rules: Rules | None = None,
) -> list[Cassette]:
    """The cassettes of these sources: of a production trace file, one for each conversation that ``choice``
    takes. Raises InputError or NotReplayable where there are none that can be played."""
    rules = rules or default_rules()
    found: list[Cassette] = []
    traces: list[Path] = []
    for path in (Path(source), *map(Path, more)):
        folders = list(cassettes(path)) if path.is_dir() else []
        if path.suffix in {".yaml", ".yml"}:
            found.append(Cassette.load(path, rules=rules))
        elif path.is_dir() and (folders or not any(path.iterdir())):
            if not folders:
                hint = "record one with --record"
                raise InputError("there is no cassette here", where=str(path), hint=hint)
            found += [
                Cassette.load(folder, allow_edited=allow_edited, allow_partial=partial, rules=rules)
                for folder in folders
            ]
        else:
            traces.append(path)
    return found + (_from_traces(traces, choice, partial, tolerant, rules) if traces else [])


def _from_traces(
    paths: list[Path], choice: Choice, partial: bool, tolerant: bool, rules: Rules
) -> list[Cassette]:
    where = ", ".join(map(str, paths))
    found: list[Cassette] = []
    refused: list[NotReplayable] = []
    for trace in read_conversations(*paths, choice=choice, tolerant=tolerant):
        trace.source = trace.source or where
        try:
            found.append(cassette_of(trace, rules=rules, partial=partial))
        except NotReplayable as error:
            refused.append(error)
    if not found:
        raise refused[0] if refused else InputError("the file holds no trace", where=where)
    lacking = [error for error in refused if "holds no model call" not in error.message]
    if lacking and not partial:
        raise lacking[0]
    return found
