"""What an error says of the model behind it: that it is down, refuses, lacks its key or stopped midway."""

from __future__ import annotations

import re
from typing import Any, cast

REFUSES = frozenset({401, 402, 403, 404, 405, 407, 408, 409, 421, 423, 425, 429, 451})
"""Statuses of client errors that speak of keys, addresses, proxies and quotas, never of what was asked."""
_STATUS = re.compile(
    r"\b(?:error code|status(?:[ _]?code)?|http(?:/\d(?:\.\d)?)?|answered|returned)"
    r"\s*[:=]?\s*\(?([345]\d\d)\b"
    r"|^\W*([45]\d\d)\b",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"\b[A-Z][A-Z\d]*(?:_[A-Z\d]+)*_(?:API_)?(?:KEY|TOKEN)\b"
    r"|\bapi[ _-]?key\b.{0,60}"
    r"\b(?:must|missing|not (?:set|found|provided)|invalid|incorrect|required|expired)"
    r"|\b(?:missing|invalid|incorrect|expired|no|unset|provide (?:an|your)) api[ _-]?key\b"
    r"|could not resolve authentication|unable to locate credentials|default credentials were not found",
    re.IGNORECASE,
)
_DOWN = re.compile(
    # not what a web framework says of each exception: "either the server is overloaded or there is an error"
    r"rate.?limit|overloaded(?! or there is)|over capacity|too many requests|throttl|quota"
    r"|insufficient.(?:credit|balance|funds)"
    # nor the name of status 500 in two words or more, which says nothing
    r"|resource.?exhausted|service.?unavailable|bad gateway|gateway time.?out|internal_?server_?error"
    r"|\bapi_error"
    r"|server_error|server had an error|model is (?:currently )?(?:loading|unavailable)|upstream"
    r"|authentication.?error|permission.?denied|unauthenticated|unauthorized|billing"
    r"|(?:api)?connect(?:ion)?.?(?:error|refused|reset|aborted|timeout)|api.?timeout|deadline.?exceeded"
    r"|read.?timeout|connect call failed|remote.?protocol.?error|incomplete.?read|peer closed connection"
    r"|server disconnected|name or service not known|certificate.verify|ssl.?error"
    r"|stream (?:broke|ended|was cut)",
    re.IGNORECASE,
)


def refuses(status: int) -> bool:
    """Whether a model that answers this status is out of reach rather than asked wrongly."""
    return status in REFUSES or status >= 500


def outage(text: str, status: int | None = None) -> str | None:
    """In a few words why a model could not answer; None where ``text`` (an error's type and message) tells of
    nothing of the kind, such as of a request that was wrong."""
    if status is None and (found := _STATUS.search(text)) is not None:
        status = int(found[1] or found[2])
    if status is not None and status >= 400:
        return f"answered {status}" if refuses(status) or _KEY.search(text) else None
    if _KEY.search(text):
        return "lacks its key"
    down = _DOWN.search(text)
    return None if down is None else f"failed ({down[0]})"


MODEL_LIBRARIES = frozenset(
    {
        "openai", "anthropic", "mistralai", "cohere", "groq", "litellm", "ollama", "together", "fireworks",
        "huggingface_hub", "pydantic_ai", "google.genai", "google.generativeai", "ai21", "replicate",
    }
)  # fmt: skip
"""Whose exceptions are a model's."""
_HTTP_LIBRARIES = frozenset({"httpx", "httpcore", "requests", "aiohttp", "urllib3", "botocore"})
_MODEL_PATH = re.compile(
    r"/(?:chat/completions|completions|responses|messages|embeddings|converse|invoke|api/chat|api/generate)\b"
    r"|:(?:stream)?generateContent"
)


def model_failure(error: BaseException) -> str | None:
    """Why the agent's own model could not answer, where an exception or what led to it says so.

    A tool's failed request is none: of a library for HTTP in general, only a request to a model counts."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if _of_a_model(one) and (why := outage(f"{type(one).__name__}: {one}", _status_of(one))) is not None:
            return why
        waiting += [one.__context__, one.__cause__]
        if isinstance(one, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", one).exceptions
    return None


def _of_a_model(error: BaseException) -> bool:
    module = type(error).__module__
    names = {module.partition(".")[0], ".".join(module.split(".")[:2])}
    if names & MODEL_LIBRARIES:
        return True
    if isinstance(error, KeyError | ValueError | RuntimeError) and not names & _HTTP_LIBRARIES:
        # a key that is looked up in the environment by hand
        return re.fullmatch(r".*\b[A-Z][A-Z\d_]*_API_KEY\b.*", str(error), re.DOTALL) is not None
    if not names & _HTTP_LIBRARIES:
        return False
    try:
        asked: Any = getattr(error, "request", None) or getattr(error, "request_info", None)
    except RuntimeError:  # httpx has the request only where there was one
        return False
    operation = str(getattr(error, "operation_name", ""))
    return operation.startswith(("Converse", "Invoke")) or bool(
        _MODEL_PATH.search(str(getattr(asked, "url", "")))
    )


def _status_of(error: BaseException) -> int | None:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return None  # botocore's; its message names what happened
    for holder in (error, response):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 300 <= value < 600:
                return value
    return None
