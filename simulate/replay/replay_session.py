"""One conversation that is replayed: answered from its cassette, with an account of what was asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from simulate.determinism.ids import unpinned
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.python_values import without_types
from simulate.replay.chat_wires import answer_in
from simulate.replay.first_use import FirstUse
from simulate.replay.intercept.order import RecordedOrder, Steps
from simulate.replay.intercept.streams import StreamPlayer, StreamRecorder
from simulate.replay.intercept.toolbox import InterceptedTools
from simulate.replay.intercept.traffic import HttpExchange, NotRecorded, ToolExchange
from simulate.replay.matching.chat import ENDPOINT as CHAT
from simulate.replay.matching.divergence import (
    Divergence,
    JsonChange,
    Pace,
    Policy,
    explain_base,
    explain_request,
    explain_tool,
    never_asked,
    out_of_order,
    refusal,
)
from simulate.replay.matching.endpoints import is_models
from simulate.replay.matching.index import RecordingIndex
from simulate.replay.matching.json_values import plain
from simulate.replay.matching.keys import call_key
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import CanonicalRequest, HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import RecordSession, current_span_id
from simulate.replay.replayed_streams import ReplayedStreams
from simulate.replay.report import ReplayReport
from simulate.replay.time_passed import TimePassed
from simulate.tools import Toolbox, ToolFailed, marked
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
        pace: Pace = "ordered",
        allow: set[str] | None = None,
        live_budget: int = 100,
        live_writes: set[str] | None = None,
        first_use: FirstUse | None = None,
    ) -> None:
        self.cassette = cassette
        self.rules = cassette.rules(rules)
        self.policy: Policy = policy
        self.pace: Pace = pace
        self.allow = allow or set()
        self.live_budget = live_budget
        self.live_writes = live_writes or set()
        self.first_use = first_use
        self.recorder: RecordSession | None = None
        """Keeps what goes live, where the policy lets something."""
        self.turn: int | None = None
        self.turn_of: Callable[[], int | None] = lambda: self.turn
        """Which turn it is, where something else counts them."""
        self.outside = False  # whether the agent runs in another process, and its tools with it
        self.live_calls = self.tainted = 0
        self.refused, self.notes = list[str](), list[str]()
        self.divergences: list[Divergence] = []
        self.side_cassette: str | None = None
        self.elsewhere: set[str] = set()
        """What processes of the agent were given themselves, by its place."""
        self._time = TimePassed(cassette.manifest)
        self._served: set[str] = set()
        self._pins: Toolbox | None = None
        """What answers tools without asking the cassette: the scenario's pins."""
        self.kept = RecordingIndex(cassette.http, cassette.tools)
        self._together: RecordedOrder | None = None
        self.streams = ReplayedStreams(
            cassette.streams,
            self.rules,
            paced=pace == "recorded",
            goes_on=policy == "nearest",
            take=self.kept.take,
            elsewhere=lambda one: self.kept.is_claimed(one),
            note=self.note,
            live=self._live_stream,
            only_later=self._time.explains,
        )

    @property
    def stopped(self) -> bool:
        """The policy is ``stop`` and something diverged: the conversation should end here."""
        return self.policy == "stop" and bool(self.divergences)

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        """The response to a request, or what the policy makes of one that was not recorded."""
        if self._lets_own_out() and not self.knows(request):
            return None
        if self.stopped:
            return HttpExchange(refusal("the replay stopped at its first divergence", self.divergences[0]))
        base = request.base(self.rules)
        if base is not None and self._is_elsewhere(base, request.url):
            asked = request.canonical(self.rules)
            return self._first_use(asked, request.url) or self._missed(asked, request, base)
        known_as = self.kept.exact.get(request.exact(self.rules))
        recording = self.kept.next_http(known_as, base) if known_as is not None else None
        if recording is not None:
            return self._answered(recording, recording.response)
        asked = self._as_matched(request)
        is_chat = asked.endpoint == CHAT
        recording = self.kept.next_chat(asked) if is_chat else self.kept.next_http(asked.key, base)
        if recording is not None:
            return self._answered(recording, self._response(recording, request))
        return self._first_use(asked, request.url) or self._missed(asked, request)

    def _first_use(self, asked: CanonicalRequest, url: str) -> HttpExchange | None:
        """What another conversation was answered that made this call first, once for the whole process."""
        if self.stopped or self.kept.holds(asked.key):
            return None
        found = self.first_use and self.first_use.answer(asked.key, url, self.cassette, self.notes)
        return HttpExchange(found.response) if isinstance(found, HttpRecording) else None

    def _answered(self, recording: HttpRecording, response: HttpResponse) -> HttpExchange:
        """The exchange that plays a recording; it is its turn."""
        if self.first_use is not None:
            self.first_use.played(recording.key, self.cassette.folder)
        if self.divergences:
            self.tainted += 1
        if self.pace == "instant":
            return HttpExchange(response)
        paced = self.pace == "recorded" or recording.raced
        waited_on = partial(self._waited_on, recording, response)
        return HttpExchange(response, paced, steps=self._steps(recording), waited_on=waited_on)

    def _steps(self, recording: HttpRecording | ToolRecording) -> Steps | None:
        if self.pace == "instant":
            return None
        with self.kept.lock:
            if self._together is None:
                tools = [one for one in self.cassette.tools if not self._is_unseen(one)]
                self._together = RecordedOrder((*self.cassette.http, *tools))
            return self._together.begins(recording)

    def _waited_on(self, recording: HttpRecording, response: HttpResponse) -> HttpResponse:
        """The agent gave this answer up when it was recorded, and now it does not."""
        part = "time-out" if response.given_up else "end of a stream"
        divergence = Divergence("drifted", recording.endpoint, part, [part], nearest=recording.place)
        divergence.changes = [JsonChange("waited for", f"{response.took:.0f} ms, then given up", "longer")]
        self.note(divergence)
        return refusal(str(divergence), divergence)

    def _is_elsewhere(self, base: str, url: str) -> bool:
        """Whether a request goes to a base URL for which nothing that was recorded may answer."""
        if self.cassette.match != "http" or base in self.kept.bases:
            return False
        known = (uri for recorded, uri in self.kept.bases.items() if recorded is not None)
        return not is_models(url) and not any(map(is_models, known))

    def knows(self, request: HttpRequest) -> bool:
        """Whether the cassette holds such a request; nothing is played."""
        return self.kept.holds(self._as_matched(request).key)

    def _as_matched(self, request: HttpRequest) -> CanonicalRequest:
        """A request in the form that this cassette is matched by: a trace's by its messages alone."""
        chat = request.as_chat(self.rules) if self.cassette.match == "chat" else None
        return chat or request.canonical(self.rules)

    @property
    def lists_models(self) -> bool:
        """Whether ``GET /v1/models`` was recorded; else a list of the recorded models has to do."""
        return any(one.endpoint.endswith("/models") for one in self.cassette.http)

    def _response(self, recording: HttpRecording, request: HttpRequest) -> HttpResponse:
        if recording.endpoint != CHAT:
            return recording.response
        return answer_in(request.url, request.body, recording)

    def _missed(
        self, asked: CanonicalRequest, request: HttpRequest, elsewhere: str | None = None
    ) -> HttpExchange:
        candidates = self.kept.near(asked.endpoint)
        with self.kept.lock:
            if elsewhere is None:
                divergence = explain_request(asked, candidates, self.kept.played)
            else:
                divergence = explain_base(asked, candidates, elsewhere)
            one = divergence.recording
            nearest = one if elsewhere is None and isinstance(one, HttpRecording) else None
            same = nearest and nearest.endpoint == asked.endpoint
            if nearest and same and self._only_later(nearest, nearest.body, asked.body):
                self.kept.play(nearest)
                return self._answered(nearest, self._response(nearest, request))
            divergence.span_id, divergence.by = current_span_id(), simulator_tracing.calling()
            self.note(divergence)
            if self.policy == "nearest" and nearest:
                self.kept.played.add(id(nearest))
                return self._answered(nearest, self._response(nearest, request))
        if self.recorder is not None and self._may_go_live():
            return self.recorder.begin(request)
        return HttpExchange(refusal(str(divergence), divergence))

    def begin_stream(self, request: HttpRequest) -> StreamRecorder | StreamPlayer | HttpResponse:
        """The recording of such a connection, or what the policy makes of one that was not recorded."""
        if self.stopped:
            return refusal("the replay stopped at its first divergence", self.divergences[0])
        self.tainted += bool(self.divergences)
        return self.streams.begin(request)

    def failed_stream(self, request: HttpRequest) -> str | None:
        """How opening such a connection failed when it was recorded; None where it did not."""
        return None if self.stopped else self.streams.failed(request)

    def _live_stream(self, request: HttpRequest) -> StreamRecorder | None:
        return self.recorder.begin_stream(request) if self.recorder and self._may_go_live() else None

    def in_flight(self) -> bool:
        """Only what went live can be."""
        return self.recorder is not None and self.recorder.in_flight()

    def timer_went_off(self) -> None:
        """Only what went live can be late."""
        if self.recorder is not None:
            self.recorder.timer_went_off()

    def may_connect(self) -> bool:
        """The policy lets this conversation go live, and counts."""
        return bool(self.live_calls) or self._lets_own_out()

    def _lets_own_out(self) -> bool:
        """A persona that takes over, and a judge who compares, ask models of their own: none of the agent's
        business, so neither counted nor kept."""
        return simulator_tracing.calling() is not None and self.policy == "simulate"

    def _only_later(self, one: HttpRecording | ToolRecording, then: Any, now: Any) -> bool:
        """Whether a recording stands for this request, too, which differs by the date and time it tells."""
        return id(one) not in self.kept.played and self._time.explains_call(one, then, now)

    def _may_go_live(self) -> bool:
        if self.policy not in {"live", "simulate"}:
            return False
        with self.kept.lock:
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

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        """The recorded call of a tool, how it diverges, or leave to run it where the policy gives it."""
        found = self.recorded_tool(name, arguments)
        if isinstance(found, ToolRecording):
            return ToolExchange(found, steps=self._steps(found))
        # an MCP server is not even started in a replay
        if self.recorder is None or source == "mcp":
            return ToolExchange(divergence=found)
        if write and name not in self.live_writes:
            why = f"the tool {name} writes, so it did not run; name it under live writes to let it"
            self.notes.append(why)
        elif self._may_go_live():
            return self.recorder.begin_tool(name, arguments, write=write)
        return ToolExchange(divergence=found)

    def recorded_tool(self, name: str, arguments: Any) -> ToolRecording | Divergence:
        """The next recorded call of this tool, or how it diverges."""
        if self.stopped:
            return self.divergences[0]
        key = call_key(name, arguments, self.rules)
        with self.kept.lock:
            if (known := self.kept.next_tool(key)) is not None:
                self.tainted += bool(self.divergences)
                _ = self.first_use and self.first_use.played(key, self.cassette.folder)
                return known
            once = None if name in self.kept.names else self.first_use
            shared = once and once.answer(key, None, self.cassette, self.notes)
            if isinstance(shared, ToolRecording):
                return shared
            value = self.rules.value(plain(arguments))
            divergence = explain_tool(name, value, key, self.kept.names.get(name, []), self.kept.played)
            nearest = divergence.recording
            if isinstance(nearest, ToolRecording) and self._only_later(nearest, nearest.arguments, value):
                self.kept.skip(nearest)
                self.tainted += bool(self.divergences)
                return nearest
            self.note(divergence)
            if self.policy == "nearest" and isinstance(nearest, ToolRecording):
                self.kept.played.add(id(nearest))
                return nearest
        return divergence

    def serves(self, tool: str) -> bool:
        """A production trace answers every tool that it holds, if a framework asks before it runs one."""
        if self.outside or not any(one.source == "trace" for one in self.kept.names.get(tool, ())):
            return False
        self._served.add(tool)
        return True

    def handed(self, name: str, arguments: dict[str, Any]) -> Any:
        """What a tool gave that the agent handed to its caller, as JSON; ToolFailed where it failed."""
        found = self.recorded_tool(name, arguments)
        if isinstance(found, Divergence):
            raise NotRecorded(found)
        if found.error is not None:  # whatever its class was: nobody here would know how to catch it
            raise ToolFailed(str(found.error.get("message", "")))
        return without_types(found.result)

    def toolbox(self, inner: Toolbox | None = None) -> Toolbox:
        """The toolbox that answers from the cassette; ``inner`` holds the scenario's pins."""
        self._pins = inner
        return InterceptedTools(self, inner)

    def refuse(self, what: str) -> None:
        """Something tried to get past the replay."""
        with self.kept.lock:
            self.refused += [] if what in self.refused else [what]

    def went_past(self, target: str, what: str) -> None:
        """Something connected to ``target``, which the policy allowed."""
        self.notes.append(what)

    def finish(self) -> None:
        """The conversation is over; tells an extra call from one that drifted."""
        for divergence in self.divergences:
            if divergence.verdict == "drifted" and divergence.recording in self.kept.order:
                divergence.verdict = "never_recorded"
                divergence.component = "extra call"
                divergence.components = ["extra call"]

    def report(self) -> ReplayReport:
        """What it came to so far; complete once the conversation is over."""
        notes, divergences = list(self.notes), list(self.divergences)
        claimed = {id(one.recording) for one in divergences if one.verdict == "drifted"}
        left = [
            one
            for one in (*self.cassette.http, *self.cassette.tools, *self.cassette.streams)
            if id(one) not in self.kept.played and id(one) not in claimed and not self.stopped
        ]
        unseen = [one for one in left if isinstance(one, ToolRecording) and self._is_unseen(one)]
        left = [one for one in left if one not in unseen]
        if self.first_use is not None:
            others = [one for one in left if self.first_use.made_by_another(one, self.cassette)]
            left = [one for one in left if one not in others]
            notes += [f"{one.asked} was made once, in another conversation of this process" for one in others]
        notes += self._time.notes()
        if self.divergences and not self.outside:
            notes += unpinned()
        if names := ", ".join(sorted({one.name for one in unseen if not self._is_pinned(one.name)})):
            notes.append(
                f"{names}: run live by the agent, so not answered from the recording; what they gave is"
                " compared in the next request (marked with @simulate.tool, or pinned, they do not run)"
            )
        left.sort(key=lambda each: each.start)
        divergences += [never_asked(one, tainted=bool(self.divergences)) for one in left]
        divergences += [] if self.stopped else self.streams.left()
        notes += self.streams.notes()
        reordered = out_of_order(self.kept.order) or self.streams.reordered
        verdict = divergences[0].verdict if divergences else ("reordered" if reordered else "identical")
        notes += self.rules.unmet()
        return ReplayReport(
            verdict=verdict,
            first=divergences[0] if divergences else reordered,
            divergences=divergences,
            played=len(self.kept.order) + len(self.elsewhere),
            recorded=len(self.cassette) - len(unseen),
            unplayed=[f"{one.place}: {one.asked.removeprefix('tool ')}" for one in left],
            tainted=self.tainted,
            live_calls=self.live_calls,
            refused=list(self.refused),
            policy=self.policy,
            notes=notes,
            side_cassette=self.side_cassette,
        )

    def _is_unseen(self, tool: ToolRecording) -> bool:
        """Whether the agent runs it where we cannot see it: pinned, in another process, or not marked."""
        if tool.own_process:
            return False
        unmarked = tool.source == "trace" and tool.name not in marked() | self._served
        return self.outside or unmarked or self._is_pinned(tool.name)

    def _is_pinned(self, tool: str) -> bool:
        return self._pins is not None and self._pins.answers(tool)
