"""The one seam to language models: every call of the simulated caller and of the judge goes through it."""

from __future__ import annotations

from simulate.llm.budget import Budget
from simulate.llm.config import ModelConfig, from_environment
from simulate.llm.model import Model
from simulate.llm.reply import Reply, RequestedTool, Token
from simulate.llm.wire import Unsupported

__all__ = [
    "Budget",
    "Model",
    "ModelConfig",
    "Reply",
    "RequestedTool",
    "Token",
    "Unsupported",
    "from_environment",
]
