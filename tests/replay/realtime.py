"""The services that speak over WebSockets, on this machine: a little of what each of them says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

SOUND = bytes(range(256)) * 4
Socket = web.WebSocketResponse


class Realtime:
    """``opened`` counts the connections, ``heard`` the bytes of sound."""

    def __init__(self) -> None:
        self.opened = 0
        self.heard = 0
        self.port: Any = 0

    @property
    def base(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self.port}"

    async def openai(self, socket: Socket) -> None:
        await socket.send_json({"type": "session.created", "session": {"id": "sess_1", "object": "x"}})
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == "input_audio_buffer.append":
                self.heard += len(base64.b64decode(event["audio"]))
                if self.heard >= 4 * len(SOUND):
                    await socket.send_json({"type": "input_audio_buffer.speech_stopped", "item_id": "item_1"})
            elif event["type"] == "response.create":
                for word in ("Your", " table", " is", " booked."):
                    await socket.send_json({"type": "response.output_text.delta", "delta": word})
                    await asyncio.sleep(0.005)
                audio = base64.b64encode(SOUND).decode()
                await socket.send_json({"type": "response.output_audio.delta", "delta": audio})
                await socket.send_json({"type": "response.done", "event_id": event.get("event_id")})

    async def deepgram(self, socket: Socket) -> None:
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.heard += len(message.data)
                if self.heard == 4 * len(SOUND):
                    words: Any = json.loads('{"alternatives": [{"confidence": 1, "words": []}]}')
                    words["alternatives"][0]["transcript"] = "a table for two"
                    result = {"type": "Results", "channel_index": [0, 1], "duration": 1.0, "start": 0.0}
                    extra: Any = {"metadata": {"request_id": "r", "model_info": {}, "model_uuid": "m"}}
                    await socket.send_json(result | {"channel": words, "is_final": True} | extra)
            elif json.loads(message.data)["type"] == "CloseStream":
                await socket.close(code=1000)

    async def elevenlabs(self, socket: Socket) -> None:
        async for message in socket:
            said = json.loads(message.data)["text"]
            if said == "":
                await socket.send_json({"audio": None, "isFinal": True})
                await socket.close(code=1000)
            elif said != " ":
                sound = base64.b64encode(said.encode() * 40).decode()
                await socket.send_json({"audio": sound, "isFinal": None})

    async def cartesia(self, socket: Socket) -> None:
        async for message in socket:
            asked = json.loads(message.data)
            told = {"status_code": 200, "done": False, "context_id": asked["context_id"]}
            sound = base64.b64encode(asked["transcript"].encode() * 40).decode()
            await socket.send_json(told | {"type": "chunk", "data": sound, "step_time": 1.0})
            if not asked.get("continue"):
                await socket.send_json(told | {"type": "done", "done": True})

    async def gemini(self, socket: Socket) -> None:
        async for message in socket:
            event = json.loads(message.data)
            if "setup" in event:
                await socket.send_bytes(b'{"setupComplete": {}}')
            elif "client_content" in event or "clientContent" in event:
                for text in ("Booked ", "for two."):
                    turn = {"modelTurn": {"parts": [{"text": text}]}}
                    await socket.send_bytes(json.dumps({"serverContent": turn}).encode())
                await socket.send_bytes(b'{"serverContent": {"turnComplete": true}}')

    async def _refuse(self, request: web.Request) -> web.Response:
        return web.json_response({"error": "no such key"}, status=401)

    def _serve(self, speak: Callable[[Socket], Awaitable[None]]) -> Any:
        async def answer(request: web.Request) -> Socket:
            self.opened += 1
            socket = web.WebSocketResponse(protocols=("realtime",))
            await socket.prepare(request)
            await speak(socket)
            return socket

        return answer

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Realtime]:
        """Listen on a free port while inside."""
        app = web.Application()
        gemini = "/ws/{method:google.*}"
        for path, speak in (
            ("/v1/realtime", self.openai),
            ("/v1/listen", self.deepgram),
            ("/v1/text-to-speech/{voice}/stream-input", self.elevenlabs),
            ("/tts/websocket", self.cartesia),
            (gemini, self.gemini),
        ):
            app.router.add_get(path, self._serve(speak))
        app.router.add_get("/v1/refused", self._refuse)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            yield self
        finally:
            await runner.cleanup()
