"""An OpenAI-compatible agent that hands its tool calls to its caller; argv: port, name of the tool."""

import sys

from aiohttp import web


async def chat(request: web.Request) -> web.Response:
    last = (await request.json())["messages"][-1]
    message = {"role": "assistant", "content": f"The tool said: {last['content']}"}
    if last["role"] != "tool":
        function = {"name": sys.argv[2], "arguments": "{}"}
        call = {"id": "call_1", "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response(
        {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    )


app = web.Application()
app.router.add_post("/v1/chat/completions", chat)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
