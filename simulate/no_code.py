"""Files from elsewhere may name code; ``--no-code`` refuses whatever would run it.

Whoever imports a module or starts a program that a file names asks here first, so that no verb can forget it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from simulate.errors import InputError
from simulate.model.agent_address import names_code
from simulate.model.expect import PythonCheck, Scores
from simulate.model.scenario import Scenario

VARIABLE = "SIMULATE_NO_CODE"
"""Its value is 1 while nothing may run, also for processes that we start."""


def forbidden() -> bool:
    """Whether code that files name is refused."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


@contextmanager
def forbidding(wanted: bool) -> Generator[None]:
    """Refuse such code while inside, where that is ``wanted`` or was so before."""
    before = os.environ.get(VARIABLE)
    if wanted:
        os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def check_allowed(what: str) -> None:
    """Raises InputError for something that would run code, where none may run."""
    if forbidden():
        raise InputError(
            f"{what} runs code, which --no-code refuses",
            hint="read it first; then run without --no-code, or reach an agent by its URL",
        )


def code_of(scenario: Scenario) -> Iterator[str]:
    """What in a scenario runs code, as it stands there: ``agent: python:shop:agent``."""
    if scenario.agent is not None and names_code(scenario.agent):
        yield f"agent: {scenario.agent}"
    if scenario.world is not None:
        yield f"world: {scenario.world}"
    if scenario.caller is not None:
        yield f"caller: {scenario.caller}"
    for each in scenario.expect:
        if isinstance(each, PythonCheck):
            yield f"python: {each.python}"
        elif isinstance(each, Scores):
            yield from (f"scores: {name}" for name in each.scores if ":" in name)
