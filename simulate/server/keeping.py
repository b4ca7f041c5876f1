"""What the server does by itself now and then: it lets old traces go."""

from __future__ import annotations

import asyncio

from simulate.server.context import Context
from simulate.server.store.retention import expire

EVERY = 600.0
"""Seconds."""


async def keep_clean(context: Context) -> float:
    """Hold the store to its limits; the seconds until the next time."""
    limits = context.settings.retention
    most = None if limits.gigabytes is None else int(limits.gigabytes * 1e9)
    await asyncio.to_thread(expire, context.store, limits.days, most)
    return EVERY
