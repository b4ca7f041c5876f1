"""The simulated user: scripted, or improvised by a model, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulate import determinism
from simulate.conversation.callers.caller import ActionRecord, Caller, HangUp, Listen, Say
from simulate.conversation.callers.own import OwnCaller
from simulate.conversation.callers.recorded import RecordedCaller, Same
from simulate.conversation.callers.script import Script, ScriptedCaller, Uses
from simulate.errors import InputError
from simulate.llm import Model, from_environment
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

__all__ = ["ActionRecord", "Caller", "HangUp", "Listen", "Say", "make_caller", "require_model"]


def require_model(scenario: Scenario, model: Model | None) -> Model | None:
    """The model that plays the caller, or None where none is needed; OPENAI_BASE_URL and OPENAI_API_KEY stand
    in for one that is not configured. Raises InputError where there is none at all, or none that can be
    reached: call it before anything runs."""
    if not scenario.needs_model:
        return model
    config = from_environment() if model is None else model.config
    if config is None:
        raise InputError(
            f"scenario “{scenario.name}” has a goal, so a model has to play the caller: none is configured",
            hint="set `caller` under [tool.simulate.models] in pyproject.toml, or OPENAI_API_KEY (and "
            "OPENAI_BASE_URL for an endpoint other than OpenAI's); a script without a goal needs no model",
        )
    return Model(config, role="caller") if model is None else model


def make_caller(
    scenario: Scenario,
    persona: Persona | None = None,
    *,
    model: Model | None = None,
    uses: Uses | None = None,
    seed: int | None = None,
    recorded: Sequence[dict[str, Any]] = (),
    same: Same | None = None,
    own: Callable[..., Any] | None = None,
) -> Caller:
    """The caller of one conversation: scripted where there is no goal, else improvised between its lines.

    ``recorded`` is what was said once: the caller says it again while the agent stays on that path (``same``
    holds two answers against each other), and the persona goes on where it leaves it.

    ``own`` makes a caller of the user's own.

    ``uses`` gives the agent's tool calls so far; they only decide when a line that waits for one is due, and
    no model ever sees them. ``seed`` defaults to the chance of the running conversation's pins. Raises
    InputError where a model is needed and none configured.
    """
    if seed is None:
        seed = determinism.current().random.getrandbits(31)
    persona = persona or Persona()
    script = Script(scenario, speaks=persona.speaks, uses=uses, seed=seed)
    if recorded:
        heir = make_caller(scenario, persona, model=model, uses=uses, seed=seed) if scenario.goal else None
        return RecordedCaller(recorded, persona=heir, uses=uses, same=same)
    if own is not None:
        address = scenario.caller or "caller"
        return OwnCaller(own, address, persona, agent_first=scenario.speaks_first == "agent")
    if not scenario.needs_model:
        return ScriptedCaller(scenario, script)
    # what it reads its model's lines by takes a tenth of a second to import
    from simulate.conversation.callers.improvise import ImprovisedCaller

    found = require_model(scenario, model)
    assert found is not None
    return ImprovisedCaller(scenario, persona, found, script, seed=seed)
