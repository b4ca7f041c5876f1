"""What goes on between the service and one client."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from simulate.cloud_protocol.client_agent import ClientAgent
from simulate.model.outcome import Outcome, RunRecord
from simulate.model.trial import TrialSpec
from simulate.suite import Suite


@dataclass(slots=True)
class RunningCall:
    """One conversation with a client's agent."""

    id: str
    spec: TrialSpec
    agent: ClientAgent
    task: asyncio.Task[Outcome] | None = None
    history: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    latencies: list[float] = field(default_factory=list[float])
    """Milliseconds that each of the agent's answers took, as the client measured them."""
    status: str = "pending"
    outcome: Outcome | None = None


@dataclass(slots=True)
class Execution:
    """One run test that a client runs."""

    id: str
    test: str
    suite: Suite
    record: RunRecord
    waiting: list[TrialSpec]
    calls: dict[str, RunningCall] = field(default_factory=dict[str, RunningCall])
    heard: float = field(default_factory=time.monotonic)
    """When its client was last heard of."""
    closed: bool = False
