"""One conversation while it lasts, and what an engine promises to do with it."""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulate.conversation.agents.pinned_tools import PinnedTools
from simulate.conversation.call_facts import CallFacts
from simulate.conversation.callers.caller import Caller
from simulate.conversation.delays import Delays
from simulate.conversation.world import World
from simulate.errors import EnvironmentFault, Fault, HarnessFault, MissingExtra, NotInstalled, SimulateError
from simulate.model.identity import ConversationStart
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario
from simulate.model.text import dollars
from simulate.model.transcript import Conversation, ToolUse
from simulate.model.trial import TrialSpec
from simulate.model.verdict import Verdict
from simulate.trace.capture import Captured
from simulate.trace.reading import TraceReading
from simulate.trace.span import Span
from simulate.user_code import meant_for_us


@dataclass
class TrialSession:
    """What happens in one trial, from its beginning on.

    The engine writes into ``conversation`` as it goes, so that a fault leaves what was said until then."""

    spec: TrialSpec
    engine: Engine
    caller: Caller
    conversation: Conversation
    tools: PinnedTools
    world: World | None = None
    captured: Captured | None = None
    """The agent's spans as they come in; None where nobody captures them."""
    own_spans: list[Span] = field(default_factory=list[Span])
    """Of the caller's and the judge's model calls, which are never in the agent's trace."""
    seen: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    """By turn: what an adapter could see of the agent from outside, as span attributes."""
    recording: str | None = None
    """Path of the two-channel WAV, once the engine has written it."""
    call: CallFacts = field(default_factory=CallFacts)
    """What is known of a call by voice beside its recording."""
    measures: dict[str, Any] = field(default_factory=dict[str, Any])
    notes: list[str] = field(default_factory=list[str])
    delays: Delays | None = None
    """What could have kept the agent's answers waiting; None where the engine does not measure it."""
    taped: bool = False
    """Whether a recording of it is made or played."""
    played: list[ToolUse] = field(default_factory=list[ToolUse])
    """Calls to MCP servers that a recording answered, where the agent's spans alone would tell of them."""
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    """What was judged besides the scenario's expectations: a replay's course."""
    tool_environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where a process that serves this conversation alone asks what its tools answer."""
    fault: Fault | None = None
    """What broke the conversation, or made it impossible to judge."""
    persona: Persona = field(default_factory=Persona)
    """As it is played, with all of its facts."""
    caller_review: tuple[str, str, list[str]] | None = None
    """What a judge made of the caller's lines: ``yes`` where it left its part, why, and the words."""
    _reading: TraceReading | None = None

    @property
    def scenario(self) -> Scenario:
        return self.spec.scenario

    @property
    def headers(self) -> Mapping[str, str]:
        """``traceparent`` and ``baggage`` for the agent."""
        return {} if self.captured is None else self.captured.headers

    def headers_of(self, turn: int) -> Mapping[str, str]:
        """The same for a request of this turn."""
        return {} if self.captured is None else self.captured.headers_of(turn)

    @property
    def attributes(self) -> Mapping[str, str]:
        """Who calls and what is tried, as span attributes."""
        return {} if self.captured is None else self.captured.attributes

    @functools.cached_property
    def start(self) -> ConversationStart:
        """The conversation's id, and who calls for what: what the agent is told of it."""
        return ConversationStart(
            self.conversation.id,
            attributes=self.attributes,
            scenario=self.spec.shown,
            persona=self.persona,
            case=self.spec.row,
            tags=self.scenario.tags,
            options=self.spec.options,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What an agent's process is started with, so that its spans reach our receiver."""
        return {**({} if self.captured is None else self.captured.environment), **self.tool_environment}

    @property
    def replayed(self) -> bool:
        """Whether a recording answered for the agent's model, at its own pace."""
        return any(verdict.check == "replay" for verdict in self.verdicts)

    def tool_uses(self) -> list[ToolUse]:
        """The agent's tool calls up to now, for a caller whose next line waits for one."""
        if self.tools.uses or self.captured is None:
            return self.tools.uses
        return [call.plain() for call in self._reading_so_far(self.captured).tool_calls]

    def over_limit(self) -> str | None:
        """Which limit on tokens or cost is reached; the trace is asked only where one is set."""
        limits = self.scenario.limits
        if self.captured is None or (limits.tokens is None and limits.cost is None):
            return None
        used = self._reading_so_far(self.captured).cost
        if limits.tokens is not None and used.tokens is not None and used.tokens > limits.tokens:
            return f"{used.tokens} tokens are over the limit of {limits.tokens}"
        if limits.cost is not None and used.dollars is not None and used.dollars > limits.cost:
            return f"{dollars(used.dollars)} are over the limit of {dollars(limits.cost)}"
        return None

    def _reading_so_far(self, captured: Captured) -> TraceReading:
        """What the agent's spans say up to now; what was read once is not read again."""
        trace = captured.so_far()
        reading = self._reading
        if reading is None or list(map(id, reading.trace)) != list(map(id, trace)):
            reading = self._reading = TraceReading(trace, reading)
        return reading

    @contextlib.contextmanager
    def keeps_faults(self) -> Generator[None]:
        """What breaks inside becomes this session's ``fault``: one conversation must not end all others."""
        try:
            yield
            self.fault = self.fault or self.tools.fault
        except BaseException as error:
            if meant_for_us(error):
                raise
            self.fault = self.fault or _as_fault(error)
            self.conversation.ended_by = self.conversation.ended_by or "fault"


def _as_fault(error: BaseException) -> Fault:
    """What nobody foresaw is this package's fault."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, MissingExtra):
        return NotInstalled(error.message, hint=error.hint)
    if isinstance(error, SimulateError):
        return EnvironmentFault(error.message, where=error.where, hint=error.hint, proof=error.proof)
    return HarnessFault(
        f"{type(error).__name__}: {error}",
        hint="this is a fault of simulate; please report it with the lines below",
        proof="".join(traceback.format_exception(error)).rstrip(),
    )


class Engine(Protocol):
    """Carries a conversation between caller and agent."""

    name: str
    address: str
    """The agent's."""
    outside: bool
    """The agent runs in another process, so its spans come over the network."""

    async def converse(self, session: TrialSession) -> None:
        """Let caller and agent talk until one ends it or a limit is reached.

        Raises a Fault of the side that broke; what was said until then is in ``session.conversation``."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes that outlive a conversation."""
        ...
