"""What a model is told that plays a persona: a text file with a version, and the persona in it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

VERSION = "caller.v1"

END_CALL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "end_call",
        "description": "Hang up. The only way to end the conversation.",
        "parameters": {
            "type": "object",
            "properties": {
                "reason": {"type": "string", "description": "Why you end it, in a few words."},
                "goal_reached": {"type": "boolean", "description": "Whether you got what you wanted."},
            },
            "required": ["reason", "goal_reached"],
            "additionalProperties": False,
        },
    },
}

ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "say": {"type": "string", "description": "Your next words; empty when you only hang up."},
        "end_call": {"type": "boolean"},
        "reason": {"type": "string", "description": "Why you end it; empty when you do not."},
        "goal_reached": {"type": "boolean"},
    },
    "required": ["say", "end_call", "reason", "goal_reached"],
    "additionalProperties": False,
}

BY_TOOL = "To end it, call the function end_call, beside your last words or instead of them."
BY_SCHEMA = (
    'Answer with one JSON object and nothing else: {"say": "your words", "end_call": false, "reason": "", '
    '"goal_reached": false}. To end the conversation, set end_call to true and give the reason.'
)


@cache
def template() -> str:
    """The text of the prompt before the persona is filled in."""
    return (
        files("simulate.conversation.callers")
        .joinpath("prompts", f"{VERSION}.txt")
        .read_text(encoding="utf-8")
    )


def system_prompt(scenario: Scenario, persona: Persona, *, by_tool: bool) -> str:
    """The instructions for one conversation."""
    who = [persona.name or "a customer", persona.description or "", ", ".join(persona.traits)]
    voice = "You are on the phone." if scenario.medium == "voice" else "You are typing in a chat."
    filled = Template(template()).substitute(
        who=". ".join(part for part in who if part),
        goal=scenario.goal or "what you have said in your first words",
        knows="\n".join(f"- {_name(key)}: {_value(value)}" for key, value in persona.knows.items())
        or "- nothing",
        speaks=_speaks(persona),
        instructions=f"Also: {persona.instructions}" if persona.instructions else "",
        medium=voice,
        language=f"the language {persona.speaks.language!r}"
        if persona.speaks.language != "en"
        else "English",
        ending=BY_TOOL if by_tool else BY_SCHEMA,
    )
    return "\n".join(line for line in filled.splitlines() if line.strip())


def _speaks(persona: Persona) -> str:
    manner = persona.speaks.model_dump(
        exclude_none=True, exclude={"language", "typos", "emoji", "punctuation"}
    )
    return ", ".join(f"{_name(key)} {value}" for key, value in manner.items()) or "plainly"


def _name(key: str) -> str:
    return key.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{_name(str(key))} {one}" for key, one in value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
