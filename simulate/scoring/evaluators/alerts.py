"""Telling somebody that a score fell below its threshold: a webhook, beside the log event of `attach`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulate.errors import EnvironmentFault, InputError
from simulate.model.loading.project import resolve_secret
from simulate.model.web_url import url_problem
from simulate.scoring.evaluators.export import Post, send
from simulate.scoring.evaluators.result import Result


def breaches(results: Iterable[Result]) -> list[Result]:
    """The scores below their threshold."""
    return [one for one in results if one.passed is False]


def webhook(text: str) -> str:
    """An address to post alerts to, ``env:NAME`` where it is a secret. Raises InputError for what is none."""
    url = resolve_secret(text)
    if (problem := url_problem(url)) is not None:
        hint = "a webhook is an address http(s)://…, or env:NAME of a variable that holds one"
        raise InputError(f"the webhook's address {problem}", hint=hint)
    return url


def body(result: Result, source: str | None = None) -> dict[str, Any]:
    """What an alert says. It quotes nothing of the conversation: alerts end up in chat rooms."""
    return {
        "text": f"{result.evaluator} fell to {result.value:.2f}, below {result.threshold:g}"
        + (f", in {source}" if source else ""),
        "evaluator": result.evaluator,
        "value": result.value,
        "threshold": result.threshold,
        "label": result.label,
        "trace_id": result.trace_id,
        "span_id": result.span_id,
        "evaluator_version": result.version,
        "judge": result.judge,
        "source": source,
    }


async def alert(results: Iterable[Result], url: str, source: str | None = None) -> int:
    """Post each breach; returns how many. Raises EnvironmentFault, without the address, where one did not
    arrive."""
    import aiohttp

    found = breaches(results)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), trust_env=True) as session:
        for one in found:
            problem = await send(session, Post(url, json=body(one, source)))
            if problem is not None:
                raise EnvironmentFault(f"an alert did not arrive at the webhook: {problem[:120]}")
    return len(found)
