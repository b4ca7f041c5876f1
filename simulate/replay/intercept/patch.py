"""The process's HTTP clients, patched once for as long as any conversation is recorded or replayed.

vcrpy puts the patches on and takes them off, and its v1 schema is the cassette's. Its own stubs for httpx,
aiohttp, urllib3 and http.client stay out of it: they buffer streams, give all chunks at once, and let other
threads' requests through while they build a connection. Ours ask `router.route`, which looks at a context
variable, so that conversations in one process never mix.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_lock = threading.Lock()
_stack: contextlib.ExitStack | None = None
_users = 0


@contextlib.contextmanager
def patched() -> Generator[None]:
    """Keep the patches on while inside; the first one in puts them on, the last one out takes them off."""
    global _users, _stack
    with _lock:
        if _users == 0:
            _stack = _install()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _stack is not None:
                _stack.close()
                _stack = None


class _Router:
    """What vcrpy's patcher needs to know of a cassette."""

    _path = "simulate"
    skip_patchers = (
        "httplib",
        "requests",
        "boto3",
        "urllib3",
        "httplib2",
        "tornado",
        "aiohttp",
        "httpx",
        "httpx2",
    )

    def __init__(self, patches: list[tuple[Any, str, Any]]) -> None:
        self.custom_patches = tuple(patches)


# undocumented names of vcrpy are used: tests/test_private_names.py lists them, with the version tried
def _install() -> contextlib.ExitStack:
    from vcr.patch import CassettePatcherBuilder

    from simulate.replay.intercept import aiohttp_client, httpx_client, mcp_client, socket_client

    patches = [
        *httpx_client.patches(),
        *aiohttp_client.patches(),
        *socket_client.patches(),
        *mcp_client.patches(),
        *_threads(),
    ]
    stack = contextlib.ExitStack()
    try:
        builder: Any = CassettePatcherBuilder(_Router(patches))
        for patcher in builder.build():
            stack.enter_context(patcher)
    except BaseException:
        stack.close()
        raise
    return stack


def _threads() -> list[tuple[Any, str, Any]]:
    """Threads and pools that an agent starts belong to its conversation."""
    from simulate.replay.session import current

    start: Callable[..., None] = threading.Thread.start
    submit: Callable[..., Any] = ThreadPoolExecutor.submit

    @functools.wraps(start)
    def start_inside(thread: threading.Thread) -> None:
        if current.get() is not None and not getattr(thread, "_simulate_inside", False):
            context, run = contextvars.copy_context(), thread.run
            thread.run = lambda: context.run(run)
            thread._simulate_inside = True  # type: ignore[attr-defined]
        start(thread)

    @functools.wraps(submit)
    def submit_inside(
        pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        if current.get() is None:
            return submit(pool, function, *args, **kwargs)
        return submit(pool, contextvars.copy_context().run, function, *args, **kwargs)

    return [(threading.Thread, "start", start_inside), (ThreadPoolExecutor, "submit", submit_inside)]
