"""A shop by HTTP, and services by WebSocket, whose answers are never twice the same.

``service.py HITS`` prints its port, and writes a line to HITS for each request."""

import asyncio
import itertools
import json
import sys
from pathlib import Path

from aiohttp import web

from simulate.conversation.voice.speech_services import find_tts

HITS = Path(sys.argv[1])
NUMBERS = itertools.count(100)


def _hit(name: str) -> int:
    with HITS.open("a") as file:
        file.write(f"{name}\n")
    return next(NUMBERS)


async def shop(request: web.Request) -> web.Response:
    return web.json_response({"stock": _hit("shop")})


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"/shop/{request.match_info['item']}")


async def speak(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_json({"said": f"You said {json.loads(message.data)['text']} ({_hit('speak')})"})
    return socket


async def voice(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    text = json.loads((await socket.receive()).data)["text"]
    _hit("voice")
    sound = (await find_tts(None).say(text)).at(16_000).samples.tobytes()
    for at in range(0, len(sound), 6_400):
        await socket.send_bytes(sound[at : at + 6_400])
    await socket.close()
    return socket


async def ears(request: web.Request) -> web.WebSocketResponse:
    """Hears a sentence where it has been loud and then quiet for half a second."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    _hit("ears")
    loud, quiet = 0, 0
    async for message in socket:
        is_loud = max(map(abs, memoryview(message.data).cast("h")), default=0) > 1_000
        loud, quiet = loud + is_loud, 0 if is_loud else quiet + len(message.data)
        if loud > 10 and quiet > 16_000:
            await socket.send_json({"heard": "a table for two"})
    return socket


app = web.Application()
app.router.add_get("/v1/voice", voice)
app.router.add_get("/v1/ears", ears)
app.router.add_get("/shop/{item}", shop)
app.router.add_post("/shop", shop)
app.router.add_get("/moved/{item}", moved)
app.router.add_get("/v1/speak", speak)


async def main() -> None:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
