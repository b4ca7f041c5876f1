"""Which model plays the caller or the judge, and where it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulate.child_process import environment_set
from simulate.errors import InputError
from simulate.model.web_url import url_problem


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """An OpenAI-compatible endpoint and how to ask it. None leaves a choice to the endpoint.

    ``timeout`` is the seconds that one call may take, ``retries`` how often one is made again after 429, 5xx
    or a broken connection. The key is never part of the representation.
    """

    model: str
    base_url: str | None = None
    """None is api.openai.com."""
    api_key: str | None = field(default=None, repr=False)
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    timeout: float = 60.0
    retries: int = 3
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Sent with every request."""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of every request's body, for what only this endpoint knows."""

    def __post_init__(self) -> None:
        problem = None if self.base_url is None else url_problem(self.base_url)
        if problem is not None:
            raise InputError(
                f"the base URL of the model {self.model} {problem}",
                hint="it is base_url under [tool.simulate.models], or OPENAI_BASE_URL: http://127.0.0.1:8000/v1",
            )


PLACEHOLDER = "placeholder-key-of-a-replay"
"""A key that opens nothing."""
_KEYS = (
    "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY",
    "MISTRAL_API_KEY", "GROQ_API_KEY", "CO_API_KEY", "COHERE_API_KEY", "TOGETHER_API_KEY",
    "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY", "XAI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
)  # fmt: skip


@contextlib.contextmanager
def placeholder_keys(others: Iterable[str] = ()) -> Generator[None]:
    """While inside, each unset variable of a model's key, and of ``others``, is set: a replay calls no model,
    but an SDK refuses to be made without a key."""
    unset = [name for name in (*_KEYS, *others) if not os.environ.get(name)]
    with environment_set(dict.fromkeys(unset, PLACEHOLDER)):
        yield


def from_environment(environ: Mapping[str, str] | None = None) -> ModelConfig | None:
    """The model that ``OPENAI_BASE_URL``, ``OPENAI_API_KEY`` and ``OPENAI_MODEL`` name; None where neither of
    the first two is set."""
    values = os.environ if environ is None else environ
    base_url, key = values.get("OPENAI_BASE_URL") or None, values.get("OPENAI_API_KEY") or None
    if base_url is None and key is None:
        return None
    return ModelConfig(model=values.get("OPENAI_MODEL") or "gpt-5-mini", base_url=base_url, api_key=key)
