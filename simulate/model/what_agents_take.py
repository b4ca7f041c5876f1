"""Which agents are given what was said before (``history:``) and files (``attachments:``)."""

from __future__ import annotations

from simulate.model.agent_address import KINDS, kind_of
from simulate.model.request_template import RequestTemplate
from simulate.model.scenario import Scenario

_ANTHROPIC = ("image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf", "text/plain")
_TAKE_ALL = "a Python function of messages, OpenAI-compatible endpoints, responses:, anthropic: and a2a:"


def not_taken(
    scenario: Scenario, address: str, *, template: RequestTemplate | None = None, messages: bool = True
) -> tuple[str, str] | None:
    """What of a scenario its agent cannot be given, and who can; None where it takes all.

    Args:
        scenario: What is asked of the agent.
        address: The agent's.
        template: The ``request`` of its entry in pyproject.toml.
        messages: Whether a Python agent is a function of messages.
    """
    if not scenario.history and not scenario.attachments:
        return None
    scheme = address.partition(":")[0]
    takes_all = messages if scheme == "python" else scheme in KINDS and KINDS[scheme].takes_all
    if template is not None and scheme in KINDS:
        takes_all = kind_of(address, "text", templated=True).takes_all
    if scenario.history and not takes_all and not (template is not None and template.takes_history):
        return (
            f"{scenario.name!r} has a history, and {address} is given one message at a time",
            f"history: is for {_TAKE_ALL}, and a `request` with {{{{messages}}}}",
        )
    if scenario.attachments and not takes_all:
        return (
            f"{scenario.name!r} has attachments, and {address} is given text alone",
            f"attachments: are for {_TAKE_ALL}",
        )
    for file in scenario.attachments:
        if not file.path.is_file():
            return f"{scenario.name!r} attaches {file.path}, and there is no such file", "correct its path"
        if scheme == "anthropic" and file.media_type not in _ANTHROPIC:
            return (
                f"{scenario.name!r} attaches {file.name}, and {address} takes no {file.media_type}",
                "Anthropic's Messages API takes JPEG, PNG, GIF and WebP images, PDF and plain text",
            )
    return None
