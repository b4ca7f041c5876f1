"""What an SDK's client was last answered over HTTP: the SDK's own exception often tells less, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulate.conversation.agents.connection_faults import (
    connection_fault,
    is_whole_page,
    other_protocol,
    page_fault,
)
from simulate.conversation.agents.http_client import body_fault, model_fault, parse_json
from simulate.conversation.agents.status_faults import is_page
from simulate.errors import AgentFault, EnvironmentFault, Fault
from simulate.model.agent_address import target_of
from simulate.model.outage import outage


class LastResponse:
    """A hook for the responses of a client like httpx's, which keeps the fault that the last one tells of.

    Args:
        address: The agent's, for messages.
        not_found: What to do where there is nothing at the address.
        counts: Whether a request is one whose answer matters; every one unless given.
    """

    def __init__(
        self,
        address: str,
        *,
        not_found: str | None = None,
        counts: Callable[[Any], bool] = lambda request: True,
    ) -> None:
        self.address, self.not_found, self._counts = address, not_found, counts
        self.fault: Fault | None = None

    async def hook(self, response: Any) -> None:
        """Look at a response before the SDK does. A stream of events is left to the SDK."""
        if not self._counts(response.request):
            return
        self.fault = None
        if response.status_code < 300 and response.headers.get("content-type", "").startswith("text/event"):
            return
        await response.aread()
        text = response.text
        if response.status_code >= 300:
            is_html = is_page(response.headers) or is_whole_page(text)
            self.fault = body_fault(
                self.address, response.status_code, text, is_html=is_html, not_found=self.not_found
            )
        elif is_page(response.headers) or is_whole_page(text):
            self.fault = page_fault(text, self.address)
        else:
            self.fault = model_fault(parse_json(text), self.address)

    async def fault_of(self, error: BaseException) -> Fault:
        """Whose fault it is that the SDK raised this: what the response said comes first, then what is
        between us and the agent, then what the agent said in its protocol."""
        if self.fault is not None:
            return self.fault
        if isinstance(error, Exception) and (known := connection_fault(error, self.address)) is not None:
            return known
        if "disconnected without" in str(error):
            return await other_protocol(target_of(self.address)) or AgentFault(
                f"{self.address} closed the connection without an answer"
            )
        told = str(error) or type(error).__name__
        # an exception with a cause is of the connection, whose end midway is the agent's
        if error.__cause__ is None and (why := outage(told)) is not None:
            return EnvironmentFault(f"{self.address}: {told} (its model {why})")
        return AgentFault(f"{self.address}: {told}")
