"""A shop by HTTP and a voice by WebSocket, whose answers are never twice the same: ``service.py HITS`` prints
its port, and writes a line for each request."""

import asyncio
import itertools
import json
import sys
from pathlib import Path

from aiohttp import web

HITS = Path(sys.argv[1])
NUMBERS = itertools.count(100)


def _hit(name: str) -> int:
    with HITS.open("a") as file:
        file.write(f"{name}\n")
    return next(NUMBERS)


async def shop(request: web.Request) -> web.Response:
    return web.json_response({"stock": _hit("shop")})


async def speak(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_json({"said": f"You said {json.loads(message.data)['text']} ({_hit('speak')})"})
    return socket


app = web.Application()
app.router.add_get("/shop/{item}", shop)
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
