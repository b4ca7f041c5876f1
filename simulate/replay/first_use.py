"""Calls that an agent makes once a process, whichever of its conversations comes first: a token, its list of
tools, the embeddings of its index.

They were recorded with the conversation that came first then. In a replay another one may come first, or be
the only one; it is answered from there.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import cassettes
from simulate.replay.matching.endpoints import base_of, is_models, split_url
from simulate.replay.matching.recordings import HttpRecording, StreamRecording, ToolRecording
from simulate.replay.matching.rules import Rules

Recording = HttpRecording | ToolRecording
_UNTOLD = frozenset({"role", "type", "model", "object"})
"""Members of a body that say nothing about a conversation."""


@dataclass(frozen=True, slots=True)
class _Kept:
    recording: Recording
    folder: Path


class FirstUse:
    """The first-use calls of all cassettes below ``root``, each answered as often in this process as one
    conversation made it. A call that speaks of its conversation is none: it belongs to that one alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._asked: dict[str, Counter[Path | None]] = {}
        self._kept: dict[str, list[_Kept]] | None = None

    def played(self, key: str, folder: Path | None) -> None:
        """The conversation of ``folder`` makes this call, now, in this process."""
        with self._lock:
            self._asked.setdefault(key, Counter())[folder] += 1

    def answer(self, key: str, url: str | None, cassette: Cassette, notes: list[str]) -> Recording | None:
        """What another conversation was answered, if this call is made once a process and nobody has made it
        in this one; ``notes`` is told. ``url`` is None for a tool."""
        with self._lock:
            asked = self._asked.get(key, Counter()).total()
            for kept in self._all(cassette.rules(Rules())).get(key, ())[asked:]:
                if _same_service(kept.recording, url) and not speaks_of(kept.recording, cassette):
                    self._asked.setdefault(key, Counter())[cassette.folder] += 1
                    place = f"{kept.folder.name}/{kept.recording.place}"
                    notes.append(f"{kept.recording.asked} is made once a process: answered from {place}")
                    return kept.recording
        return None

    def made_by_another(self, recording: Recording | StreamRecording, cassette: Cassette) -> bool:
        """Whether another conversation of this process made this first-use call, so that nobody has to."""
        if isinstance(recording, StreamRecording):
            return False  # a connection is a conversation's own
        with self._lock:
            asked = self._asked.get(recording.key, Counter())
            others = asked.total() - asked[cassette.folder]
        return others > recording.ordinal and not speaks_of(recording, cassette)

    def _all(self, rules: Rules) -> dict[str, list[_Kept]]:
        if self._kept is None:
            self._kept = {}
            for folder in cassettes(self.root):
                cassette = Cassette.load(folder, allow_edited=True, allow_partial=True, rules=rules)
                for one in (*cassette.http, *cassette.tools):
                    before = self._kept.setdefault(one.key, [])
                    # as often as the conversation that made it most often
                    if one.ordinal >= len(before) and not speaks_of(one, cassette):
                        before.append(_Kept(one, folder))
        return self._kept


def _same_service(recording: Recording, url: str | None) -> bool:
    if isinstance(recording, ToolRecording) or url is None:
        return isinstance(recording, ToolRecording) and url is None
    base = base_of(recording.endpoint, recording.uri)
    return base == base_of(recording.endpoint, url) or (is_models(recording.uri) and is_models(url))


def speaks_of(recording: Recording, cassette: Cassette) -> bool:
    """Whether a call has anything in it that was said in the conversation; then it depends on it."""
    said = [_words(str(one.get("text") or "")) for one in cassette.conversation]
    for text in _texts(recording):
        words = _words(text)
        if any(_within(words, one) or _within(one, words) for one in said if one.strip()):
            return True
    return False


def _texts(recording: Recording) -> Iterator[str]:
    if isinstance(recording, ToolRecording):
        yield from _leaves(recording.arguments)
        return
    yield from _leaves(recording.body)
    _, path, pairs = split_url(recording.uri)
    yield from (value for _, value in pairs)
    # what names a resource, not what names a kind of them
    yield from (part for part in path.split("/") if re.search(r"\d", part))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            if name not in _UNTOLD:
                yield from _leaves(inner)
    elif isinstance(value, (list, tuple)):
        for inner in cast("list[Any]", value):
            yield from _leaves(inner)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def _words(text: str) -> str:
    found = re.findall(r"[^\W_]+", text.lower())
    return f" {' '.join(found)} "


def _within(one: str, other: str) -> bool:
    return len(one) > 4 and one in other
