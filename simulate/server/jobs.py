"""What the server does by itself: a job goes on after any failure, and the pages say what failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import DBAPIError

from simulate.server.store.store import reason

Problems = dict[str, str]
"""What does not work at the moment: the part, and why."""
_log = logging.getLogger("simulate.server")


def told(error: Exception) -> str:
    """Why something failed, for people."""
    if isinstance(error, DBAPIError):
        return f"the store cannot be written: {reason(error)}"
    return f"{type(error).__name__}: {error}"


async def repeat(problems: Problems, name: str, step: Callable[[], Awaitable[float]], every: float) -> None:
    """Do ``step`` for ever, after as many seconds as it says; after ``every`` if it failed."""
    while True:
        try:
            pause = await step()
            problems.pop(name, None)
        except Exception as error:  # noqa: BLE001 - one failure must not end the job
            if problems.get(name) != told(error):  # each failure is logged once
                _log.error("%s: %s", name, told(error), exc_info=not isinstance(error, DBAPIError))
            problems[name] = told(error)
            pause = every
        await asyncio.sleep(pause)
