"""A model server on a real socket, in a thread of its own, that counts what reaches it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

OPENAI = "6.30.1"
"""The version of npm's ``openai`` that the tests of Node run with."""


class Server:
    """Answers chat, embeddings, transcription and a few odd paths; ``hits`` says what came, path by path."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.delay = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _serve(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.hits.append(request.path)
        if self.delay:
            await asyncio.sleep(self.delay)
        body = await request.read()
        path = request.path
        if path.endswith("/chat/completions"):
            return await self._chat(request, json.loads(body))
        if path.endswith("/embeddings"):
            text = json.loads(body)["input"]
            return web.json_response(
                {
                    "object": "list",
                    "model": "e",
                    "usage": {"prompt_tokens": 1, "total_tokens": 1},
                    "data": [{"object": "embedding", "index": 0, "embedding": [len(str(text)), 0.5]}],
                }
            )
        if path.endswith("/messages"):
            last = json.loads(body)["messages"][-1]["content"]
            return web.json_response(
                {
                    "id": "a",
                    "type": "message",
                    "role": "assistant",
                    "model": "c",
                    "content": [{"type": "text", "text": f"answer to {last}"}],
                    "stop_reason": "end_turn",
                    "usage": {"input_tokens": 1, "output_tokens": 1},
                }
            )
        if path.endswith(":generateContent"):
            text = "answer to " + json.loads(body)["contents"][-1]["parts"][0]["text"]
            content = {"role": "model", "parts": [{"text": text}]}
            return web.json_response({"candidates": [{"content": content, "finishReason": "STOP"}]})
        if path.endswith("/converse"):
            text = "answer to " + json.loads(body)["messages"][-1]["content"][0]["text"]
            return web.json_response(
                {
                    "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
                    "stopReason": "end_turn",
                    "metrics": {"latencyMs": 1},
                    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
                }
            )
        if path == "/429":
            return web.json_response(
                {"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "7"}
            )
        if path == "/binary":
            return web.Response(body=bytes(range(256)) * 4, content_type="application/octet-stream")
        if path == "/large":
            return web.Response(text="x" * 200_000)
        if path == "/encoded":
            return web.Response(
                body=bytes(range(256)), headers={"Content-Encoding": request.query["encoding"]}
            )
        if path == "/gzip":
            response = web.json_response({"text": "é" * 400})
            response.enable_compression(web.ContentCoding.gzip)
            return response
        return web.json_response(
            {
                "method": request.method,
                "path": path,
                "size": len(body),
                "query": dict(request.query),
                "count": len(self.hits),
            }
        )

    async def _chat(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        last = body["messages"][-1]["content"]
        answer = f"answer to {last}"
        if not body.get("stream"):
            return web.json_response(completion(answer, body["model"]))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in answer.split(" "):
            await response.write(b"data: " + json.dumps(chunk(word + " ", body["model"])).encode() + b"\n\n")
            await asyncio.sleep(0.02)
            if "die" in last and word == "to":
                request.transport.abort()  # type: ignore[union-attr]
                return response
        last = chunk(None, body["model"], finish="stop")
        await response.write(b"data: " + json.dumps(last).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def completion(text: str, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def chunk(text: str | None, model: str, finish: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    one.start()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """A folder with npm's ``openai``: SIMULATE_NODE_MODULES, or installed once a machine."""
    if shutil.which("node") is None:
        pytest.skip("no node here")
    named = os.environ.get("SIMULATE_NODE_MODULES")
    folder = Path(named) if named else Path(tempfile.gettempdir(), f"simulate-node-{OPENAI}", "node_modules")
    if not (folder / "openai" / "package.json").is_file():
        if shutil.which("npm") is None:
            pytest.skip("no npm here to install the openai package with")
        fresh = Path(tempfile.mkdtemp(prefix="simulate-node-"))
        line = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(fresh), f"openai@{OPENAI}"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=100)
        if done.returncode != 0:
            shutil.rmtree(fresh)
            pytest.skip(f"npm cannot install the openai package: {done.stderr[-300:]}")
        folder.parent.mkdir(exist_ok=True)
        # another worker may have been quicker
        if not folder.exists():
            (fresh / "node_modules").rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
    return folder
