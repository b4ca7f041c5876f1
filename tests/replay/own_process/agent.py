"""Agents that ask services past their model's endpoint: ``agent.py web PORT SERVICE`` serves a chat endpoint,
``agent.py lines SERVICE`` answers line by line, and asks from a forked process for every second one."""

import json
import multiprocessing
import sys
import urllib.request

from aiohttp import ClientSession, web
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync

KIND = "text"


def stock(service: str, text: str) -> int:
    with urllib.request.urlopen(f"http://{service}/shop/{len(text)}") as answer:
        return json.load(answer)["stock"]


async def voice(service: str, text: str) -> str:
    async with connect(f"ws://{service}/v1/speak") as socket:
        await socket.send(json.dumps({KIND: text}))
        return json.loads(await socket.recv())["said"]


async def answer(request: web.Request) -> web.Response:
    text = (await request.json())["messages"][-1]["content"]
    async with ClientSession() as client, client.get(f"http://{sys.argv[3]}/shop/1") as found:
        number = (await found.json())["stock"]
    said = f"{await voice(sys.argv[3], text)} {number} {stock(sys.argv[3], text)}"
    message = {"role": "assistant", "content": said}
    return web.json_response(
        {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    )


def tell(service: str, text: str) -> None:
    with connect_sync(f"ws://{service}/v1/speak") as socket:
        socket.send(json.dumps({KIND: text}))
        sys.stdout.write(f"{json.loads(socket.recv())['said']} {stock(service, text)}\n")
        sys.stdout.flush()


def main() -> None:
    if sys.argv[1] == "web":
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
        return
    for number, line in enumerate(sys.stdin):
        if number % 2:
            other = multiprocessing.get_context("fork").Process(target=tell, args=(sys.argv[2], line.strip()))
            other.start()
            other.join()
        else:
            tell(sys.argv[2], line.strip())


if __name__ == "__main__":
    main()
