"""Threads and pools that an agent starts belong to its conversation."""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulate.replay.intercept.router import TrafficRouter


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The methods to replace."""
    start: Callable[..., None] = threading.Thread.start
    submit: Callable[..., Any] = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_inside(thread: threading.Thread) -> None:
        if router.current is not None and not getattr(thread, "_simulate_inside", False):
            context, run = contextvars.copy_context(), thread.run
            thread.run = lambda: context.run(run)
            thread._simulate_inside = True  # type: ignore[attr-defined]
        start(thread)

    @functools.wraps(submit)
    def submit_inside(
        pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        if router.current is None:
            return submit(pool, function, *args, **kwargs)
        return submit(pool, contextvars.copy_context().run, function, *args, **kwargs)

    return [(threading.Thread, "start", start_inside), (ThreadPoolExecutor, "submit", submit_inside)]
