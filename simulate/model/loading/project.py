"""``[tool.simulate]`` of a pyproject.toml: where scenarios lie, and by which names agents and models go."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from simulate.errors import AddressError, FileProblems, InputError, Problem
from simulate.model.agent_address import (
    MAY_HAVE_REQUEST,
    check_address,
    is_url,
    names_code,
    scheme_of,
    target_of,
)
from simulate.model.base import Strict
from simulate.model.loading.problems import describe
from simulate.model.nearest import did_you_mean
from simulate.model.redact import Redact
from simulate.model.replay_settings import ProjectReplaySettings
from simulate.model.request_template import RequestTemplate, check_placeholders
from simulate.model.secret_names import is_secret_parameter
from simulate.model.shapes import is_object
from simulate.model.units import Data, Flag, Number, Whole
from simulate.model.web_url import WEB, url_problem

_FROM_ENV = re.compile(r"(?:([A-Za-z][\w-]*) )?env:([A-Za-z_][A-Za-z0-9_]*)")


def resolve_secret(value: str) -> str:
    """``env:NAME`` and ``Bearer env:NAME`` with the variable's value; other text as it is.

    Called when the value is used and not before, so that a file with names of variables that are unset here
    can still be read. Raises InputError where the variable is unset or empty."""
    match = _FROM_ENV.fullmatch(value)
    if match is None:
        return value
    found = os.environ.get(match[2], "")
    if not found:
        raise InputError(f"the environment variable {match[2]} is not set", hint=f"export {match[2]}=…")
    return f"{match[1]} {found}" if match[1] else found


def _only_from_env(value: str) -> str:
    if not _FROM_ENV.fullmatch(value):
        raise ValueError("a secret is never written here; write env:NAME and set the variable NAME")
    return value


def _url_in(address: str) -> str:
    """The URL of ``a2a:http://…``, ``twilio:ws://…`` and the like; anything else as it is."""
    rest = address.partition(":")[2]
    return rest if rest.startswith(("http://", "https://", "ws://", "wss://")) else address


def _without_password(value: str) -> str:
    try:
        password = urlsplit(_url_in(value).replace("{port}", "0")).password
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if password is not None:
        raise ValueError("a URL with a password in it; write env:NAME and set the variable NAME")
    return value


def _some_url(value: str) -> str:
    problem = None if _FROM_ENV.fullmatch(value) else url_problem(value, (*WEB, "ws", "wss"))
    if problem is not None:
        raise ValueError(f"the URL {problem}")
    return value


def _some_server(value: str) -> str:
    """A URL, or the command that starts a server."""
    if _FROM_ENV.fullmatch(value) or is_url(value):
        return _some_url(value)
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise ValueError(f"not a command line ({error})") from None
    if not words or re.match(r"[a-z]+:/", words[0]):
        raise ValueError("neither a URL, http(s)://…, nor a command")
    return value


