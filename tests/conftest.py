"""Calls in real time have the machine to themselves, also where pytest-xdist runs other tests beside them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # Windows: run the tests without -n there
    fcntl = None

FOLDER = Path(tempfile.gettempdir())
HELD = "SIMULATE_TESTS_TURN"
"""Set for what a test starts: a pytest inside a test has that test's turn."""


def pytest_collection_finish() -> None:
    """A pytest inside a test leaves out plugins that take longer to import than all that it tests."""
    os.environ.setdefault("PYTEST_ADDOPTS", "-p no:langsmith_plugin -p no:hypothesispytest -p no:faker")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    alone = item.get_closest_marker("alone") is not None
    if fcntl is None or HELD in os.environ or not (alone or "PYTEST_XDIST_WORKER" in os.environ):
        return (yield)
    with _turn(alone=alone):
        return (yield)


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Wait until nobody is alone; and, to be alone, until nobody else is left.

    Who waits holds the gate, so that others do not run past for ever."""
    assert fcntl is not None
    user = os.getuid()
    with (FOLDER / f"simulate-tests-{user}-gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        with (FOLDER / f"simulate-tests-{user}").open("w") as machine:
            fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(gate, fcntl.LOCK_UN)
            os.environ[HELD] = "1"
            try:
                yield
            finally:
                os.environ.pop(HELD, None)
