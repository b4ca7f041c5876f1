"""What every answer of a running server may need."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.cloud_protocol.service import CloudService
from simulate.server.access import Access
from simulate.server.assembler import Assembler
from simulate.server.intake import SpanIntake
from simulate.server.jobs import Problems
from simulate.server.judging import Judging
from simulate.server.settings import ServerSettings
from simulate.server.store.store import Store


@dataclass(slots=True)
class Context:
    """The parts of one server."""

    store: Store
    settings: ServerSettings
    access: Access
    intake: SpanIntake
    assembler: Assembler
    problems: Problems
    judging: Judging | None = None
    cloud: CloudService | None = None
    """Plays the scenarios of a project to clients that bring their agent."""
    address: str = ""
    """``http://127.0.0.1:PORT``, once it listens."""
    grpc_address: str = ""
    """Where exports come over gRPC, once it listens there."""
