"""Which of a persona's fields have no effect on the caller of a scenario."""

from __future__ import annotations

from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

_ALWAYS = {"language"}  # the facts that Faker fills in
_PROMPT = {"accent", "pace", "verbosity", "tone", "slang"}
"""A model that improvises is told these."""
_TYPED = {"typos", "emoji", "punctuation"}
"""Of what a model improvises in a chat; of a scripted line, said word for word, only slips."""


def unread_fields(scenario: Scenario) -> set[str]:
    """The fields that the scenario's persona gives and nothing reads, such as ``speaks.tone``."""
    persona = scenario.persona
    if not isinstance(persona, Persona):
        return set()
    by_text = scenario.medium == "text"
    if scenario.needs_model:
        read = _ALWAYS | _PROMPT | (_TYPED if by_text else set[str]())
    else:
        read = _ALWAYS | ({"typos"} if by_text else {"pace"})
    return {f"speaks.{name}" for name in persona.speaks.model_fields_set - read}
