"""Threads, tasks, and functions for the end of the process stay in the conversation that starts them."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from simulate.replay.intercept.router import TrafficRouter


def patches(router: TrafficRouter) -> list[tuple[Any, str, Any]]:
    """The functions to replace."""
    start: Callable[..., None] = threading.Thread.start
    submit: Callable[..., Any] = ThreadPoolExecutor.submit
    create: Callable[..., Any] = asyncio.BaseEventLoop.create_task
    register: Callable[..., Any] = atexit.register

    @functools.wraps(start)
    def start_inside(thread: threading.Thread) -> None:
        traffic = router.current
        if traffic is not None and not getattr(thread, "_simulate_inside", False):
            context, run = contextvars.copy_context(), thread.run
            thread.run = lambda: context.run(run)
            thread._simulate_inside = True  # type: ignore[attr-defined]
            router.background.began(traffic, thread)
        start(thread)

    @functools.wraps(submit)
    def submit_inside(
        pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        if router.current is None:
            return submit(pool, function, *args, **kwargs)
        return submit(pool, contextvars.copy_context().run, function, *args, **kwargs)

    @functools.wraps(create)
    def create_inside(loop: Any, *args: Any, **kwargs: Any) -> Any:
        task = create(loop, *args, **kwargs)
        if router.current is not None:
            router.background.began(router.current, task)
        return task

    @functools.wraps(register)
    def register_inside(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if router.current is None:
            return register(function, *args, **kwargs)
        router.background.to_come.add(router.current)
        register(contextvars.copy_context().run, function, *args, **kwargs)
        return function

    return [
        (threading.Thread, "start", start_inside),
        (ThreadPoolExecutor, "submit", submit_inside),
        (asyncio.BaseEventLoop, "create_task", create_inside),
        (atexit, "register", register_inside),
    ]
