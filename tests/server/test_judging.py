"""A judge's scores come late, of a sample, within a budget, and a slow or failing judge holds nothing up."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.errors import InputError
from simulate.llm import ModelConfig
from simulate.scoring.judge import Judge
from simulate.server.settings import ServerSettings
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]


def relevant(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """A judge that likes every answer."""
    letters = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
    letter = next(letter for letter, name in letters if name == "relevant")
    found = {"evidence": ["It arrives on Friday."], "reason": "it answers", "answer": letter}
    return {"content": json.dumps(found)}


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer(logprobs=False).running() as running:
        running.brains = {"judge": relevant}
        yield running


def settings(**more: object) -> ServerSettings:
    asked = {"evaluators": {"AnswerRelevancy": 0.5}, "sample": 1, **more}
    return ServerSettings.model_validate({"judge": asked})


def judge_at(url: str) -> Judge:
    return Judge(ModelConfig("judge", url, "k", retries=0))


async def until(server: Any, **wanted: int) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            told = (await server.json("/api/v1/status"))["judge"]
            if all(told[name] >= value for name, value in wanted.items()):
                return told
            await asyncio.sleep(0.05)


async def test_a_judges_score_comes_to_the_trace_once(serve: Serve, make: Make, model: ModelServer) -> None:
    server = await serve(settings=settings(), judge=judge_at(model.url))
    await server.send(make(1))
    await until(server, judged=1)
    await server.settled()
    found = await server.json("/api/v1/traces?filter=score.AnswerRelevancy%3E0.5")
    assert len(found["traces"]) == 1
    await server.send(make(1)[:1])  # it is put away anew, and has its score
    await server.settled()
    await asyncio.sleep(0.1)
    assert (await until(server))["judged"] == 1


async def test_beyond_the_budget_and_the_sample_nothing_is_judged(
    serve: Serve, make: Make, model: ModelServer
) -> None:
    server = await serve(settings=settings(calls_per_day=1), judge=judge_at(model.url))
    await server.send(*(make(n) for n in range(1, 5)))
    told = await until(server, judged=1, left_out=3)
    assert told["judged"] == 1
    assert "left out" in (await server.get("/help"))[1]


async def test_a_judge_that_is_away_holds_nothing_up_and_is_told(serve: Serve, make: Make) -> None:
    server = await serve(settings=settings(), judge=judge_at("http://127.0.0.1:9"))
    assert await server.send(make(1)) == 200
    async with asyncio.timeout(20):
        while not (await server.json("/api/v1/status"))["judge"]["problem"]:
            await asyncio.sleep(0.05)
    assert "the judge failed" in (await server.get("/help"))[1]
    assert len((await server.json("/api/v1/traces"))["traces"]) == 1


async def test_a_judge_that_nobody_configured_is_refused_at_the_start(serve: Serve) -> None:
    with pytest.raises(InputError, match="none is configured"):
        await serve(settings=settings())
