"""What pages, the API and MCP share in answering: JSON, files, one trace, and the audit."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from simulate.local_server import Refused
from simulate.model.json_values import to_json
from simulate.server.routes import PageRequest
from simulate.server.store.find import TraceRow, one, trace_of
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace

if TYPE_CHECKING:
    from aiohttp import web


def answer_json(value: Any, status: int = 200, name: str | None = None) -> web.Response:
    """A response of JSON; ``name`` makes it a file to keep."""
    return file_answer(to_json(value), "application/json", name, status)


def file_answer(data: bytes, kind: str, name: str | None = None, status: int = 200) -> web.Response:
    """A response of these bytes; ``name`` makes it a file to keep."""
    from aiohttp import web  # start-up time

    headers = {} if name is None else {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=data, status=status, content_type=kind, headers=headers)


def row_json(row: TraceRow) -> dict[str, Any]:
    """A trace of the list as programs get it."""
    made = asdict(row)
    del made["id"]
    return SecretMask().value(made)


async def row_of(request: PageRequest) -> TraceRow:
    """The trace that the path names. Raises Refused where there is none."""
    row = await asyncio.to_thread(one, request.context.store, request.project, request.words["trace_id"])
    if row is None:
        raise Refused(404, "there is no trace of this id; sampling may have dropped it")
    return row


async def read_trace(request: PageRequest, row: TraceRow) -> Trace:
    """Its spans, with whatever looks like a secret masked."""
    found = await asyncio.to_thread(trace_of, request.context.store, row)
    return await asyncio.to_thread(SecretMask().trace, found)


def file_name(row: TraceRow) -> str:
    """A trace's id as the name of a file."""
    return "".join(char for char in row.trace_id if char.isalnum() or char in "-_")[:64] or "trace"


async def audit(request: PageRequest, action: str, what: str) -> None:
    """Write down who did it."""
    key = request.key
    await asyncio.to_thread(request.context.store.audit, f"{key.name} ({key.id})", action, what)
