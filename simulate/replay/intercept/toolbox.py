"""The agent's tools, recorded and played at the seam `simulate.tools.Toolbox`.

What a scenario pins is answered by its pins, in recording and replay alike; all else is the conversation's
`Traffic` to decide. A tool that writes never runs for real in a replay unless it is named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from simulate.replay.intercept.traffic import Traffic
from simulate.tools import Toolbox


class InterceptedTools:
    """Tools whose calls are a conversation's traffic. ``inner`` holds the scenario's pins, and hears of each
    call, whoever answers it."""

    def __init__(self, traffic: Traffic, inner: Toolbox | None = None) -> None:
        self.traffic = traffic
        self.inner = inner

    def offered(self, name: str, *, write: bool) -> None:
        if self.inner is not None:
            self.inner.offered(name, write=write)

    def answers(self, name: str) -> bool:
        return self.inner is not None and self.inner.answers(name)

    async def call(
        self, name: str, arguments: dict[str, Any], live: Callable[[], Awaitable[Any]], *, write: bool
    ) -> Any:
        """The pinned answer, the recorded one, or the tool's own."""

        async def answered() -> Any:
            exchange = self.traffic.begin_tool(name, arguments, write=write)
            if not exchange.live:
                return await exchange.arrive_async()
            try:
                result = await live()
            except BaseException as error:
                exchange.ended(None, error)
                raise
            exchange.ended(result, None)
            return result

        if self.inner is None:
            return await answered()
        own = live if self.inner.answers(name) else answered
        return await self.inner.call(name, arguments, own, write=write)

    def call_sync(self, name: str, arguments: dict[str, Any], live: Callable[[], Any], *, write: bool) -> Any:
        """Like ``call``, for a tool that is a plain function."""

        def answered() -> Any:
            exchange = self.traffic.begin_tool(name, arguments, write=write)
            if not exchange.live:
                return exchange.arrive()
            try:
                result = live()
            except BaseException as error:
                exchange.ended(None, error)
                raise
            exchange.ended(result, None)
            return result

        if self.inner is None:
            return answered()
        own = live if self.inner.answers(name) else answered
        return self.inner.call_sync(name, arguments, own, write=write)
