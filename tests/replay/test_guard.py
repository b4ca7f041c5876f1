"""Nothing gets out of a replay, whatever it is made with."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulate.errors import InputError
from simulate.replay import Cassette, replaying
from simulate.replay.intercept.router import LiveCallRefused


async def test_sockets_names_and_udp_are_refused_with_the_place(server: Any) -> None:
    async with replaying(Cassette()) as player:
        with pytest.raises(LiveCallRefused):
            socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(LiveCallRefused):
            socket.getaddrinfo("api.example.com", 443)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, pytest.raises(LiveCallRefused):
            udp.sendto(b"x", ("127.0.0.1", server.port))
        with pytest.raises(LiveCallRefused):
            await asyncio.open_connection("127.0.0.1", server.port)
        found: list[BaseException] = []

        def in_a_thread() -> None:
            try:
                socket.create_connection(("127.0.0.1", server.port))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
        assert isinstance(found[0], LiveCallRefused)
    report = player.report()
    assert not report.passed and server.hits == []
    assert any("test_guard.py" in text for text in report.refused)
    assert any("api.example.com" in text for text in report.refused)
    with socket.create_connection(("127.0.0.1", server.port)):
        pass  # and afterwards all is as before


async def test_what_is_allowed_gets_through(server: Any) -> None:
    async with replaying(Cassette(), allow=[server.address]) as player:
        async with aiohttp.ClientSession() as session, session.get(server.base + "/agent") as answer:
            assert answer.status == 200
        with socket.create_connection(("127.0.0.1", server.port)):
            pass
    assert server.hits == ["/agent"] and player.report().passed


async def test_a_socket_from_outside_of_any_conversation_is_refused_by_name(server: Any) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    outside = contextvars.copy_context()

    async def dial() -> None:
        with pytest.raises(InvalidStatus, match="418"):
            await connect(f"ws://127.0.0.1:{server.port}/ws")

    async with replaying(Cassette()) as player:
        await asyncio.create_task(dial(), context=outside)
    refused = "\n".join(player.report().refused)
    assert "WEBSOCKET" in refused and "test_guard.py" in refused and server.hits == []


async def test_a_child_process_is_guarded_too(server: Any) -> None:
    code = f"import urllib.request as u; print(u.urlopen('{server.base}/x').status)"
    async with replaying(Cassette()):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "refused" in done.stderr and server.hits == []
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "200\n"
    )


@pytest.mark.parametrize("name", ["ENV", "APP_ENV", "ENVIRONMENT"])
async def test_production_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "Production")
    with pytest.raises(InputError, match="says that this is production"):
        async with replaying(Cassette()):
            pass


async def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="guess"):
        async with replaying(Cassette(), policy="guess"):  # type: ignore[arg-type]
            pass
