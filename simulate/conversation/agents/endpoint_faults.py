"""Whose fault it is that a request to an endpoint came to nothing, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

import openai

from simulate.conversation.agents.connection_faults import connection_fault, error_told
from simulate.conversation.agents.status_faults import is_page, status_fault
from simulate.errors import AgentFault, EnvironmentFault, Fault, HarnessFault
from simulate.model.text import shorten


def fault_of(error: Exception, address: str, *, midway: bool = False) -> Fault:
    """The fault that an exception of the SDK comes to."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, address)
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
    if isinstance(error, openai.OpenAIError):
        return AgentFault(f"{address}: {type(error).__name__}: {error}")
    return HarnessFault(f"{address} was not asked: {type(error).__name__}: {error}")


def _document(text: str) -> Any:
    """The body as JSON; what a framework says in plain text of each exception tells nothing."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _of_status(error: openai.APIStatusError, address: str) -> Fault:
    response, status = error.response, error.status_code
    told = error_told(_document(response.text))
    detail = error.message if error.message != f"Error code: {status}" else ""
    return status_fault(
        address,
        status,
        detail or (f"its model {told}" if told else ""),
        not_found="the address should end before /chat/completions, often in /v1",
        page=response.text if is_page(response.headers) else None,
        model_failed=told is not None,
    )
