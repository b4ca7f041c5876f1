"""The requests of the protocol, answered: every answer is wrapped, and so is every refusal."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from simulate.cloud_protocol.service import CloudService, NotThere
from simulate.errors import Fault, InputError, SimulateError
from simulate.model.shapes import is_list, object_of

PAGE = 20
"""Entries of a page of metrics, unless the client asks for another number."""


def is_of_protocol(path: str) -> bool:
    """Whether a request to this path is one of the protocol's."""
    return path.startswith(("/simulate/", "/sdk/api/v1/simulation/"))


async def answered(
    service: CloudService, method: str, path: str, query: Mapping[str, str], body: object
) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of the answer."""
    for known, pattern, ask in _ASKED:
        found = re.fullmatch(pattern, path.rstrip("/"))
        if found is not None and known == method:
            try:
                result = await ask(service, *found.groups(), query, object_of(body))
            except NotThere as error:
                return 404, _refused(error)
            except InputError as error:
                return 400, _refused(error)
            except Fault as error:
                return 503, _refused(error)
            return 200, {"status": True, "result": result}
    return 404, {"status": False, "message": f"the protocol has no {method} {path[:200]}"}


def _refused(error: SimulateError) -> dict[str, Any]:
    told = error.message if error.hint is None else f"{error.message}; {error.hint}"
    return {"status": False, "message": told}


async def _id(service: CloudService, name: str, *_: Any) -> Any:
    return {"run_test_id": service.run_test(name)}


async def _execute(service: CloudService, run_test: str, *_: Any) -> Any:
    return {"execution_id": await service.execute(run_test)}


async def _batch(service: CloudService, execution: str, *_: Any) -> Any:
    ids, more, scenarios = service.batch(execution)
    return {"call_execution_ids": ids, "has_more": more, "batched_scenarios": scenarios}


async def _message(service: CloudService, call: str, _: Mapping[str, str], body: Mapping[str, Any]) -> Any:
    if body.get("initiate_chat", body.get("initiateChat")) is True:
        return await service.begin(call)
    messages = body.get("messages")
    if not is_list(messages):
        raise InputError("`messages` is missing: a list of what the agent said")
    return await service.answer(call, messages, object_of(body.get("metrics")))


async def _status(service: CloudService, call: str, _: Mapping[str, str], body: Mapping[str, Any]) -> Any:
    status = body.get("status")
    if not isinstance(status, str):
        raise InputError("`status` is missing: failed, cancelled or completed")
    reason = body.get("ended_reason", body.get("endedReason"))
    await service.end(call, status, None if reason is None else str(reason))
    return {"status": status}


async def _metrics(service: CloudService, query: Mapping[str, str], _: Mapping[str, Any]) -> Any:
    execution, call, named = map(query.get, ("execution_id", "call_execution_id", "run_test_name"))
    if not (execution or call or named):
        raise InputError("name a run_test_name, an execution_id or a call_execution_id")
    found = service.metrics(execution=execution, call=call, run_test=named)
    if named is None:
        return found[0]
    page, limit = (_number(query, key, default) for key, default in (("page", 1), ("limit", PAGE)))
    return {
        "count": len(found),
        "page": page,
        "results": found[(page - 1) * limit : page * limit],
        "has_more": page * limit < len(found),
    }


def _number(query: Mapping[str, str], key: str, default: int) -> int:
    text = query.get(key) or str(default)
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 1000:
        raise InputError(f"{key}={text[:20]} is not a number from 1 to 1000")
    return int(text)


_ASKED: tuple[tuple[str, str, Callable[..., Awaitable[Any]]], ...] = (
    ("GET", r"/simulate/run-tests/get-id-by-name/(.+)", _id),
    ("POST", r"/simulate/run-tests/([^/]+)/chat-execute", _execute),
    ("POST", r"/simulate/test-executions/([^/]+)/chat/call-executions/batch", _batch),
    ("POST", r"/simulate/call-executions/([^/]+)/chat/send-message", _message),
    ("PATCH", r"/simulate/call-executions/([^/]+)", _status),
    ("GET", r"/sdk/api/v1/simulation/metrics", _metrics),
)
"""Each request: its method, its path without the last slash, and what answers it."""
