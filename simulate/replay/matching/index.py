"""The recordings of one conversation, found by key; each is given once."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable

from simulate.replay.matching.chat import contradicts
from simulate.replay.matching.endpoints import base_of
from simulate.replay.matching.recordings import HttpRecording, Recording, ToolRecording
from simulate.replay.matching.request import CanonicalRequest


class RecordingIndex:
    """What was recorded, and what of it was given; hold ``lock`` for anything that has to be one step."""

    def __init__(self, http: Iterable[HttpRecording], tools: Iterable[ToolRecording]) -> None:
        self.lock = threading.RLock()
        self.claim: Callable[[Recording], bool] = lambda _: True
        """Whether a recording may be given here: where several processes answer from one cassette, one of
        them gives it."""
        self.is_claimed: Callable[[Recording], bool] = lambda _: False
        self.order: list[Recording] = []
        """What was given, in the order in which it was asked for."""
        self.played: set[int] = set()
        """Also those that stood for another request, as the nearest."""
        self.bases: dict[str | None, str] = {}
        """The base URLs that were asked, each with an address there."""
        self._endpoints: dict[str, list[HttpRecording]] = {}
        self.names: dict[str, list[ToolRecording]] = {}
        self.exact: dict[str, str] = {}
        self._http: dict[tuple[str, str | None], list[HttpRecording]] = {}
        """By key, and by key and base URL."""
        self._tools: dict[str, list[ToolRecording]] = {}
        self._given: set[int] = set()
        self._counts: Counter[object] = Counter()
        for recording in http:
            if recording.exact:
                self.exact[recording.exact] = recording.key
            base = base_of(recording.endpoint, recording.uri)
            for index in {(recording.key, None), (recording.key, base)}:
                self._http.setdefault(index, []).append(recording)
            self.bases.setdefault(base, recording.uri)
            self._endpoints.setdefault(_of_any_model(recording.endpoint), []).append(recording)
        for tool in tools:
            self._tools.setdefault(tool.key, []).append(tool)
            self.names.setdefault(tool.name, []).append(tool)

    def near(self, endpoint: str) -> list[HttpRecording]:
        """What was asked of an endpoint, whichever model its path names."""
        return self._endpoints.get(_of_any_model(endpoint), [])

    def holds(self, key: str) -> bool:
        """Whether such a request was recorded; nothing is given."""
        return (key, None) in self._http

    def next_http(self, key: str, base: str | None = None) -> HttpRecording | None:
        """The next recording with this key; None when there is none left. Its turn is taken now.

        A base URL that the cassette knows is answered from what it answered; another one is taken to be where
        the same endpoint is now."""
        with self.lock:
            index = key, base if base in self.bases else None
            known = self._http.get(index, ())
            while self._counts[index] < len(known):
                recording = known[self._counts[index]]
                self._counts[index] += 1
                if id(recording) not in self._given and self.claim(recording):
                    self.play(recording)
                    return recording
            return None

    def next_chat(self, asked: CanonicalRequest) -> HttpRecording | None:
        """By its messages; a recording whose other parts are known must agree in those too."""
        with self.lock:
            for recording in self._http.get((asked.key, None), ()):
                if id(recording) not in self.played and not contradicts(recording.body, asked.body):
                    self.play(recording)
                    return recording
        return None

    def next_tool(self, key: str) -> ToolRecording | None:
        """The next call of a tool with this key; None when there is none left. Its turn is taken now."""
        with self.lock:
            known = self._tools.get(key, ())
            while self._counts[key] < len(known):
                tool = known[self._counts[key]]
                self._counts[key] += 1
                if self.claim(tool):
                    self.play(tool)
                    return tool
            return None

    def skip(self, tool: ToolRecording) -> None:
        """This call stands for one with another key, and is given to no other."""
        self._counts[tool.key] += 1
        self.play(tool)

    def take(self, recording: Recording) -> None:
        """It is given now, and no other process may give it."""
        self.claim(recording)
        self.play(recording)

    def play(self, recording: Recording) -> None:
        """It is given now."""
        self.played.add(id(recording))
        self._given.add(id(recording))
        self.order.append(recording)


def _of_any_model(endpoint: str) -> str:
    return re.sub(r"(?<= )(/models?/)[^/:]+", r"\1", endpoint)