def _safe_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if is_secret_parameter(name):
            try:
                _only_from_env(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return headers


def _some_agents(address: str) -> str:
    try:
        check_address(address)
    except AddressError as error:
        raise ValueError(error.message) from None
    return address


Secret = Annotated[str, AfterValidator(_only_from_env)]
WithoutPassword = Annotated[str, AfterValidator(_without_password)]
UrlOrCommand = Annotated[WithoutPassword, AfterValidator(_some_server)]
Url = Annotated[WithoutPassword, AfterValidator(_some_url)]
Headers = Annotated[dict[str, str], AfterValidator(_safe_headers)]


class AgentConfig(Strict):
    """An agent under test by name: its address, and what its adapter needs."""

    address: Annotated[WithoutPassword, AfterValidator(_some_agents)]
    """``{port}`` in it becomes the free port that ``command`` is given."""
    command: str | None = None
    """Starts the agent for the run, in a process of its own."""
    model: str | None = None
    """Sent as ``model`` to an OpenAI-compatible endpoint."""
    headers: Headers = Field(default_factory=dict[str, str])
    """Sent with every request."""
    url: Url | None = None
    """Of the LiveKit server."""
    api_key: Secret | None = None
    api_secret: Secret | None = None
    stream: Flag | None = None
    """Whether an OpenAI-compatible endpoint is asked to stream."""
    request: RequestTemplate | None = None
    """How a turn becomes a request, and where the answer stands: for an agent of no standard protocol."""
    options: dict[str, Data] = Field(default_factory=dict[str, Any])
    """Further fields of every request; for a LiveKit agent, of the metadata of each call's job; for
    ``twilio:``, ``realtime:``, ``gemini:`` and ``pcm:``, the custom parameters, the session or the
    description."""
    mcp_servers: dict[str, UrlOrCommand] = Field(default_factory=dict[str, str])
    """The agent's MCP servers, each a URL or a command, by the environment variable that names it to the
    agent. The agent gets our address there, so that pins and worlds answer the server's tools."""
    time: Literal["real", "virtual"] = "real"
    """``virtual`` for an agent of this process whose models are in it, too: waiting takes no time, and a slow
    machine makes no slow agent."""

    @model_validator(mode="after")
    def _request_fits(self) -> AgentConfig:
        scheme, target = scheme_of(self.address), target_of(self.address)
        program = scheme == "exec" or (scheme == "mcp" and not is_url(target))
        if scheme == "exec":
            check_placeholders(target)
        if self.mcp_servers and not (self.command or names_code(self.address)):
            raise ValueError(
                f"`mcp_servers` sets variables, and {self.address} runs already: give its `command`"
            )
        if program and self.command is not None:
            raise ValueError(f"{self.address} is a command itself: take `command` out")
        if self.request is None:
            return self
        if scheme not in MAY_HAVE_REQUEST:
            raise ValueError(f"`request` is for http, https, ws, wss, exec and mcp, not for {scheme}:")
        check_placeholders(dict(self.headers))
        needed = scheme in ("http", "https") or (self.request.body is not None and scheme != "exec")
        if needed and not self.request.says_something(dict(self.headers)):
            raise ValueError("`request` leaves out what the caller says: write {{message}} or {{messages}}")
        return self


class ModelSettings(Strict):
    """A model behind an OpenAI-compatible endpoint, for the caller or the judge."""

    model: str
    base_url: Url | None = None
    """Left out: what the OpenAI SDK takes."""
    api_key: Secret | None = None
    headers: Headers = Field(default_factory=dict[str, str])
    temperature: Number | None = Field(default=None, ge=0, le=2)
    max_tokens: Whole | None = Field(default=None, ge=1)
    timeout: Number | None = Field(default=None, gt=0)
    """Seconds for one answer."""
    options: dict[str, Data] = Field(default_factory=dict[str, Any])
    """Further fields of every request."""


class Models(Strict):
    """The simulator's own models."""

    caller: ModelSettings | None = None
    judge: ModelSettings | None = None


class SpeechSettings(Strict):
    """What the caller listens and speaks with."""

    stt: str | None = None
    tts: str | None = None


def _address_alone(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


class ProjectTable(Strict):
    """``[tool.simulate]`` as it is written."""

    scenarios: list[str] = Field(default_factory=lambda: ["scenarios"])
    agents: dict[str, Annotated[AgentConfig, BeforeValidator(_address_alone)]] = Field(
        default_factory=dict[str, AgentConfig]
    )
    models: Models = Field(default_factory=Models)
    speech: SpeechSettings = Field(default_factory=SpeechSettings)
    redact: Redact = Field(default_factory=Redact)
    replay: ProjectReplaySettings = Field(default_factory=ProjectReplaySettings)
    writes: list[str] | None = None
    contacts: list[str] = Field(default_factory=list[str])
    trace_limit: Whole = Field(default=128, ge=1)
    env: Headers = Field(default_factory=dict[str, str])
    env_file: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What a project says of itself; all of it may be left out."""

    root: Path
    """The folder of its pyproject.toml, or the one where the search began."""
    scenarios: list[Path] = field(default_factory=list[Path])
    """Folders and files, below ``root``."""
    agents: dict[str, AgentConfig] = field(default_factory=dict[str, AgentConfig])
    models: Models = field(default_factory=Models)
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    redact: Redact = field(default_factory=Redact)
    """What recordings replace, where a scenario does not say."""
    replay: ProjectReplaySettings = field(default_factory=ProjectReplaySettings)
    writes: list[str] | None = None
    """The agents' tools that change something; the list is complete. None where there is none."""
    env: dict[str, str] = field(default_factory=dict[str, str])
    """Environment variables of every run, where they are not set already; no secrets."""
    env_file: Path | None = None
    """A file of further ones, such as ``.env``; it may be missing."""
    contacts: list[str] = field(default_factory=list[str])
    """The company's own addresses, domains and phone numbers: nobody's personal data."""
    trace_limit: int = 128
    """Megabytes of spans that one conversation may bring over OTLP."""

    @classmethod
    def find(cls, start: Path | str = ".") -> Project:
        """The project that a folder, or a file in it, belongs to: the nearest pyproject.toml upwards.

        Raises FileProblems where its ``[tool.simulate]`` is wrong."""
        root = project_root(start)
        file = root / "pyproject.toml"
        if not file.is_file():
            return cls(root=root, scenarios=[root / "scenarios"])
        table = _read(file)
        scenarios = [file.parent / path for path in table.scenarios]
        return cls(
            root=file.parent,
            scenarios=scenarios,
            agents=dict(table.agents),
            models=table.models,
            speech=table.speech,
            redact=table.redact,
            replay=table.replay,
            writes=table.writes,
            contacts=table.contacts,
            trace_limit=table.trace_limit,
            env=table.env,
            env_file=None if table.env_file is None else root / table.env_file,
        )

    def secret_variables(self) -> list[str]:
        """The environment variables that the keys of its agents and models are read from."""
        given = [model.api_key for model in (self.models.caller, self.models.judge) if model is not None]
        for agent in self.agents.values():
            given += [agent.api_key, agent.api_secret]
            given += [value for name, value in agent.headers.items() if is_secret_parameter(name)]
        return [match[2] for value in given if value and (match := _FROM_ENV.fullmatch(value))]

    def agent(self, name_or_address: str) -> AgentConfig:
        """An agent by its name here, or by its address; raises InputError for a name that is not here."""
        if name_or_address in self.agents:
            return self.agents[name_or_address]
        if ":" not in name_or_address:
            raise InputError(
                f'no agent "{name_or_address}"{did_you_mean(name_or_address, self.agents)}',
                hint="name it in pyproject.toml under [tool.simulate.agents], or give its address",
            )
        try:
            return AgentConfig(address=name_or_address)
        except ValidationError as error:
            told = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
            raise AddressError(f"{name_or_address}: {told}") from None


def project_root(start: Path | str) -> Path:
    """The folder of the nearest pyproject.toml upwards; where there is none, that of ``start``."""
    here = Path(os.path.abspath(start))
    folders = [here, *here.parents] if here.is_dir() else list(here.parents)
    return next((folder for folder in folders if (folder / "pyproject.toml").is_file()), folders[0])


def _read(file: Path) -> ProjectTable:
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileProblems([Problem(f"not TOML: {error}", str(file))]) from None
    tool: Any = document.get("tool")
    table: Any = tool.get("simulate", {}) if is_object(tool) else {}
    try:
        return ProjectTable.model_validate(table)
    except ValidationError as error:
        raise FileProblems(list(_problems(error, file))) from None


def _problems(error: ValidationError, file: Path) -> Iterator[Problem]:
    """TOML's parser keeps no places: the path within the file has to do."""
    for path, message in describe(error, ProjectTable):
        yield Problem(f"[tool.simulate] {path}: {message}".replace(" : ", ": "), str(file))
