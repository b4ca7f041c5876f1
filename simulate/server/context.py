"""What every answer of a running server may need."""

from __future__ import annotations

from dataclasses import dataclass

from simulate.server.access import Access
from simulate.server.assembler import Assembler
from simulate.server.intake import SpanIntake
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
    address: str = ""
    """``http://127.0.0.1:PORT``, once it listens."""
