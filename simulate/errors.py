"""Every error that users of this package meet, as one tree.

::

    SimulateError
    ├── InputError            refused before anything runs (exit code 2)
    │   ├── FileProblems      a scenario, persona or data file; lists every problem of the file
    │   ├── AddressError      an agent's address that leads nowhere
    │   ├── TraceFileError    a file that is not a trace, or one that would be read wrongly
    │   ├── NotReplayable     a trace or cassette that lacks what a replay needs
    │   └── MissingExtra      an optional dependency; names the extra to install
    └── Fault                 something broke while running; ``side`` says whose it is
        ├── AgentFault        the agent under test
        ├── SimulatorFault    the simulated caller or the judge
        ├── HarnessFault      this package
        └── EnvironmentFault  network, server, disk, machine
            └── NotInstalled  what a scenario needs is not on this machine, so it did not run

Each message says what happened, ``where`` says at which file, line, turn or span, and ``hint`` says
what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["agent", "simulator", "harness", "environment"]


class SimulateError(Exception):
    """What happened, where, and what to do; the base of every error raised on purpose.

    ``proof`` is a text of several lines that shows it, such as the traceback of the agent's own code."""

    def __init__(
        self, message: str, *, where: str | None = None, hint: str | None = None, proof: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.proof = proof

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        text = f"{text}\n  {self.hint}" if self.hint else text
        return f"{text}\n{self.proof}" if self.proof else text


class InputError(SimulateError):
    """Bad input or usage, found before anything ran."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file; ``line`` and ``column`` count from 1."""

    message: str
    file: str
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}"
        return f"{text}\n  {self.hint}" if self.hint else text


class FileProblems(InputError):
    """All that is wrong in one or more files, not the first thing only."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AddressError(InputError):
    """An agent's address that cannot be understood or imported."""


class TraceFileError(InputError):
    """A file that holds no trace we can read, or would be read wrongly."""


class NotReplayable(InputError):
    """A trace or cassette that lacks something which a replay needs."""


class MissingExtra(InputError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed", hint=f"pip install 'simulate-agents[{extra}]' brings it")
        self.extra = extra


class Fault(SimulateError):
    """Something broke while a conversation ran."""

    side: Side = "harness"


class AgentFault(Fault):
    """The agent under test raised, hung, or answered something that is not an answer."""

    side: Side = "agent"


class SimulatorFault(Fault):
    """The simulated caller or the judge could not do its part."""

    side: Side = "simulator"


class HarnessFault(Fault):
    """This package could not do its part."""

    side: Side = "harness"


class EnvironmentFault(Fault):
    """Network, server, disk or machine; nobody's program."""

    side: Side = "environment"


class NotReached(EnvironmentFault):
    """Nobody was there to take the call, so that no span of the agent's is to be waited for."""


class NotInstalled(EnvironmentFault):
    """What this scenario needs is not on this machine: it did not run; the others may."""
