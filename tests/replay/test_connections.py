"""Connections that fail are recorded, and fail again in the same way in a replay."""

from __future__ import annotations

import contextlib
import http.client
import socket
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
import websocket
import websockets.asyncio.client
import websockets.sync.client

from simulate.replay import record, replaying


async def by_httpx(url: str) -> None:
    async with httpx.AsyncClient() as client:
        await client.post(url, json={"a": 1})


async def by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, json={"a": 1}):
        pass


async def by_requests(url: str) -> None:
    requests.post(url, json={"a": 1}, timeout=5)


async def by_urllib3(url: str) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        pool.request("POST", url, json={"a": 1})


async def by_urllib(url: str) -> None:
    with contextlib.closing(urllib.request.urlopen(urllib.request.Request(url, b"{}"))):
        pass


async def by_http_client(url: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    connection.request("POST", "/v1/x", b"{}")
    connection.getresponse()


async def by_websockets(url: str) -> None:
    await websockets.asyncio.client.connect(url.replace("http", "ws"))


async def by_websockets_blocking(url: str) -> None:
    websockets.sync.client.connect(url.replace("http", "ws"))


async def by_websocket_client(url: str) -> None:
    websocket.create_connection(url.replace("http", "ws"))


async def by_aiohttp_websocket(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        pass


SOCKETS = [by_websockets, by_websockets_blocking, by_websocket_client, by_aiohttp_websocket]
CLIENTS = [by_httpx, by_aiohttp, by_requests, by_urllib3, by_urllib, by_http_client, *SOCKETS]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def told(error: Exception) -> tuple[type, type]:
    """An exception by its class and that of its cause, as an agent would tell it apart."""
    cause: object = getattr(error, "reason", None)
    return type(error), type(cause)


@pytest.mark.parametrize("ask", CLIENTS)
async def test_a_refused_connection(
    ask: Callable[[str], Awaitable[None]], closed_port: int, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{closed_port}/v1/x"
    with pytest.raises(Exception) as bare:
        await ask(url)
    async with record(tmp_path / "c"):
        with pytest.raises(type(bare.value)) as then:
            await ask(url)
    async with replaying(tmp_path / "c") as player:
        with pytest.raises(type(bare.value)) as now:
            await ask(url)
    assert told(bare.value) == told(then.value) == told(now.value)
    report = player.report()
    assert (report.verdict, report.recorded, report.refused) == ("identical", 1, []), report.explain()


async def test_one_that_is_refused_before_one_that_answers(
    closed_port: int, server: Any, tmp_path: Path
) -> None:
    """The agent's own retry goes elsewhere."""
    base = server.base

    def ask() -> str:
        try:
            return requests.get(f"http://127.0.0.1:{closed_port}/health", timeout=5).text
        except requests.ConnectionError:
            return requests.get(f"{base}/health", timeout=5).text

    async with record(tmp_path / "c"):
        then = ask()
    async with replaying(tmp_path / "c") as player:
        assert ask() == then
    assert player.report().verdict == "identical"
    assert player.report().recorded == 2
