"""Answers that are not whole, and agents whose own model does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from fixtures.agents.model_server import ModelServer
from simulate import Scenario, run
from simulate.conversation.cloud_engine import CloudEngine

Agent = Callable[[str], str]


def asked(*lines: str, **more: Any) -> Scenario:
    return Scenario.model_validate({"name": "x", "script": [{"says": line} for line in lines], **more})


def saying(*calls: dict[str, Any], raises: BaseException | None = None) -> Agent:
    """An agent that makes one model call a turn, with these attributes or this error."""
    turns = iter(calls)

    def agent(message: str) -> str:
        call = next(turns)
        with trace.get_tracer("agent").start_as_current_span("chat") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "m")
            if "finish" in call:
                span.set_attribute("gen_ai.response.finish_reasons", [call["finish"]])
            if "error" in call:
                span.set_attribute("error.type", call["error"])
                span.set_status(Status(StatusCode.ERROR, call.get("told", "")))
            time.sleep(0.001)
        return "Your refund of"

    return agent


@pytest.mark.parametrize("reason", ["length", "MAX_TOKENS", "max_tokens", "content_filter", "SAFETY"])
async def test_an_answer_that_was_cut_off_does_not_pass_where_the_caller_goes_on_from_it(reason: str) -> None:
    outcome = await run(asked("a", "b"), saying({"finish": reason}, {"finish": "stop"}))
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert reason in (outcome.reason or "")
    last = await run(asked("a"), saying({"finish": reason}))
    assert last.status == "passed"
    assert any(reason in note for note in last.notes)


async def test_it_can_be_asked_of_the_last_answer_and_allowed() -> None:
    strict = asked("a", expect=[{"complete": True}])
    assert (await run(strict, saying({"finish": "length"}))).status == "failed"
    assert (await run(strict, saying({"finish": "stop"}))).status == "passed"
    assert (await run(strict, saying({}))).status == "not_run"
    allowed = asked("a", "b", expect=[{"complete": False}])
    assert (await run(allowed, saying({"finish": "length"}, {"finish": "stop"}))).status == "passed"


@pytest.mark.parametrize("fault", ["length"])
async def test_an_endpoint_tells_it_itself(fault: str) -> None:
    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        return {"content": "Your refund of $42.50 comes back within five days."}

    async with ModelServer({"agent": brain}).running() as server:
        engine = CloudEngine(server.url, model=f"agent+{fault}")
        outcome = await run(asked("a", "b"), engine)
    assert (outcome.status, outcome.side) == ("failed", "agent")
    assert "cut off" in (outcome.reason or "")


DOWN = [
    {"error": "RateLimitError", "told": "Error code: 429 - {'error': {'message': 'slow down'}}"},
    {"error": "401", "told": "Incorrect API key provided"},
    {"error": "anthropic.InternalServerError", "told": "Error code: 529 - overloaded_error"},
    {"error": "openai.APIConnectionError", "told": "Connection error."},
    {"error": "httpx.ReadTimeout", "told": ""},
    {"error": "litellm.exceptions.NotFoundError", "told": "Error code: 404 - model not found"},
    {"error": "google.genai.errors.ServerError", "told": "503 UNAVAILABLE. The model is overloaded."},
]


@pytest.mark.parametrize("call", DOWN, ids=lambda call: call["error"])
async def test_a_model_that_was_down_is_seen_in_the_trace(call: dict[str, Any]) -> None:
    refunded = asked("refund me", expect=[{"said": {"contains": "refunded"}}])
    outcome = await run(refunded, saying(call))
    assert (outcome.status, outcome.side) == ("error", "environment"), outcome.reason
    assert "model" in (outcome.reason or "")


async def test_what_went_wrong_before_or_for_another_reason_is_the_agents() -> None:
    wrong = asked("a", "b", expect=[{"not_said": {"contains": "refund"}}])
    assert (await run(wrong, saying({"finish": "stop"}, DOWN[0]))).status == "failed"
    refunded = asked("refund me", expect=[{"said": {"contains": "refunded"}}])
    bad_request = {"error": "BadRequestError", "told": "Error code: 400 - messages[1] is wrong"}
    assert (await run(refunded, saying(bad_request))).status == "failed"


class APIStatusError(Exception):
    """As the openai SDK names it."""

    __module__ = "openai"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status_code = status


class HTTPError(Exception):
    __module__ = "requests.exceptions"

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{status} Server Error for url: {url}")
        self.request = type("Request", (), {"url": url})()
        self.response = type("Response", (), {"status_code": status})()


RAISED = [
    (APIStatusError("no", 402), "environment"),
    (APIStatusError("no", 529), "environment"),
    (APIStatusError("wrong", 400), "agent"),
    (KeyError("OPENAI_API_KEY"), "environment"),
    (RuntimeError("ANTHROPIC_API_KEY is not set"), "environment"),
    (KeyError("order_id"), "agent"),
    (HTTPError("http://model/v1/chat/completions", 503), "environment"),
    (HTTPError("http://orders/api/orders/7", 503), "agent"),
    (TimeoutError("the database"), "agent"),
]


@pytest.mark.parametrize(("error", "side"), RAISED, ids=lambda one: repr(one)[:40])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_what_the_agent_raised_for_its_model_is_not_its_fault(
    error: Exception, side: str, wrapped: bool
) -> None:
    def agent(message: str) -> str:
        if wrapped:
            raise ValueError("no answer") from error
        raise error

    outcome = await run(asked("a"), agent)
    assert outcome.side == side, outcome.reason
