"""What is wrong with a URL that somebody wrote: one answer for agents, models, servers and webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

WEB = ("http", "https")


def url_problem(text: str, schemes: Sequence[str] = WEB) -> str | None:
    """Why no client could use it, as what follows "it"; None where one could.

    Args:
        text: What should be a URL. ``{port}`` in it stands for a port.
        schemes: Those that it may begin with.
    """
    if any(not each.isprintable() or each.isspace() for each in text):
        return "holds a space or a control character"
    try:
        parts = urlsplit(text.replace("{port}", "0"))
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme not in schemes:
        return f"does not begin with {' or '.join(f'{each}://' for each in schemes)}"
    if not parts.hostname:
        return "names no host"
    try:
        _ = parts.port
    except ValueError:
        return "has a port that is not a number up to 65535"
    return None
