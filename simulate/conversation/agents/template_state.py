"""What a request's template stands for as a conversation goes on, and how its answer is read."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from simulate.conversation.agents.adapter import AgentEvent, AgentMessage, Call, Delta, HungUp
from simulate.conversation.agents.connection_faults import is_whole_page, page_fault
from simulate.conversation.agents.http_client import model_fault, parsed
from simulate.errors import AgentFault
from simulate.model.json_path import parse_path, values_at
from simulate.model.request_template import RequestTemplate, UnknownPlaceholder, filled_text


class TemplateState:
    """The values of a template's placeholders in one conversation."""

    def __init__(self, template: RequestTemplate, call: Call) -> None:
        self.template = template
        self.messages: list[dict[str, Any]] = [dict(message) for message in call.history]
        self.session: Any = None
        self._places = call.placeholders

    def values(self) -> dict[str, Any]:
        """By name; what is not known yet is None."""
        said = [entry["content"] for entry in self.messages if entry["role"] == "user"]
        return {
            **self._places,
            "message": said[-1] if said else None,
            "messages": list(self.messages),
            "session": self.session,
        }

    def texts(self, document: Any) -> list[str]:
        """The answer in one JSON document; raises AgentFault where what the path names is not text."""
        assert self.template.answer is not None
        found = values_at(document, parse_path(self.template.answer))
        for text in found:
            if not isinstance(text, str) and text is not None:
                raise AgentFault(
                    f"`answer: {self.template.answer}` of the agent's reply is not text: {shown(text)}"
                )
        return [text for text in found if text]

    def take_session(self, document: Any) -> None:
        """The session, where this document names it."""
        source = self.template.session
        if source is not None and source.startswith("$"):
            self.session = next(iter(values_at(document, parse_path(source))), None) or self.session

    def sets(self, path: str | None, document: Any) -> bool:
        """Whether a path names something in a document that is not false, null or empty."""
        return path is not None and any(values_at(document, parse_path(path)))


class StreamedAnswer:
    """One answer that may come in pieces: server-sent events, lines, frames.

    ``ended`` once it is whole; where the template has no ``done``, that is after the first piece, unless
    ``to_the_end`` says that the end of the stream ends it."""

    def __init__(self, state: TemplateState, address: str, *, to_the_end: bool = False) -> None:
        self.state, self.address = state, address
        self.ended = False
        self._to_the_end = to_the_end
        self._pieces: list[str] = []
        self._hangs_up = False

    def take(self, data: str) -> Iterator[AgentEvent]:
        """The pieces of text in one event."""
        template = self.state.template
        if data == "[DONE]":
            self.ended = True
            return
        if template.answer is None:
            texts, document = [data], None
        else:
            document = parsed(data, self.address)
            self.state.take_session(document)
            texts = self.state.texts(document)
            if not texts and (fault := model_fault(document, self.address)) is not None:
                raise fault
            self._hangs_up = self._hangs_up or self.state.sets(template.hang_up, document)
        for text in texts:
            self._pieces.append(text)
            yield Delta(text)
        self.ended = self.state.sets(template.done, document) or (
            template.done is None and not self._to_the_end and bool(texts or self._hangs_up)
        )

    def end(self) -> Iterator[AgentEvent]:
        """The whole message; raises AgentFault where the answer broke off or held no text."""
        template = self.state.template
        if not self.ended and template.done is not None:
            raise AgentFault(f"{self.address}: the answer ended without `done: {template.done}`")
        if self._pieces:
            yield AgentMessage("".join(self._pieces))
        elif not self._hangs_up:
            place = "" if template.answer is None else f" at `answer: {template.answer}`"
            raise AgentFault(f"{self.address}: the answer holds no text{place}")
        if self._hangs_up:
            yield HungUp()


def whole_answer(text: str, state: TemplateState, address: str, *, as_json: bool) -> Iterator[AgentEvent]:
    """The messages in an answer that came at once; ``as_json``: its content type says that it is JSON."""
    template = state.template
    if template.answer is None:
        if is_whole_page(text):
            raise page_fault(text, address)
        # a JSON string is what a handler that returns a text answers in many frameworks
        yield AgentMessage(_json_text(text) if as_json else text)
        return
    document = parsed(text, address)
    state.take_session(document)
    texts, hangs_up = state.texts(document), state.sets(template.hang_up, document)
    if not texts and not hangs_up:
        if (fault := model_fault(document, address)) is not None:
            raise fault
        raise AgentFault(f"{address}: nothing at `answer: {template.answer}` of {shown(document)}")
    for each in texts:
        yield AgentMessage(each)
    if hangs_up:
        yield HungUp()


def filled_headers(headers: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """Headers with their placeholders filled in; one whose value is not known yet is left out."""
    made: dict[str, str] = {}
    for name, text in headers.items():
        with contextlib.suppress(UnknownPlaceholder):
            made[name] = filled_text(text, values)
    return made


def _json_text(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if isinstance(found, str):
        return found
    raise AgentFault(
        f"the agent answered JSON: {shown(found)}",
        hint='say in its `request` where the text is: answer = "$.…"',
    )


def shown(value: Any) -> str:
    """A JSON value as far as a message shows it."""
    return json.dumps(value, ensure_ascii=False, default=str)[:200]
