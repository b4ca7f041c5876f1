"""One conversation that is replayed: answered from its cassette, with an account of what was asked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from simulate.determinism.ids import unpinned
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.python_values import without_types
from simulate.replay.chat_wires import answer_in
from simulate.replay.intercept.toolbox import InterceptedTools
from simulate.replay.intercept.traffic import HttpExchange, NotRecorded, ToolExchange
from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.chat import contradicts, told_by_both
from simulate.replay.matching.date_drift import Moment, local_ahead, only_time_passed, real_ns
from simulate.replay.matching.divergence import (
    Divergence,
    Policy,
    explain_base,
    explain_request,
    explain_tool,
    never_asked,
    out_of_order,
    refusal,
)
from simulate.replay.matching.endpoints import base_of, is_models
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import CanonicalRequest, HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import RecordSession, current_span_id
from simulate.replay.report import ReplayReport
from simulate.tools import Toolbox, ToolFailed
from simulate.trace.capture import simulator_tracing


class ReplaySession:
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
    ) -> None:
        self.cassette = cassette
        self.rules = cassette.rules(rules)
        self.policy: Policy = policy
        self.paced = pace == "recorded"
        self.allow = allow or set()
        self.live_budget = live_budget
        self.live_writes = live_writes or set()
        self.recorder: RecordSession | None = None
        """Keeps what goes live, where the policy lets something."""
        self.turn: int | None = None
        self.turn_of: Callable[[], int | None] = lambda: self.turn
        """Which turn it is, where something else counts them."""
        self.outside = False
        """The agent runs in another process: tools that it runs itself are out of our sight."""
        self.live_calls = 0
        self.refused: list[str] = []
        self.notes: list[str] = []
        self.divergences: list[Divergence] = []
        self.side_cassette: str | None = None
        self.tainted = 0
        self.later: dict[str, None] = {}
        """Dates and times of the recording, and those that stand in their places now."""
        self._pins: Toolbox | None = None
        """What answers tools without asking the cassette: the scenario's pins."""
        self._order: list[HttpRecording | ToolRecording] = []
        self._played: set[int] = set()
        """Also those that stood for another request, as the nearest."""
        self._given: set[int] = set()
        self._counts: Counter[object] = Counter()
        self._lock = threading.Lock()
        self._index(cassette)

    def _index(self, cassette: Cassette) -> None:
        self._http: dict[tuple[str, str | None], list[HttpRecording]] = {}
        """By key, and by key and base URL."""
        self._bases: dict[str | None, str] = {}
        """The base URLs that were asked, each with an address there."""
        self._endpoints: dict[str, list[HttpRecording]] = {}
        self._tools: dict[str, list[ToolRecording]] = {}
        self._names: dict[str, list[ToolRecording]] = {}
        self._exact = {one.exact: one.key for one in cassette.http if one.exact}
        for recording in cassette.http:
            base = base_of(recording.endpoint, recording.uri)
            for index in {(recording.key, None), (recording.key, base)}:
                self._http.setdefault(index, []).append(recording)
            self._bases.setdefault(base, recording.uri)
            self._endpoints.setdefault(recording.endpoint, []).append(recording)
        for tool in cassette.tools:
            self._tools.setdefault(tool.key, []).append(tool)
            self._names.setdefault(tool.name, []).append(tool)

    @property
    def stopped(self) -> bool:
        """The policy is ``stop`` and something diverged: the conversation should end here."""
        return self.policy == "stop" and bool(self.divergences)

    # HTTP

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        """The response to a request, or what the policy makes of one that was not recorded."""
        if self._lets_own_out() and not self.knows(request):
            return None
        if self.stopped:
            return HttpExchange(refusal("the replay stopped at its first divergence", self.divergences[0]))
        base = request.base(self.rules)
        if base is not None and self._is_elsewhere(base, request.url):
            return self._missed(request.canonical(self.rules), request, base)
        known_as = self._exact.get(request.exact(self.rules))
        recording = self._next(known_as, base) if known_as is not None else None
        if recording is not None:
            return HttpExchange(recording.response, self.paced)
        asked = self._as_matched(request)
        recording = self._next_chat(asked) if asked.endpoint == CHAT else self._next(asked.key, base)
        if recording is not None:
            return HttpExchange(self._response(recording, request), self.paced)
        return self._missed(asked, request)

    def _is_elsewhere(self, base: str, url: str) -> bool:
        """Whether a request goes to a base URL for which nothing that was recorded may answer."""
        if self.cassette.match != "http" or base in self._bases:
            return False
        known = (uri for recorded, uri in self._bases.items() if recorded is not None)
        return not is_models(url) and not any(map(is_models, known))

    def knows(self, request: HttpRequest) -> bool:
        """Whether the cassette holds such a request; nothing is played."""
        return (self._as_matched(request).key, None) in self._http

    def _as_matched(self, request: HttpRequest) -> CanonicalRequest:
        """A request in the form that this cassette is matched by: a trace's by its messages alone."""
        chat = request.as_chat(self.rules) if self.cassette.match == "chat" else None
        return chat or request.canonical(self.rules)

    def _next(self, key: str, base: str | None = None) -> HttpRecording | None:
        """The next recording with this key; None when there is none left. Its turn is taken now.

        A base URL that the cassette knows is answered from what it answered; another one is taken to be where
        the same endpoint is now."""
        with self._lock:
            index = key, base if base in self._bases else None
            known = self._http.get(index, ())
            while self._counts[index] < len(known):
                recording = known[self._counts[index]]
                self._counts[index] += 1
                if id(recording) not in self._given:
                    self._play(recording)
                    return recording
            return None

    @property
    def lists_models(self) -> bool:
        """Whether ``GET /v1/models`` was recorded; else a list of the recorded models has to do."""
        return any(endpoint.endswith("/models") for endpoint in self._endpoints)

    def _next_chat(self, asked: CanonicalRequest) -> HttpRecording | None:
        """By its messages; a recording whose other parts are known must agree in those too."""
        with self._lock:
            for recording in self._http.get((asked.key, None), ()):
                if id(recording) not in self._played and not contradicts(recording.body, asked.body):
                    self._play(recording)
                    return recording
        return None

    def _response(self, recording: HttpRecording, request: HttpRequest) -> HttpResponse:
        if recording.endpoint != CHAT:
            return recording.response
        return answer_in(request.url, request.body, recording)

    def _play(self, recording: HttpRecording | ToolRecording) -> None:
        self._played.add(id(recording))
        self._given.add(id(recording))
        self._order.append(recording)
        if self.divergences:
            self.tainted += 1

    def _missed(
        self, asked: CanonicalRequest, request: HttpRequest, elsewhere: str | None = None
    ) -> HttpExchange:
        candidates = self._endpoints.get(asked.endpoint, [])
        with self._lock:
            if elsewhere is None:
                divergence = explain_request(asked, candidates, self._played)
            else:
                divergence = explain_base(asked, candidates, elsewhere)
            nearest = divergence.recording if elsewhere is None else None
            if isinstance(nearest, HttpRecording) and self._only_later(nearest, nearest.body, asked.body):
                self._play(nearest)
                return HttpExchange(self._response(nearest, request), self.paced)
            divergence.span_id, divergence.by = current_span_id(), simulator_tracing.calling()
            self.note(divergence)
            if self.policy == "nearest" and isinstance(nearest, HttpRecording):
                self._played.add(id(nearest))
                self.tainted += 1
                return HttpExchange(self._response(nearest, request), self.paced)
        if self.recorder is not None and self._may_go_live():
            return self.recorder.begin(request)
        return HttpExchange(refusal(str(divergence), divergence))

    def in_flight(self) -> bool:
        """Only what went live can be."""
        return self.recorder is not None and self.recorder.in_flight()

    def may_connect(self) -> bool:
        """The policy lets this conversation go live, and counts."""
        return bool(self.live_calls) or self._lets_own_out()

    def _lets_own_out(self) -> bool:
        """A persona that takes over, and a judge who compares, ask models of their own: none of the agent's
        business, so neither counted nor kept."""
        return simulator_tracing.calling() is not None and self.policy == "simulate"

    def _only_later(self, one: HttpRecording | ToolRecording, then: Any, now: Any) -> bool:
        """Whether a recording stands for this request, too, which differs by the date and time it tells."""
        began: Any = self.cassette.manifest.get("started_ns")
        if id(one) in self._played or not isinstance(began, int):
            return False
        if isinstance(one, HttpRecording) and one.endpoint == CHAT:
            now = told_by_both(then, now)
        recorded = Moment.of(began + int(one.start * 1e6), self.cassette.manifest.get("utc_ahead", 0))
        ns = real_ns()
        passed = only_time_passed(then, now, recorded, Moment.of(ns, local_ahead(ns)))
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

    def note(self, divergence: Divergence) -> None:
        """Something is not as recorded, here and now."""
        divergence.turn = self.turn_of()
        divergence.tainted = bool(self.divergences)
        self.divergences.append(divergence)

    # tools

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        """The recorded call of a tool, how it diverges, or leave to run it where the policy gives it."""
        found = self._tool(name, arguments)
        if isinstance(found, ToolRecording):
            return ToolExchange(found)
        # an MCP server is not even started in a replay
        if self.recorder is None or source == "mcp":
            return ToolExchange(divergence=found)
        if write and name not in self.live_writes:
            self.notes.append(
                f"the tool {name} writes, so it did not run; name it under live writes to let it"
            )
        elif self._may_go_live():
            return self.recorder.begin_tool(name, arguments, write=write)
        return ToolExchange(divergence=found)

    def _tool(self, name: str, arguments: Any) -> ToolRecording | Divergence:
        if self.stopped:
            return self.divergences[0]
        key = call_key(name, arguments, self.rules)
        with self._lock:
            ordinal = self._counts[key]
            self._counts[key] += 1
            known = self._tools.get(key, ())
            if ordinal < len(known):
                self._play(known[ordinal])
                return known[ordinal]
            value = self.rules.value(plain(arguments))
            divergence = explain_tool(name, value, key, self._names.get(name, []), self._played)
            nearest = divergence.recording
            if isinstance(nearest, ToolRecording) and self._only_later(nearest, nearest.arguments, value):
                self._counts[nearest.key] += 1
                self._play(nearest)
                return nearest
            self.note(divergence)
            if self.policy == "nearest" and isinstance(nearest, ToolRecording):
                self._played.add(id(nearest))
                return nearest
        return divergence

    def again(self, one: HttpRecording | ToolRecording) -> HttpRecording | ToolRecording | Divergence | None:
        """What stands here for a request of another recording; None where it diverges."""
        if isinstance(one, ToolRecording):
            return self._tool(one.name, one.arguments)
        found = self._next(one.key)
        if found is None:
            with self._lock:
                asked = CanonicalRequest(one.endpoint, one.query, "json", one.body, one.key)
                self.note(explain_request(asked, self._endpoints.get(one.endpoint, []), self._played))
        return found

    def handed(self, name: str, arguments: dict[str, Any]) -> Any:
        """What a tool gave that the agent handed to its caller, as JSON; ToolFailed where it failed."""
        found = self._tool(name, arguments)
        if isinstance(found, Divergence):
            raise NotRecorded(found)
        if found.error is not None:  # whatever its class was: nobody here would know how to catch it
            raise ToolFailed(str(found.error.get("message", "")))
        return without_types(found.result)

    def toolbox(self, inner: Toolbox | None = None) -> Toolbox:
        """The toolbox that answers from the cassette; ``inner`` holds the scenario's pins."""
        self._pins = inner
        return InterceptedTools(self, inner)

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
            if isinstance(one, ToolRecording) and (self.outside or self._is_pinned(one.name))
        ]
        left = [one for one in left if one not in unseen]
        notes = list(self.notes)
        if self.later:
            told = ", ".join(list(self.later)[:4]) + (" …" if len(self.later) > 4 else "")
            notes.append(f"the agent tells the time, which has passed: {told}; answered as recorded")
        if self.divergences and not self.outside:
            notes += unpinned()
        if names := ", ".join(sorted({one.name for one in unseen if not self._is_pinned(one.name)})):
            notes.append(
                f"{names}: run by the agent's own process, so not answered from the recording; what they gave"
                " is compared in the next request"
            )
        divergences += [
            never_asked(one, tainted=bool(self.divergences))
            for one in sorted(left, key=lambda each: each.start)
        ]
        reordered = out_of_order(self._order)
        verdict = divergences[0].verdict if divergences else ("reordered" if reordered else "identical")
        first = divergences[0] if divergences else reordered
        unmet = ", ".join(path for path in self.rules.ignore if path not in self.rules.met)
        if unmet:
            notes.append(f"nothing to ignore at {unmet}: no request has it")
        return ReplayReport(
            verdict=verdict,
            first=first,
            divergences=divergences,
            played=len(self._order),
            recorded=len(self.cassette) - len(unseen),
            unplayed=[f"{one.place}: {one.asked.removeprefix('tool ')}" for one in left],
            tainted=self.tainted,
            live_calls=self.live_calls,
            refused=list(self.refused),
            policy=self.policy,
            notes=notes,
            side_cassette=self.side_cassette,
        )

    def _is_pinned(self, tool: str) -> bool:
        return self._pins is not None and self._pins.answers(tool)
