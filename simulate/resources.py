"""What a run needs set up once: engines and processes of agents, the capture, models of caller and judge."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from simulate.child_process import environment_set, free_port
from simulate.conversation.agents.process import AgentProcess
from simulate.conversation.callers import require_model
from simulate.conversation.callers.own import load_caller
from simulate.conversation.engine import Engine, TrialSession
from simulate.conversation.own_process import NoEngine, OwnProcess
from simulate.conversation.world import World, living, load_world
from simulate.determinism.clock import Apart, current_loop
from simulate.errors import EnvironmentFault, Fault, InputError, MissingExtra, NotInstalled
from simulate.integrations.registry import engine_for
from simulate.llm import Model, ModelConfig, from_environment
from simulate.llm.config import PLACEHOLDER
from simulate.masking import mask_logs
from simulate.model.agent_address import KINDS, Medium, names_code, scheme_of
from simulate.model.expect import MatchesTrace, PythonCheck
from simulate.model.loading.project import AgentConfig, ModelSettings, Project, resolve_secret
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.no_code import check_allowed, code_of
from simulate.no_telemetry import switch_off
from simulate.scoring.checks.preload import preload
from simulate.scoring.checks.python_function import load_function
from simulate.scoring.judge import Judge
from simulate.tools import Toolbox
from simulate.trace.capture.capture import Capture
from simulate.trace.diff import recorded

switch_off()  # before an agent imports what would report

if TYPE_CHECKING:
    from simulate.conversation.agents.tool_channel import ToolChannel
    from simulate.replay.serving.endpoint import ModelEndpoint

OTLP_HTTP, OTLP_GRPC = 4318, 4317
Agent = str | Callable[..., Any] | Engine
Opening = Callable[[TrialSession], AbstractAsyncContextManager[Toolbox]]
"""Records the agent's model and tool calls around a conversation, or answers them from a cassette."""
T = TypeVar("T")


