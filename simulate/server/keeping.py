"""What the server does by itself now and then: it lets old traces go."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import DBAPIError

from simulate.server.context import Context
from simulate.server.store.retention import expire

EVERY = 600.0
"""Seconds."""
_log = logging.getLogger("simulate.server")


async def keep_clean(context: Context) -> None:
    """Hold the store to its limits, for ever."""
    limits = context.settings.retention
    most = None if limits.gigabytes is None else int(limits.gigabytes * 1e9)
    while True:
        try:
            await asyncio.to_thread(expire, context.store, limits.days, most)
        except DBAPIError as error:
            _log.error("old traces cannot be removed: %s", error.orig)
        await asyncio.sleep(EVERY)
