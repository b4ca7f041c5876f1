"""A replay that is as recorded up to one place, and from there goes its own way.

Up to the fork every answer comes from the cassette. From there on the models are asked for real, with one
thing changed, and the world (tools, services) answers as recorded for as long as it is asked for the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, cast

import httpx
import orjson

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.python_values import from_json
from simulate.replay.chat_wires import answer_in
from simulate.replay.intercept.process import entered
from simulate.replay.intercept.traffic import HttpExchange, ToolExchange
from simulate.replay.matching.divergence import refusal
from simulate.replay.matching.endpoints import address, split_url
from simulate.replay.matching.recordings import HttpRecording, HttpResponse, ToolRecording
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.report import ReplayReport

_JSON = [("content-type", "application/json")]
_NOT_SENT = frozenset({"host", "content-length", "accept-encoding", "connection", "transfer-encoding"})
_NOT_KEPT = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replay leaves its recording: with the first model call of a turn, or with the n-th of all."""

    kind: Literal["turn", "call"]
    number: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """``3`` and ``turn:3`` are a turn, ``call:7`` a model call, counted from 1; InputError for others."""
        match = re.fullmatch(r"(?:(turn|call)[: ])?(\d+)", text.strip())
        if match is None or not int(match[2]):
            raise InputError(f"{text!r} is not a place in a recording", hint="write 3, turn:3 or call:7")
        return cls(cast("Literal['turn', 'call']", match[1] or "turn"), int(match[2]))

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


@dataclass(frozen=True, slots=True)
class Variant:
    """What is changed at a fork, and from there on; nothing, to draw the same again."""

    name: str
    model: str | None = None
    prompt: str | None = None
    """The system prompt."""
    answer: str | HttpResponse | None = None
    """What the call at the fork is answered: a text, a JSON object (``text`` and ``calls``, or a provider's
    whole response), or a recorded response."""
    tools: dict[str, Any] = field(default_factory=dict[str, Any])
    """What tools give, by name."""


class ForkSession(ReplaySession):
    """A conversation that is replayed up to ``place``, and varied from there."""

    def __init__(
        self, cassette: Cassette, rules: Rules, place: Place, variant: Variant, **options: Any
    ) -> None:
        super().__init__(cassette, rules, **options)
        self.place, self.variant = place, variant
        self.reached = False
        self.calls = 0
        """How many model calls were made."""
        self.reach: Callable[[HttpRequest], str] = lambda request: request.url
        """The real address of what an agent asks, where it asks us instead."""
        self.unreached: str | None = None
        """Why a real model gave no answer: no verdict is the agent's then."""
        self._answer = variant.answer
        self._frozen = 0
        """How many divergences there were until the fork."""

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        if request.base(self.rules) is None:
            return super().begin(request)
        with self.kept.lock:
            self.calls += 1
            reached = self._leaves()
            answer, self._answer = (self._answer, None) if reached else (None, self._answer)
        if not reached:
            return super().begin(request)
        if answer is not None:
            return HttpExchange(_answered(answer, request))
        return HttpExchange(HttpResponse(0), fetch=partial(self._ask, request))

    def begin_tool(
        self, name: str, arguments: Any, *, write: bool, source: Literal["tool", "mcp"] = "tool"
    ) -> ToolExchange:
        if self._leaves() and name in self.variant.tools:
            value = self.variant.tools[name]
            return ToolExchange(ToolRecording("", name, arguments, from_json(value), write=write))
        return super().begin_tool(name, arguments, write=write, source=source)

    def report(self) -> ReplayReport:
        """Only what came until the fork can diverge."""
        report = super().report()
        report.unreached = self.unreached
        if not self.reached:
            report.notes.append(f"{self.place} was never reached: {self.calls} model calls were made")
            return report
        report.divergences = report.divergences[: self._frozen]
        report.first = report.divergences[0] if report.divergences else None
        report.verdict = report.first.verdict if report.first is not None else "identical"
        report.unplayed = []
        return report

    def _is_place(self) -> bool:
        if self.place.kind == "call":
            return self.calls >= self.place.number
        return (self.turn_of() or 0) >= self.place.number

    def _leaves(self) -> bool:
        """Whether the fork is reached, now or before."""
        if not self.reached and self._is_place():
            self.reached, self._frozen = True, len(self.divergences)
            self.policy = "live"
            self.recorder = RecordSession(self.rules, self.allow)
        return self.reached

    def _ask(self, request: HttpRequest) -> HttpResponse:
        """The real model's answer to the request, as far as it is changed."""
        with self.kept.lock:
            if self.live_calls >= self.live_budget:
                return self._unanswered(f"the budget of {self.live_budget} live calls is used up (--budget)")
            self.live_calls += 1
        url, body = _changed(self.reach(request), request.body, self.variant)
        headers = {name: value for name, value in request.headers.items() if name not in _NOT_SENT}
        unseen = RecordSession(Rules(), [address(url)])
        try:
            with entered(unseen), httpx.Client(timeout=600) as client:
                answer = client.request(request.method, url, headers=headers, content=body)
        except httpx.HTTPError as error:
            return self._unanswered(f"{address(url)} cannot be asked: {error}")
        kept = [(name, value) for name, value in answer.headers.multi_items() if name not in _NOT_KEPT]
        return HttpResponse(answer.status_code, answer.reason_phrase, kept, [(0.0, answer.content)])

    def _unanswered(self, why: str) -> HttpResponse:
        self.unreached = why
        return refusal(why)