class Resources:
    """Prepared without running anything, so that bad input is refused first; entered for the run."""

    def __init__(
        self,
        project: Project,
        scenarios: Sequence[Scenario],
        *,
        agent: Agent | None = None,
        run_id: str = "",
        logs: Path | None = None,
        port: int | None = None,
        models: ModelEndpoint | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.project = project
        self.models = models
        """What agents in other processes have as their model, where they are recorded or replayed."""
        self.tags = dict(tags or {})
        """Span attributes of every conversation, beside those that its scenario names."""
        self.recordings: Opening | None = None
        """Records conversations, or answers them from cassettes."""
        self.agent = agent
        self.logs = logs or project.root / ".simulate" / "logs"
        self.caller_model = self._model("caller")
        self.judge = self._judge()
        self._engines: dict[tuple[Any, Medium], Engine] = {}
        self._mcp: dict[tuple[Any, Medium], dict[str, str]] = {}
        """The variables that name our addresses between an agent and its MCP servers."""
        self._processes: dict[tuple[Any, Medium], tuple[AgentProcess, AgentConfig]] = {}
        for scenario in scenarios:
            self.prepare(scenario)
        self._run_id, self._port = run_id, port or 0
        self._stack = AsyncExitStack()
        self._apart: Apart | None = None
        self.real_time = False
        """Also for agents whose conversations keep virtual time otherwise."""
        self.update_snapshots = False
        """Whether ``snapshot:`` writes its file instead of comparing with it."""

    @cached_property
    def channel(self) -> ToolChannel:
        """Where agents in other processes ask what their tools answer."""
        # aiohttp is a quarter of all that is imported before a first run begins, and few runs need a server
        from simulate.conversation.agents.tool_channel import ToolChannel

        return ToolChannel()

    def engine(self, scenario: Scenario) -> Engine:
        """The engine for a scenario; scenarios of one agent share it."""
        return self._engines[self._key(scenario)]

    def toolbox(self, session: TrialSession) -> AbstractAsyncContextManager[Toolbox]:
        """What the agent's tools answer from while the session's conversation lasts."""
        if self.recordings is None:
            return nullcontext(session.tools)
        return self.recordings(session)

    @contextmanager
    def asked_from_outside(self, session: TrialSession, toolbox: Toolbox) -> Generator[None]:
        """While inside, the agent's own process can ask what its tools answer."""
        variables = self._mcp.get(self._key(session.scenario))
        if not session.engine.outside and variables is None:
            yield
            return
        own = self.channel.environment(session.conversation.id) | (variables or {})
        session.tool_environment = self._told(own, self.capture.environment)
        with self.channel.open(session.conversation.id, toolbox):
            yield

    def world(self, spec: TrialSpec) -> AbstractAsyncContextManager[World | None]:
        """The world of one conversation; None where the scenario has none."""
        name = spec.scenario.world
        if name is None:
            return living(spec.world, "simulate_world")
        return living(load_world(name, self.project.root), name)

    def caller(self, scenario: Scenario) -> Callable[..., Any] | None:
        """What makes the scenario's own caller; None where it has none."""
        return None if scenario.caller is None else load_caller(scenario.caller, self.project.root)

    def outside(self, scenario: Scenario) -> bool:
        """Whether a scenario's agent runs in another process."""
        key = self._key(scenario)
        return key in self._processes or self._engines[key].outside

    def virtual(self, scenario: Scenario) -> bool:
        """Whether conversations with a scenario's agent keep virtual time, as its entry says."""
        named = self._key(scenario)[0]
        return isinstance(named, str) and self.project.agent(named).time == "virtual"

    async def in_its_time(self, scenario: Scenario, carry: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``carry`` makes, awaited in the time that conversations with the scenario's agent keep."""
        if not self.virtual(scenario) or self.real_time or current_loop() is not None:
            return await carry()
        if self._apart is None:
            self._apart = Apart()
            self._stack.push_async_callback(self._apart.aclose)
        return await self._apart.run(carry)

    async def __aenter__(self) -> Resources:
        try:
            await self._stack.enter_async_context(self.capture)
        except EnvironmentFault:
            if self._port:
                raise
            # another run took the usual ports between our look at them and our binding
            self.capture = self._capture(any_port=True)
            await self._stack.enter_async_context(self.capture)
        try:
            environment = dict(self.capture.environment)
            if self._processes or self._has_mcp or any(each.outside for each in self._engines.values()):
                await self._stack.enter_async_context(self.channel.serve())
                environment |= self.channel.environment()
            await self._put_between()
            if self.models is not None:
                await self._stack.enter_async_context(self.models.serve())
                for own in (environment, *self._mcp.values()):
                    self.models.reach(own)
            for key, (process, config) in self._processes.items():
                self._stack.push_async_callback(process.stop)
                try:
                    await process.start(self._told(environment | self._mcp.get(key, {})))
                except Fault as fault:
                    # the scenarios of the other agents still run
                    self._engines[key] = NoEngine(process.address, fault)
                else:
                    self._engines[key] = OwnProcess(self._open(process.address, config, key[1]), process)
            for engine in self._engines.values():
                self._stack.push_async_callback(engine.aclose)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    def _told(self, own: dict[str, str], known: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """The variables of an agent's process: ``own``, and where its model is; ``known`` it has already."""
        from simulate.conversation.agents.tool_channel import for_node  # as late as `channel`

        models = {} if self.models is None else self.models.environment({**known, **own})
        return for_node(own | models)

    @property
    def _has_mcp(self) -> bool:
        return any(self._mcp_servers(key) for key in self._engines)

    def _mcp_servers(self, key: tuple[Any, Medium]) -> Mapping[str, str]:
        return self.project.agent(key[0]).mcp_servers if isinstance(key[0], str) else {}

    async def _put_between(self) -> None:
        """Between agents and their MCP servers; an agent in this process finds us in its own environment."""
        for key in {*self._engines, *self._processes}:
            if not (servers := self._mcp_servers(key)):
                continue
            from simulate.conversation.agents.mcp_between import McpBetween  # as late as `channel`

            known = {name: resolve_secret(server) for name, server in servers.items()}
            variables = await self._stack.enter_async_context(McpBetween(known, self.channel).serve())
            self._mcp[key] = variables
            if key in self._engines and not self._engines[key].outside:
                self._stack.enter_context(environment_set(variables))

    async def __aexit__(self, *_: object) -> None:
        await self.capture.flush_providers()
        await self._stack.aclose()
        await asyncio.to_thread(mask_logs, self._own_logs())

    def _own_logs(self) -> set[Path]:
        """What the processes of this run printed; the project's folder of logs has those of others, too."""
        shared = self.logs == self.project.root / ".simulate" / "logs"
        found = () if shared else self.logs.glob("*.log")
        return {*found, *(process.log for process, _ in self._processes.values())}

    @cached_property
    def capture(self) -> Capture:
        """The capture; with a receiver where one of the agents runs outside this process."""
        return self._capture()

    def _capture(self, *, any_port: bool = False) -> Capture:
        started = bool(self._processes)
        running = any(engine.outside for engine in self._engines.values())
        grpc = (started or running) and importlib.util.find_spec("grpc") is not None
        limit = self.project.trace_limit << 20
        if not running or self._port or any_port:
            return Capture(self._run_id, receiver=started or running, port=self._port, grpc=grpc, limit=limit)
        # an agent that runs already exports to OpenTelemetry's default ports, if it was told nothing else
        return Capture(
            self._run_id, receiver=True, port=free_port(OTLP_HTTP), grpc=grpc, grpc_port=free_port(OTLP_GRPC),
            limit=limit,
        )  # fmt: skip

    def prepare(self, scenario: Scenario) -> None:
        """Refuse what can be known before anything runs."""
        for each in code_of(scenario):
            check_allowed(each)
        require_model(scenario, self.caller_model)
        preload(scenario.expect)
        self.caller(scenario)
        if scenario.world is not None:
            load_world(scenario.world, self.project.root)
        for each in scenario.expect:
            if isinstance(each, PythonCheck):
                load_function(each, self.project.root)
            elif isinstance(each, MatchesTrace) and Path(each.matches_trace).exists():
                recorded(each.matches_trace)
        key = self._key(scenario)
        if key not in self._engines and key not in self._processes:
            try:
                self._reach(key)
            except InputError as error:
                error.where = error.where or (None if self.agent is None else "agent")
                raise
        check = getattr(self._engines.get(key), "prepare", None)
        if check is not None:
            check(scenario)

    def started(self, scenario: Scenario) -> bool:
        """Whether a scenario's agent is a process that we start, and so can tell where its model is."""
        key = self._key(scenario)
        if key in self._processes or not isinstance(key[0], str):
            return key in self._processes
        config = self.project.agent(key[0])
        return names_code(config.address) or config.command is not None

    def set_aside(self, scenario: Scenario, missing: MissingExtra) -> None:
        """Do not run what needs an extra that is not installed; its outcome says so."""
        key = self._key(scenario)
        fault = NotInstalled(missing.message, hint=missing.hint)
        self._engines[key] = NoEngine(str(key[0]), fault)

    def _reach(self, key: tuple[Any, Medium]) -> None:
        """Open the engine to an agent, or get ready to start its process."""
        named, medium = key
        if not isinstance(named, str) and hasattr(named, "converse"):
            self._engines[key] = named
            return
        if not isinstance(named, str):
            self._engines[key] = engine_for(named, medium, root=self.project.root)
            return
        config = self.project.agent(named)
        if names_code(config.address) or config.command is not None:
            check_allowed(f"the agent {named}")
        scheme = scheme_of(config.address)
        if config.time == "virtual" and KINDS[scheme].outside:
            raise InputError(
                f"the agent {named} runs in another process, where time cannot be virtual",
                where="[tool.simulate.agents]",
                hint='take `time = "virtual"` out of its entry in pyproject.toml',
            )
        # a worker listens nowhere: its engine starts it, once there is a server to register at
        if config.command is None or scheme == "livekit":
            self._engines[key] = self._open(config.address, config, medium)
        else:
            log = self.logs / f"{''.join(c if c.isalnum() else '-' for c in named)}.log"
            process = AgentProcess(config.command, config.address, log=log, cwd=self.project.root)
            self._processes[key] = process, config

    def _open(self, address: str, config: AgentConfig, medium: Medium) -> Engine:
        options: dict[str, Any] = {}
        if medium == "text" and scheme_of(address) != "python":
            options = {
                "request": config.request,
                "model": config.model or "agent",
                "headers": {name: resolve_secret(value) for name, value in config.headers.items()},
                "api_key": None if config.api_key is None else resolve_secret(config.api_key),
                "stream": config.stream,
                "body": dict(config.options),
            }
        elif medium == "voice":
            options = {"stt": self.project.speech.stt, "tts": self.project.speech.tts}
            if scheme_of(address) == "livekit":
                given = {"url": config.url, "api_key": config.api_key, "api_secret": config.api_secret}
                options |= {name: value and resolve_secret(value) for name, value in given.items()}
                options |= {"command": config.command, "logs": self.logs, "metadata": config.options}
            elif KINDS[scheme_of(address)].holds == "socket url":
                options |= {
                    "headers": {name: resolve_secret(value) for name, value in config.headers.items()},
                    "api_key": None if config.api_key is None else resolve_secret(config.api_key),
                    "settings": config.options,
                }
        return engine_for(address, medium, options, root=self.project.root)

    def _key(self, scenario: Scenario) -> tuple[Any, Medium]:
        agent = self.agent if self.agent is not None else scenario.agent
        if agent is None:
            names = ", ".join(self.project.agents) or "none yet"
            raise InputError(
                f"{scenario.name!r} names no agent",
                hint=f"write `agent:` in it or give --agent; pyproject.toml names: {names}",
            )
        return agent, scenario.medium

    def _model(self, role: Literal["caller", "judge"]) -> Model | None:
        config = getattr(self.project.models, role)
        resolved = from_environment() if config is None else _resolved(config)
        return None if resolved is None else Model(resolved, role=role)

    def _judge(self) -> Judge | None:
        model = self._model("judge")
        if model is None or model.config.api_key == PLACEHOLDER:
            return None  # a replay without a key: what needs a judge is not run
        return Judge(model, planted=True)

    @functools.cached_property
    def caller_reader(self) -> Judge | None:
        """Reads a caller's lines before the agent is blamed: the judge, or else the caller's own model."""
        if self.judge is not None or self.caller_model is None:
            return self.judge
        return Judge(self.caller_model, planted=True)


def _resolved(config: ModelSettings) -> ModelConfig:
    key = None if config.api_key is None else resolve_secret(config.api_key)
    base_url = None if config.base_url is None else resolve_secret(config.base_url)
    return ModelConfig(
        config.model,
        base_url,
        key,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        timeout=60.0 if config.timeout is None else config.timeout,
        headers={name: resolve_secret(value) for name, value in config.headers.items()},
        options=dict(config.options),
    )
