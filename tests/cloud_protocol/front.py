"""The protocol on a real socket, for tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path

from aiohttp import web

from simulate.cloud_protocol.answers import answered
from simulate.cloud_protocol.service import CloudService
from simulate.local_server import listening
from simulate.model.loading.project import Project


@contextlib.asynccontextmanager
async def serving(root: Path) -> AsyncGenerator[str]:
    """The address of a service that plays the scenarios of the project in ``root``."""
    service = CloudService(Project.find(root))

    async def answer(raw: web.BaseRequest) -> web.Response:
        body = json.loads(await raw.text() or "{}")
        status, told = await answered(service, raw.method, raw.path, dict(raw.query), body)
        return web.json_response(told, status=status)

    async with listening(answer, 0) as port:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await service.aclose()
