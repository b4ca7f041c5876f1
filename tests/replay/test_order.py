"""Calls that run side by side, race, or are given up: unchanged agents replay."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from aiohttp import web
from aiohttp.test_utils import TestServer

import simulate
from simulate.replay import record, replaying

SECONDS = {"slow": 0.4, "mid": 0.2, "quick": 0.0}


async def _answer(request: web.Request) -> web.StreamResponse:
    """As many pieces as asked for, each after as long as the model takes."""
    body = await request.json()
    response = web.StreamResponse()
    for number in range(body.get("pieces", 1)):
        await asyncio.sleep(SECONDS[body["model"].split()[0]])
        if not number:
            await response.prepare(request)
        await response.write(f"{body['model']}{number} ".encode())
    await response.write_eof()
    return response


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/{path:.*}", _answer)
    async with TestServer(app) as running:
        yield str(running.make_url("/v1/chat/completions"))


async def post(url: str, model: str, **more: Any) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.post(url, json={"model": model, **more})).text.strip()


async def times_out(url: str) -> str:
    try:
        return await asyncio.wait_for(post(url, "slow"), 0.1)
    except TimeoutError:
        return await post(url, "quick fallback")


async def hedges(url: str) -> str:
    tasks = [asyncio.create_task(post(url, model)) for model in ("slow", "mid")]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    return done.pop().result() + await post(url, "quick then")


async def in_order_of_arrival(url: str) -> str:
    tasks = [asyncio.create_task(post(url, model)) for model in ("slow", "mid", "quick")]
    order = [await one for one in asyncio.as_completed(tasks)]
    return await post(url, "quick " + " ".join(order))


async def first_piece_wins(url: str) -> str:
    """Two streams; whichever begins first is read to its end, the other one is dropped."""
    winner: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def read(model: str) -> None:
        got = ""
        body = {"model": model, "pieces": 2}
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=body) as answer:
            async for piece in answer.aiter_text():
                got += piece
        if not winner.done():
            winner.set_result(got)

    tasks = [asyncio.create_task(read(model)) for model in ("slow", "mid")]
    said = await winner
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return said


async def interrupted(url: str) -> str:
    """The caller cuts in: the rest of the stream is never read."""
    got = [""]

    async def read(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", url, json={"model": "mid", "pieces": 9}) as answer:
            async for piece in answer.aiter_text():
                got[0] += piece

    async with httpx.AsyncClient() as client:  # which takes its time to make on a busy machine
        try:
            await asyncio.wait_for(read(client), 0.5)
        except TimeoutError:
            got.append(await post(url, f"quick sorry {got[0]}"))
    return " ".join(got)


async def interrupted_in_aiohttp(url: str) -> str:
    got = b""
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(0.5), session.post(url, json={"model": "mid", "pieces": 9}) as answer:
                async for piece in answer.content.iter_any():
                    got += piece
        except TimeoutError:
            got += (await post(url, f"quick sorry {len(got)}")).encode()
    return got.decode()


async def in_threads(url: str) -> str:
    def ask(model: str) -> str:
        return requests.post(url, json={"model": model}, timeout=9).text.strip()

    def both() -> str:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask, model) for model in ("slow", "mid", "quick")]
            return " ".join(one.result() for one in concurrent.futures.as_completed(asked))

    return await asyncio.to_thread(both)


async def fills_the_wait(url: str) -> str:
    """Says so where the answer takes its time; nothing but a timer tells."""
    asked = asyncio.create_task(post(url, "slow"))
    done, _ = await asyncio.wait([asked], timeout=0.1)
    filler = "" if done else "one moment … "
    return filler + await asked


@simulate.tool
async def look_up(where: str) -> str:
    await asyncio.sleep(SECONDS[where])
    return where


async def tools_in_parallel(url: str) -> str:
    tasks = [asyncio.create_task(look_up(where)) for where in ("slow", "mid", "quick")]
    order = [await one for one in asyncio.as_completed(tasks)]
    return await post(url, "quick " + " ".join(order))


async def a_tool_beats_a_model(url: str) -> str:
    tasks = [asyncio.create_task(post(url, "mid")), asyncio.create_task(look_up("slow"))]
    order = [await one for one in asyncio.as_completed(tasks)]
    return await post(url, "quick " + " ".join(order))


@pytest.mark.parametrize(
    "agent",
    [
        times_out,
        hedges,
        in_order_of_arrival,
        first_piece_wins,
        interrupted,
        interrupted_in_aiohttp,
        in_threads,
        fills_the_wait,
        tools_in_parallel,
        a_tool_beats_a_model,
    ],
)
async def test_an_unchanged_agent_replays(
    agent: Callable[[str], Awaitable[str]], url: str, tmp_path: Path
) -> None:
    async with record(tmp_path / "c"):
        then = await agent(url)
    for _ in range(3):
        async with replaying(tmp_path / "c") as player:
            now = await agent(url)
        report = player.report()
        assert (report.verdict, report.refused) == ("identical", []), report.explain()
        assert now == then


async def test_an_agent_that_waits_longer_than_it_did_is_told_so(url: str, tmp_path: Path) -> None:
    async def patient(url: str, seconds: float) -> str:
        try:
            return await asyncio.wait_for(post(url, "slow"), seconds)
        except TimeoutError:
            return "gave up"

    async with record(tmp_path / "c"):
        assert await patient(url, 0.1) == "gave up"
    async with replaying(tmp_path / "c") as player:
        await patient(url, 30)
    report = player.report()
    assert report.verdict == "drifted"
    assert report.first is not None
    assert report.first.component == "time-out"


async def test_an_agent_that_reads_on_where_it_stopped_is_told_so(url: str, tmp_path: Path) -> None:
    async def read(url: str, most: int) -> int:
        count = 0
        body = {"model": "quick", "pieces": 5}
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=body) as answer:
            async for piece in answer.aiter_text():
                count += len(piece.split())
                if count >= most:
                    break
        return count

    async with record(tmp_path / "c"):
        await read(url, 1)
    async with replaying(tmp_path / "c") as player:
        await read(url, 1)
    assert player.report().verdict == "identical"
    async with replaying(tmp_path / "c") as player:
        await read(url, 99)
    first = player.report().first
    assert first is not None
    assert first.component == "end of a stream"


async def test_instant_waits_for_nothing(url: str, tmp_path: Path) -> None:
    async with record(tmp_path / "c"):
        await in_order_of_arrival(url)
    async with replaying(tmp_path / "c", pace="instant") as player:
        await in_order_of_arrival(url)
    first = player.report().first
    assert first is not None
    assert "slow0 mid0 quick0" in str(first)
