"""Answers a replayed conversation from its cassette, and keeps account of what was asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from simulate.determinism.ids import unpinned
from simulate.replay.cassette.cassette import Cassette, Recording, Reply, ToolRecording
from simulate.replay.matching import key as keys
from simulate.replay.matching.chat import (
    ENDPOINT,
    chat_key,
    contradicts,
    form_of_request,
    is_chat,
    told_by_both,
)
from simulate.replay.matching.date_drift import only_time_passed, real_ns
from simulate.replay.matching.divergence import Divergence, Policy, explain_request, explain_tool, refusal
from simulate.replay.matching.key import Canonical, Rules
from simulate.replay.report import ReplayReport
from simulate.trace.capture import simulator_tracing

if TYPE_CHECKING:
    from simulate.replay.session import Exchange, Recorder
    from simulate.tools import Toolbox


class Player:
    """The recordings of one conversation, indexed by key; each is given once."""

    replaying = True

    def __init__(
        self,
        cassette: Cassette,
        rules: Rules,
        *,
        policy: Policy = "fail",
        pace: Literal["instant", "recorded"] = "instant",
        allow: set[str] | None = None,
        live_budget: int = 100,
        live_writes: set[str] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.cassette = cassette
        self.rules = rules
        self.policy: Policy = policy
        self.paced = pace == "recorded"
        self.allow = allow or set()
        self.live_budget = live_budget
        self.live_writes = live_writes or set()
        self.recorder = recorder
        self.turn: int | None = None
        self.turn_of: Callable[[], int | None] = lambda: self.turn
        """Which turn it is, where something else counts them."""
        self.outside = False
        """The agent runs in another process: tools that it runs itself are out of our sight."""
        self.pinned: set[str] = set()
        """Tools that the scenario answers; it need not ask the cassette for them."""
        self.live_calls = 0
        self.refused: list[str] = []
        self.notes: list[str] = []
        self.divergences: list[Divergence] = []
        self.side_cassette: str | None = None
        self.child_log: Path | None = None
        """Where child processes note what was refused to them."""
        self.tainted = 0
        self.later: dict[str, None] = {}
        """Dates and times of the recording, and those that stand in their places now."""
        self._order: list[Recording | ToolRecording] = []
        self._played: set[int] = set()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._index(cassette)

    def _index(self, cassette: Cassette) -> None:
        self._http: dict[str, list[Recording]] = {}
        self._endpoints: dict[str, list[Recording]] = {}
        self._tools: dict[str, list[ToolRecording]] = {}
        self._names: dict[str, list[ToolRecording]] = {}
        self._exact = {one.exact: one.key for one in cassette.http if one.exact}
        for recording in cassette.http:
            self._http.setdefault(recording.key, []).append(recording)
            self._endpoints.setdefault(recording.endpoint, []).append(recording)
        for tool in cassette.tools:
            self._tools.setdefault(tool.key, []).append(tool)
            self._names.setdefault(tool.name, []).append(tool)

    @property
    def stopped(self) -> bool:
        """The policy is ``stop`` and something diverged: the conversation should end here."""
        return self.policy == "stop" and bool(self.divergences)

    # HTTP

    def begin(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """The reply of a request, or what the policy makes of one that was not recorded."""
        from simulate.replay.session import Exchange

        if self.stopped:
            return Exchange(reply=refusal("the replay stopped at its first divergence", self.divergences[0]))
        known_as = self._exact.get(keys.exact(method, url, headers, body, self.rules))
        if known_as is not None:
            recording = self._next(known_as)
            if recording is not None:
                return Exchange(reply=recording.reply, paced=self.paced)
        request = keys.canonical(method, url, headers, body, self.rules)
        if self.cassette.match == "chat" and is_chat(request.endpoint):
            request, recording = self._find_chat(request)
        else:
            recording = self._next(request.key)
        if recording is not None:
            return Exchange(reply=self._reply(recording, url, body), paced=self.paced)
        return self._missed(request, method, url, headers, body)

    def _next(self, key: str) -> Recording | None:
        """The next recording with this key; None when there is none left. Its turn is taken now."""
        with self._lock:
            ordinal = self._counts[key]
            known = self._http.get(key, ())
            if ordinal >= len(known):
                return None
            self._counts[key] += 1
            self._play(known[ordinal])
            return known[ordinal]

    def knows(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the cassette holds such a request; nothing is played."""
        request = keys.canonical(method, url, headers, body, self.rules)
        if self.cassette.match == "chat" and is_chat(request.endpoint):
            form = form_of_request(request.endpoint, request.body, self.rules)
            return form is not None and chat_key(form) in self._http
        return request.key in self._http

    @property
    def lists_models(self) -> bool:
        """Whether ``GET /v1/models`` was recorded; else a list of the recorded models has to do."""
        return any(endpoint.endswith("/models") for endpoint in self._endpoints)

    def _find_chat(self, request: Canonical) -> tuple[Canonical, Recording | None]:
        """By its messages; a recording whose other parts are known must agree in those too."""
        form = form_of_request(request.endpoint, request.body, self.rules) or {"history": []}
        key = chat_key(form)
        request = Canonical(ENDPOINT, (), "json", form, key)
        with self._lock:
            for recording in self._http.get(key, ()):
                if id(recording) not in self._played and not contradicts(recording.body, form):
                    self._play(recording)
                    return request, recording
        return request, None

    def _reply(self, recording: Recording, url: str, body: bytes) -> Reply:
        if recording.endpoint != ENDPOINT:
            return recording.reply
        from simulate.replay.serving.answers import answer_in

        return answer_in(url, body, recording)

    def _play(self, recording: Recording | ToolRecording) -> None:
        self._played.add(id(recording))
        self._order.append(recording)
        if self.divergences:
            self.tainted += 1

    def _missed(
        self, request: Canonical, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> Exchange:
        from simulate.replay.session import Exchange, span_id

        candidates = self._endpoints.get(request.endpoint, [])
        with self._lock:
            divergence = explain_request(request, candidates, self._played)
            recording = divergence.recording
            if isinstance(recording, Recording) and self._only_later(recording, recording.body, request.body):
                self._counts[recording.key] += 1
                self._play(recording)
                return Exchange(reply=self._reply(recording, url, body), paced=self.paced)
            divergence.span_id, divergence.by = span_id(), simulator_tracing.calling()
            self._note(divergence)
        if self.policy == "nearest" and isinstance(divergence.recording, Recording):
            with self._lock:
                self._played.add(id(divergence.recording))
                self.tainted += 1
            return Exchange(reply=self._reply(divergence.recording, url, body), paced=self.paced)
        if self._may_go_live() and self.recorder is not None:
            return self.recorder.begin(method, url, headers, body)
        return Exchange(reply=refusal(str(divergence), divergence))

    def lets_own_out(self) -> bool:
        """A persona that takes over, and a judge who compares, ask models of their own: none of the agent's
        business, so neither counted nor kept."""
        return simulator_tracing.calling() is not None and self.policy == "simulate"

    def _only_later(self, one: Recording | ToolRecording, then: Any, now: Any) -> bool:
        """Whether a recording stands for this request, too, which differs by the date and time it tells."""
        began: Any = self.cassette.manifest.get("started_ns")
        if id(one) in self._played or not isinstance(began, int):
            return False
        if isinstance(one, Recording) and one.endpoint == ENDPOINT:
            now = told_by_both(then, now)
        passed = only_time_passed(then, now, began + int(one.start * 1e6), real_ns())
        self.later.update(dict.fromkeys(map(str, passed or ())))
        return passed is not None

    def _may_go_live(self) -> bool:
        if self.policy not in {"live", "simulate"}:
            return False
        with self._lock:
            if self.live_calls >= self.live_budget:
                self.notes.append(f"the budget of {self.live_budget} live calls is used up")
                return False
            self.live_calls += 1
            return True

    def _note(self, divergence: Divergence) -> None:
        divergence.turn = self.turn_of()
        divergence.tainted = bool(self.divergences)
        self.divergences.append(divergence)

    # tools

    def tool(self, name: str, arguments: Any) -> ToolRecording | Divergence:
        """The recorded call of a tool, or how it diverges."""
        if self.stopped:
            return self.divergences[0]
        key = keys.call_key(name, arguments, self.rules)
        with self._lock:
            ordinal = self._counts[key]
            self._counts[key] += 1
            known = self._tools.get(key, ())
            if ordinal < len(known):
                self._play(known[ordinal])
                return known[ordinal]
            candidates = self._names.get(name, [])
            value = self.rules.value(keys.plain(arguments))
            divergence = explain_tool(name, value, key, candidates, self._played)
            tool = divergence.recording
            if isinstance(tool, ToolRecording) and self._only_later(tool, tool.arguments, value):
                self._counts[tool.key] += 1
                self._play(tool)
                return tool
            self._note(divergence)
            if self.policy == "nearest" and isinstance(divergence.recording, ToolRecording):
                self._played.add(id(divergence.recording))
                return divergence.recording
        return divergence

    def again(self, one: Recording | ToolRecording) -> Recording | ToolRecording | Divergence | None:
        """What stands here for a request of another recording; None where it diverges."""
        if isinstance(one, ToolRecording):
            return self.tool(one.name, one.arguments)
        found = self._next(one.key)
        if found is None:
            with self._lock:
                request = Canonical(one.endpoint, one.query, "json", one.body, one.key)
                self._note(explain_request(request, self._endpoints.get(one.endpoint, []), self._played))
        return found

    def handed(self, name: str, arguments: dict[str, Any]) -> Any:
        """What a tool gave that the agent handed to its caller."""
        from simulate.replay.intercept.tool_calls import NotRecorded, given

        found = self.tool(name, arguments)
        if isinstance(found, Divergence):
            raise NotRecorded(found)
        return given(found)

    def may_run_live(self, name: str, *, write: bool) -> bool:
        """Whether the policy lets this tool run for real; one that writes must be named."""
        if write and name not in self.live_writes:
            return False
        return self._may_go_live()

    def toolbox(self, inner: Toolbox | None = None) -> Toolbox:
        """The toolbox that answers from the cassette; ``inner`` holds the scenario's pins."""
        from simulate.replay.intercept.tool_calls import ReplayedTools

        self.pinned = set(getattr(inner, "pins", ()))
        return ReplayedTools(self, inner)

    # account

    def refuse(self, what: str) -> None:
        """Something tried to get past the replay."""
        with self._lock:
            if what not in self.refused:
                self.refused.append(what)

    def finish(self) -> None:
        """The conversation is over; tells an extra call from one that drifted."""
        for divergence in self.divergences:
            if divergence.verdict == "drifted" and divergence.recording in self._order:
                divergence.verdict = "never_recorded"
                divergence.component = "extra call"
                divergence.components = ["extra call"]

    def report(self) -> ReplayReport:
        """What it came to so far; complete once the conversation is over."""
        divergences = list(self.divergences)
        claimed = {id(one.recording) for one in divergences if one.verdict == "drifted"}
        left = [
            one
            for one in (*self.cassette.http, *self.cassette.tools)
            if id(one) not in self._played and id(one) not in claimed and not self.stopped
        ]
        unseen = [
            one
            for one in left
            if isinstance(one, ToolRecording) and (self.outside or one.name in self.pinned)
        ]
        left = [one for one in left if one not in unseen]
        notes = list(self.notes)
        if self.later:
            told = ", ".join(list(self.later)[:4]) + (" …" if len(self.later) > 4 else "")
            notes.append(f"the agent tells the time, which has passed: {told}; answered as recorded")
        if self.divergences and not self.outside:
            notes += unpinned()
        if names := ", ".join(sorted({one.name for one in unseen if one.name not in self.pinned})):
            notes.append(
                f"{names}: run by the agent's own process, so not answered from the recording; what they gave"
                " is compared in the next request"
            )
        divergences += [self._missing(one) for one in sorted(left, key=lambda each: each.start)]
        reordered = self._reordered()
        verdict = divergences[0].verdict if divergences else ("reordered" if reordered else "identical")
        first = divergences[0] if divergences else reordered
        return ReplayReport(
            verdict=verdict,
            first=first,
            divergences=divergences,
            played=len(self._order),
            recorded=len(self.cassette) - len(unseen),
            unplayed=[
                f"{one.place}: {one.endpoint if isinstance(one, Recording) else one.name}" for one in left
            ],
            tainted=self.tainted,
            live_calls=self.live_calls,
            refused=list(self.refused),
            policy=self.policy,
            notes=notes,
            side_cassette=self.side_cassette,
        )

    def _missing(self, one: Recording | ToolRecording) -> Divergence:
        """What was recorded and nobody asked for."""
        asked = one.endpoint if isinstance(one, Recording) else f"tool {one.name}"
        return Divergence(
            "unplayed",
            asked,
            "missing call",
            ["missing call"],
            turn=one.turn,
            nearest=one.place,
            key=one.key,
            tainted=bool(self.divergences),
            recording=one,
        )

    def _reordered(self) -> Divergence | None:
        """A call that had ended before another one of its task or thread began, and now comes after it."""
        latest: dict[int, float] = {}
        for one in self._order:
            if not isinstance(one, Recording) or one.lane < 0:
                continue
            if one.end < latest.get(one.lane, float("-inf")):
                return Divergence(
                    "reordered",
                    one.endpoint,
                    "order",
                    ["order"],
                    turn=one.turn,
                    nearest=one.place,
                    key=one.key,
                )
            latest[one.lane] = max(latest.get(one.lane, 0.0), one.start)
        return None
