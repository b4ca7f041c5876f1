"""Cassettes that no longer fit what they were recorded from, found without running anything."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.matching import keys
from simulate.replay.matching.components import parts_of
from simulate.replay.matching.json_values import short_hash
from simulate.replay.matching.recordings import HttpRecording


@dataclass(frozen=True, slots=True)
class Stale:
    """A cassette, and why it should be recorded again."""

    folder: Path
    reasons: tuple[str, ...]


def watched(paths: Iterable[str | Path]) -> dict[str, str]:
    """Each file with the hash of its content, for the manifest; folders are walked."""
    found: dict[str, str] = {}
    for path in paths:
        target = Path(path)
        files = sorted(target.rglob("*")) if target.is_dir() else [target]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                found[_relative(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _relative(file: Path) -> str:
    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.resolve().as_posix()


def cassettes(root: str | Path) -> Iterator[Path]:
    """Every cassette folder at or below ``root``."""
    top = Path(root)
    if not top.exists():
        raise InputError("there is nothing here", where=str(root))
    for manifest in sorted(top.rglob("manifest.json")):
        if not any(part.startswith(".") for part in manifest.relative_to(top).parts):
            yield manifest.parent


def find_stale(
    root: str | Path,
    *,
    system: str | None = None,
    model: str | None = None,
    tools: Any = None,
    max_age: float | None = None,
) -> list[Stale]:
    """The cassettes below ``root`` whose watched files changed, whose system prompt, model or tools are not
    those given, or that are older than ``max_age`` days. One that cannot be read at all is stale, too."""
    found: list[Stale] = []
    for folder in cassettes(root):
        try:
            cassette = Cassette.load(folder, allow_partial=True)
        except InputError as error:
            found.append(Stale(folder, (error.message,)))
            continue
        reasons = [*_changed_files(cassette), *_changed_parts(cassette, system, model, tools)]
        reasons += _too_old(cassette, max_age)
        if cassette.manifest.get("key_version", keys.VERSION) != keys.VERSION:
            reasons.append(
                "its keys are of an older version (it still replays; a new recording is quicker to load)"
            )
        if not cassette.complete:
            reasons.append(f"it is partial: {cassette.manifest.get('ended')}")
        if reasons:
            found.append(Stale(folder, tuple(reasons)))
    return found


def _too_old(cassette: Cassette, max_age: float | None) -> Iterator[str]:
    if max_age is None:
        return
    began: Any = cassette.manifest.get("started_ns")
    if not isinstance(began, int):
        yield "nobody knows how old it is"
        return
    days = (time.time_ns() - began) / 86_400e9
    if days > max_age:
        yield f"it is {days:.0f} days old, more than {max_age:g}"


def _changed_files(cassette: Cassette) -> Iterator[str]:
    watch = cast("dict[str, str]", cassette.manifest.get("watch") or {})
    for name, expected in watch.items():
        path = Path(name)
        if not path.is_file():
            yield f"{name} is gone"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            yield f"{name} changed since it was recorded"


def _changed_parts(cassette: Cassette, system: str | None, model: str | None, tools: Any) -> Iterator[str]:
    calls = [one for one in cassette.http if one.components.get("history")]
    if system is not None and calls and not any(system.strip() in prompt for prompt in _prompts(calls)):
        yield "the system prompt changed"
    if model is not None and any(one.components.get("model") not in {"", model} for one in calls):
        yield f"the model is {sorted({one.components['model'] for one in calls})}, not {model!r}"
    if tools is not None and any(one.components.get("tools") not in {"", short_hash(tools)} for one in calls):
        yield "the tools changed"


def _prompts(calls: list[HttpRecording]) -> Iterator[str]:
    for one in calls:
        parts = parts_of(one.endpoint, one.body)
        for part in parts.system if parts else []:
            yield part if isinstance(part, str) else str(part.get("content") or part.get("text") or part)


def unmatched(root: str | Path, ids: Iterable[str]) -> list[str]:
    """The cassettes below ``root`` that no scenario has, and the scenarios without one, each in words.
    ``ids`` are those of all scenarios and cases."""
    wanted = set(ids)
    folders = {folder.relative_to(root).as_posix(): folder for folder in cassettes(root)}
    # the second trial of a scenario has a folder of its own
    strays = [name for name in folders if not {name, re.sub(r"-\d+$", "", name)} & wanted]
    return [
        *(f"{folders[name]}: no scenario has it" for name in strays),
        *(f"{name}: it has no cassette" for name in sorted(wanted - folders.keys())),
    ]
