"""Engines to agents whose processes are ours: what became of the process is part of what went wrong."""

from __future__ import annotations

from simulate.conversation.agents.process import AgentProcess
from simulate.conversation.engine import Engine, TrialSession
from simulate.errors import Fault


class OwnProcess:
    """Carries conversations by another engine; their faults tell what the agent's process printed meanwhile,
    and that it ended, if it did."""

    outside = True

    def __init__(self, engine: Engine, process: AgentProcess) -> None:
        self.engine, self.process = engine, process
        self.name, self.address = engine.name, engine.address

    async def converse(self, session: TrialSession) -> None:
        since = self.process.place
        try:
            await self.engine.converse(session)
        except Fault as fault:
            if fault.side not in ("agent", "environment"):
                raise
            raise await self.process.explain(fault, since) from fault

    async def aclose(self) -> None:
        await self.engine.aclose()


class NoEngine:
    """Stands for an agent whose process did not start: every conversation with it ends in that fault."""

    name, outside = "none", False

    def __init__(self, address: str, fault: Fault) -> None:
        self.address, self.fault = address, fault

    async def converse(self, session: TrialSession) -> None:
        raise self.fault

    async def aclose(self) -> None: ...
