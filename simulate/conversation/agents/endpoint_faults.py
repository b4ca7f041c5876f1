"""Whose fault it is that a request to an endpoint came to nothing, and what to do about it."""

from __future__ import annotations

import json

import openai

from simulate.conversation.agents.connection_faults import connection_fault, error_told, is_page, title_of
from simulate.errors import AgentFault, EnvironmentFault, Fault
from simulate.model.outage import refuses
from simulate.model.text import shorten

_HINTS = {
    401: "set the agent's key in [tool.simulate.agents] as env:NAME",
    403: "set the agent's key in [tool.simulate.agents] as env:NAME",
    404: "the address should end before /chat/completions, often in /v1",
    405: "the address should end before /chat/completions, often in /v1",
    407: "a proxy is in the way: look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
    429: "run fewer at once with --jobs",
}


def fault_of(error: Exception, address: str, *, midway: bool = False) -> Fault:
    """The fault that an exception of the SDK comes to."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, openai.APIStatusError):
        return _status_fault(error, address)
    if (known := connection_fault(error, address)) is not None:
        return known
    if isinstance(error, openai.APITimeoutError):
        return AgentFault(f"{address} did not answer in time")
    if isinstance(error, openai.APIConnectionError) and not midway:
        return AgentFault(f"{address} closed the connection without an answer")
    if isinstance(error, (json.JSONDecodeError, openai.APIResponseValidationError)):
        return AgentFault(f"{address}: the answer is not what the OpenAI protocol says: {error}")
    detail = str(getattr(error, "message", None) or str(error) or type(error).__name__)
    if midway:
        if isinstance(error, openai.APIError) and (told := error_told(error.body)) is not None:
            return EnvironmentFault(
                f"{address}: the stream broke off: its model {told}: {shorten(detail, 300)}"
            )
        return AgentFault(f"{address}: the stream broke off: {detail}")
    return AgentFault(f"{address}: {type(error).__name__}: {error}")


def _status_fault(error: openai.APIStatusError, address: str) -> Fault:
    status = error.status_code
    message = f"{address} answered {status}"
    if is_page(error.response.headers):
        message += f" with a web page{title_of(error.response.text)}"
    elif error.message != f"Error code: {status}":
        message += f": {error.message}"
    if status < 400:
        return EnvironmentFault(message, hint="it redirects without saying where to; correct the address")
    if "HTTPS port" in message or "HTTPS server" in message:
        return EnvironmentFault(message, hint="it speaks TLS: write https:// in the address")
    # 500 is what a program answers that raised; what it says of its model counts
    if (refuses(status) and status != 500) or error_told(error.body) is not None:
        return EnvironmentFault(message, hint=_HINTS.get(status))
    if is_page(error.response.headers) and status != 500:
        return EnvironmentFault(message, hint="is the address that of the agent?")
    return AgentFault(message)
