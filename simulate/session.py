"""From a trial's spec to its session: chance and clock pinned, spans captured, the caller ready."""

from __future__ import annotations

import contextlib
import functools
import random
import secrets
from collections.abc import Awaitable, Callable, Generator

from simulate import determinism
from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.callers import make_caller
from simulate.conversation.engine import Engine, TrialSession
from simulate.model.identity import attributes_of
from simulate.model.persona import Persona
from simulate.model.persona_details import fill
from simulate.model.scenario import Scenario
from simulate.model.transcript import Conversation, Utterance
from simulate.model.trial import TrialSpec
from simulate.resources import Resources
from simulate.scoring.judge import Judge
from simulate.trace.capture.simulator_tracing import OwnTrace, collecting
from simulate.trace.root import root_span_id
from simulate.trace.span import Link


@contextlib.contextmanager
def open_session(
    spec: TrialSpec, resources: Resources, engine: Engine | None = None
) -> Generator[TrialSession]:
    """The session of one trial; all that happens inside belongs to it. ``engine`` overrides the agent's.

    Raises InputError where the scenario's agent or the caller's model was not prepared."""
    engine = engine or resources.engine(spec.scenario)
    pins = determinism.RunContext(random=random.Random(_seed(spec)))
    conversation = Conversation(pins.trace_id(), spec.scenario.medium, started_ns=pins.clock.time_ns())
    own = _own_trace(conversation.id, resources.capture.run_id)
    # the agent's own draws must not depend on how often a tool is called
    chance = random.Random(determinism.derive_seed(_seed(spec), "tools"))
    tools = PinnedTools(spec.scenario.tools, chance)
    about = attributes_of(spec.scenario, spec.scenario.persona, spec.options) | resources.tags
    with (
        determinism.pinned(pins),
        collecting(own),
        resources.capture.open(conversation.id, attributes=about) as captured,
    ):
        # what an agent elsewhere calls shows too late to tell its path by: its words do
        recorded = [dict(said) for said in spec.recorded if "text" in said or not engine.outside]
        by_words = bool(recorded) and engine.outside
        persona = persona_of(spec)
        # the caller asks its own session, which is empty once it is over: a circle of everything in a trial
        # would stay until the garbage collector looks for it
        sessions: list[TrialSession] = []
        caller = make_caller(
            spec.scenario,
            persona,
            model=resources.caller_model,
            uses=lambda: () if by_words else [use for session in sessions for use in session.tool_uses()],
            recorded=recorded,
            same=_same(resources.judge),
            own=resources.caller(spec.scenario),
        )
        session = TrialSession(
            spec, engine, caller, conversation, tools, None, captured, own.spans, persona=persona
        )
        sessions.append(session)
        try:
            yield session
        finally:
            sessions.clear()


def persona_of(spec: TrialSpec) -> Persona:
    """The persona as it is played, the same in every trial: what varies among trials is the agent."""
    return _filled(_persona(spec.scenario).model_dump_json(), spec.seed)


def _persona(scenario: Scenario) -> Persona:
    return scenario.persona if isinstance(scenario.persona, Persona) else Persona()


@functools.lru_cache(1024)
def _filled(persona: str, seed: int) -> Persona:
    """Faker is asked once for all trials of a scenario, and they share what it made."""
    return fill(Persona.model_validate_json(persona), seed)


def _seed(spec: TrialSpec) -> int:
    again = (spec.attempt,) if spec.attempt else ()
    return determinism.derive_seed(spec.seed, spec.scenario.name, spec.case, spec.trial, *again)


def _own_trace(conversation: str, run_id: str) -> OwnTrace:
    """Where the caller's and the judge's calls go: never into the trace that the agent is judged by."""
    attributes = {"simulate.conversation.id": conversation, "simulate.run.id": run_id}
    link = Link(conversation, root_span_id(conversation))
    return OwnTrace(f"{secrets.randbits(128) or 1:032x}", link, attributes)


def _same(judge: Judge | None) -> Callable[[str, str], Awaitable[bool]] | None:
    """Whether two answers mean the same, where there is a judge to ask."""
    if judge is None:
        return None

    async def same(then: str, now: str) -> bool:
        return (await judge.means(then, [Utterance("agent", now, 0, 0.0, 0.0)])).label == "yes"

    return same
