"""Of broken endpoints over real sockets: how many are held against an agent that did nothing wrong?

python -m benchmarks.endpoints    each of ``fixtures/broken_endpoints.py`` by each protocol
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fixtures.broken_endpoints import AGENTS, ENVIRONMENT, serving
from simulate import determinism
from simulate.conversation.agents.adapter import Call, EndpointOptions
from simulate.conversation.agents.anthropic_messages import AnthropicAdapter
from simulate.conversation.agents.http import HttpAdapter
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.agents.responses import ResponsesAdapter
from simulate.conversation.agents.web import WebAdapter
from simulate.errors import Fault
from simulate.model.request_template import RequestTemplate

TEMPLATE = RequestTemplate(body={"text": "{{message}}"}, answer="$.choices[0].message.content")


class Waits(determinism.SystemClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def side(protocol: str, port: int) -> str:
    """Who is at fault, or ``passed``."""
    at = f"http://127.0.0.1:{port}"
    adapter: Any
    match protocol:
        case "chat, streamed" | "chat, whole":
            adapter = HttpAdapter(f"{at}/v1", stream=protocol == "chat, streamed")
        case "responses":
            adapter = ResponsesAdapter(f"responses:{at}/v1", EndpointOptions())
        case "anthropic":
            adapter = AnthropicAdapter(f"anthropic:{at}", EndpointOptions())
        case _:
            adapter = WebAdapter(f"{at}/chat", EndpointOptions(request=TEMPLATE))
    try:
        with determinism.pinned(determinism.RunContext(clock=Waits())):
            async with adapter.connect(Call("ab" * 16, PinnedTools({}), {}, 10.0)) as session:
                async for _ in session.send("Where is my refund?"):
                    pass
    except Fault as found:
        return found.side
    finally:
        await adapter.aclose()
    return "passed"


PROTOCOLS = ("chat, streamed", "chat, whole", "responses", "anthropic", "a template")


async def main() -> None:
    """Print a line for each protocol, and each endpoint that is misjudged."""
    for protocol in PROTOCOLS:
        streams = protocol == "chat, streamed"
        cases = [("environment", name, said) for name, said in ENVIRONMENT.items()]
        cases = [each for each in cases if streams or not each[1].startswith("event")]
        cases += [("agent", name, said) for name, said in AGENTS.items()] if streams else []
        wrong: list[str] = []
        sides: Counter[str] = Counter()
        for right, name, said in cases:
            async with serving(said) as port:
                found = await side(protocol, port)
            sides[right] += 1
            wrong += [] if found == right else [f"  {name}: {found} instead of {right}"]
        told = ", ".join(f"{number} {name}" for name, number in sides.items())
        print(f"{protocol}: {len(cases)} endpoints ({told}), {len(wrong)} misjudged", *wrong, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
