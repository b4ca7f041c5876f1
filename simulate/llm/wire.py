"""The openai SDK at the edge: one client per endpoint and event loop, and its errors in our words."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from simulate.errors import EnvironmentFault, Fault, SimulatorFault
from simulate.llm.config import ModelConfig
from simulate.model.shapes import object_of
from simulate.model.text import shorten
from simulate.retry_after import retry_after
from simulate.trace.redaction.redact import Redactor

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI = "https://api.openai.com/v1"
OPTIONAL = ("temperature", "seed", "logprobs", "top_logprobs", "stream_options", "max_tokens")
"""What we ask for and can do without, when an endpoint does not know it."""
NEEDED = ("tools", "tool_choice", "response_format")
"""What the one who asks must replace by something else."""

LOOK = "look at the server's log"


class Unsupported(SimulatorFault):
    """The endpoint does not know ``tools`` or ``response_format``; ask in another way."""

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Again(Exception):
    """The same call may be made again after ``seconds`` (None: not said); ``fault`` if it is not."""

    def __init__(self, fault: Fault, seconds: float | None = None) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.seconds = seconds


class Without(Exception):
    """The same call may be made again without ``parameter``."""

    def __init__(self, parameter: str) -> None:
        super().__init__(parameter)
        self.parameter = parameter


_Clients = dict[tuple[str, str, float], tuple["AsyncOpenAI", AsyncGenerator[None]]]
_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = weakref.WeakKeyDictionary()


async def client(config: ModelConfig) -> AsyncOpenAI:
    """The running loop's client for this endpoint; a thousand conversations share one.

    It is closed when the loop ends: its keeper is an asynchronous generator, and `asyncio.run` closes those.
    """
    from openai import AsyncOpenAI  # it takes a second to import

    held = _clients.setdefault(asyncio.get_running_loop(), {})
    key = (config.base_url or OPENAI, config.api_key or "", config.timeout)
    if key not in held:
        # local servers want no key, but the SDK wants one; and its own retries would not be ours to count
        sdk = AsyncOpenAI(base_url=key[0], api_key=key[1] or "none", timeout=config.timeout, max_retries=0)
        keeper = _keeper(sdk, held, key)
        held[key] = (sdk, keeper)
        await anext(keeper)
    return held[key][0]


async def _keeper(sdk: AsyncOpenAI, held: _Clients, key: tuple[str, str, float]) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        # a closed client that stays here would keep its loop alive
        held.pop(key, None)
        await sdk.close()


async def close_clients() -> None:
    """Close the running loop's clients now, rather than when the loop ends."""
    for _, keeper in list(_clients.pop(asyncio.get_running_loop(), {}).values()):
        await keeper.aclose()


def place(config: ModelConfig) -> str:
    """The endpoint without anything secret that its address may hold."""
    parts = urlsplit(config.base_url or OPENAI)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


_HALF_HIDDEN_KEY = re.compile(r"(?:sk|pk|rk|key)-[\w*.\-]*\*[\w*.\-]*")
"""A key as providers repeat it in a refusal."""


def clean(text: str, config: ModelConfig) -> str:
    """A foreign message without the key, in one line of at most 400 characters."""
    redactor = Redactor(kinds=("secret",))
    for secret in (config.api_key, *config.headers.values()):
        if secret:
            text = text.replace(secret, redactor.placeholder("secret", secret))
    text = _HALF_HIDDEN_KEY.sub(lambda key: redactor.placeholder("secret", key[0]), text)
    return shorten(redactor.text(text), 400)


def translated(error: Exception, config: ModelConfig, role: str, sent: dict[str, Any]) -> Exception:
    """What to raise for an exception of the SDK: a Fault, `Again` or `Without`."""
    import openai  # has long been imported by who raised the error

    where = f"the {role}'s model {config.model!r} at {place(config)}"
    if isinstance(error, openai.APIStatusError):
        return _status(error, config, role, sent, where)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        fault = EnvironmentFault(
            f"no answer within {config.timeout:g} s",
            where=where,
            hint="raise its timeout, or look at the server",
        )
        return Again(fault)
    if isinstance(error, openai.APIConnectionError):
        why = clean(str(error.__cause__ or error), config)
        if type(error.__cause__).__name__ in {"RemoteProtocolError", "ReadError"}:
            return Again(EnvironmentFault(f"its answer broke off: {why}", where=where, hint=LOOK))
        return Again(
            EnvironmentFault(f"cannot be reached: {why}", where=where, hint="is the server running?")
        )
    said = clean(str(error), config) or type(error).__name__
    return Again(
        EnvironmentFault(
            f"its answer broke off or cannot be read ({type(error).__name__}: {said})",
            where=where,
            hint=f"{LOOK}; is it OpenAI-compatible?",
        )
    )


def _status(error: Any, config: ModelConfig, role: str, sent: dict[str, Any], where: str) -> Exception:
    status: int = error.status_code
    raw: object = error.body
    body = object_of(raw)
    code = str(body.get("code") or "")
    said = clean(str(body.get("message") or error.message), config)
    entry = f"[tool.simulate.models] {role}"
    if status in {400, 422}:
        return _bad_request(body, code, said, sent, where)
    if status in {401, 403}:
        hint = f"check the api_key of {entry}, or OPENAI_API_KEY"
        return EnvironmentFault(f"refused our key ({status}): {said}", where=where, hint=hint)
    if status == 404:
        hint = f"check base_url (it usually ends in /v1) and model of {entry}"
        return EnvironmentFault(f"not found (404): {said}", where=where, hint=hint)
    if status == 429 and code == "insufficient_quota":
        return EnvironmentFault(f"the account's quota is used up: {said}", where=where)
    fault = EnvironmentFault(
        f"answered {status}: {said}",
        where=where,
        hint="run fewer conversations at once (--jobs)" if status == 429 else LOOK,
    )
    if status in {408, 409, 429} or status >= 500:
        return Again(fault, retry_after(error.response.headers))
    return fault


def _bad_request(body: dict[str, Any], code: str, said: str, sent: dict[str, Any], where: str) -> Exception:
    if code == "context_length_exceeded" or re.search(r"context (length|size|window)", said, re.I):
        hint = "shorten the persona or the scenario's limits, or take a model with a longer context"
        return SimulatorFault(f"the conversation is too long for it: {said}", where=where, hint=hint)
    named = str(body.get("param") or "").split(".")[0]
    quoted = set(re.findall(r"[a-z_]+", said))
    for parameter in (*OPTIONAL, *NEEDED):
        if parameter in sent and (parameter == named or (not named and parameter in quoted)):
            if parameter in OPTIONAL:
                return Without(parameter)
            return Unsupported(f"{where}: does not know {parameter}: {said}", parameter)
    return SimulatorFault(f"did not accept our request: {said}", where=where)