def _changed(url: str, body: bytes, variant: Variant) -> tuple[str, bytes]:
    """A provider's request with the variant's model and system prompt."""
    if variant.model is None and variant.prompt is None:
        return url, body
    asked: dict[str, Any] = orjson.loads(body)
    if variant.model is not None:
        if "model" in asked:
            asked["model"] = variant.model
        # Gemini and Bedrock name the model in the path
        url = re.sub(r"(/models?/)[^/:]+(?=[:/])", rf"\g<1>{variant.model}", url)
    if variant.prompt is not None:
        _prompt(url, asked, variant.prompt)
    return url, orjson.dumps(asked)


def _prompt(url: str, asked: dict[str, Any], prompt: str) -> None:
    if "contents" in asked:
        name = "system_instruction" if "system_instruction" in asked else "systemInstruction"
        asked[name] = {"parts": [{"text": prompt}]}
    elif "instructions" in asked or ("input" in asked and "messages" not in asked):
        asked["instructions"] = prompt
    elif isinstance(asked.get("system"), list) and "text" in (asked["system"] or [{}])[0]:
        asked["system"] = [{**asked["system"][0], "text": prompt}]
    elif "system" in asked or split_url(url)[1].endswith("/messages"):
        asked["system"] = prompt
    else:
        messages: list[dict[str, Any]] = asked.get("messages") or []
        kept = [one for one in messages if one.get("role") not in {"system", "developer"}]
        asked["messages"] = [{"role": "system", "content": prompt}, *kept]


def _answered(answer: str | HttpResponse, request: HttpRequest) -> HttpResponse:
    if isinstance(answer, HttpResponse):
        return answer
    try:
        given: Any = orjson.loads(answer)
    except orjson.JSONDecodeError:
        given = {"text": answer.strip()}
    if not isinstance(given, dict):
        given = {"text": answer.strip()}
    content = cast("dict[str, Any]", given)
    if not content.keys() & {"text", "calls"}:
        return HttpResponse(200, "OK", _JSON, [(0.0, orjson.dumps(content))])
    calls = [_call(one, number) for number, one in enumerate(content.get("calls") or [])]
    form = {"text": content.get("text"), "calls": calls, "finish": "tool_calls" if calls else "stop"}
    form |= {"model": "given", "usage": {"input": None, "output": None}}
    recording = HttpRecording("given", "", "POST", "", None)
    recording.response = HttpResponse(200, "", _JSON, [(0.0, orjson.dumps(form))])
    return answer_in(request.url, request.body, recording)


def _call(one: dict[str, Any], number: int) -> dict[str, Any]:
    arguments: Any = one.get("arguments") or {}
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return {"id": one.get("id") or f"call_given_{number}", "name": one.get("name"), "arguments": text}
