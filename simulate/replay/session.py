"""One conversation that is recorded or replayed: `record` and `replaying` are what a run enters.

Both put a session into a context variable; the patched HTTP clients, the marked tools and MCP's client ask it
what to do. Conversations run side by side in one process and never see each other's recordings.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from simulate.errors import InputError
from simulate.replay.cassette.bodies import inflated, redacted
from simulate.replay.cassette.cassette import Cassette, Recording, Reply, ToolRecording, number, record_of
from simulate.replay.matching import key as keys
from simulate.replay.matching.date_drift import real_ns
from simulate.replay.matching.divergence import POLICIES, Policy
from simulate.replay.matching.key import Canonical, Rules
from simulate.replay.player import Player
from simulate.replay.report import ReplayReport
from simulate.tools import Toolbox

current: ContextVar[Recorder | Player | None] = ContextVar("simulate_replay_session", default=None)


@dataclass(slots=True)
class Exchange:
    """One request in flight. With a ``reply`` it is played; without one it goes out and its response is told
    to ``opened``, ``chunk`` and ``ended`` (or ``failed``), as it comes."""

    reply: Reply | None = None
    paced: bool = False
    """Play the chunks at the times at which they came."""
    recording: Recording | None = None
    _began: float = field(default_factory=time.perf_counter)
    _base: float = 0.0
    _status: tuple[int, str, list[tuple[str, str]]] = (0, "", [])
    _chunks: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    _done: bool = False

    def opened(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        """The response's head has come."""
        self._status = (status, reason, [(name.lower(), value) for name, value in headers])

    def chunk(self, content: bytes) -> None:
        """A piece of the body has come."""
        if content and not self._done:
            self._chunks.append(((time.perf_counter() - self._began) * 1000, bytes(content)))

    def ended(self, how: str = "complete") -> None:
        """The body is over: ``complete``, ``closed`` by the agent, ``died: …``; the first call counts."""
        if self._done or self.recording is None:
            return
        self._done = True
        status, reason, headers = self._status
        self.recording.end = self._base + (time.perf_counter() - self._began) * 1000
        self.recording.reply = Reply(status, reason, headers, self._chunks, how)

    @property
    def began(self) -> bool:
        """The response's head has come."""
        return bool(self._status[0])

    def failed(self, error: BaseException) -> None:
        """No response came at all."""
        self.ended(f"failed: {type(error).__name__}: {error}")

    def close(self) -> None:
        """The conversation is over while this was still open."""
        self.ended("closed" if self.began else "failed: no answer before the conversation ended")


class Recorder:
    """Lets everything through and remembers it."""

    replaying = False

    def __init__(self, rules: Rules, allow: Iterable[str] = ()) -> None:
        self.rules = rules
        self.allow = set(allow)
        self.turn: int | None = None
        self.turn_of: Callable[[], int | None] = lambda: self.turn
        """Which turn it is, where something else counts them."""
        self.ended = ""
        """Set to say that the recording is partial, and why."""
        self.manifest: dict[str, Any] = {}
        self.conversation: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.blobs: dict[str, bytes] = {}
        self._began = time.perf_counter()
        self._exchanges: list[Exchange] = []
        self._tools: list[ToolRecording] = []
        self._lock = threading.Lock()
        self._lanes: dict[tuple[int, Any], int] = {}

    def begin(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Exchange:
        """A request begins; its place in the order is taken now, not when its answer comes."""
        request = keys.canonical(method, url, headers, body, self.rules)
        recording = record_of(request, method, _clean_url(url, self.rules), headers)
        recording.exact = keys.exact(method, url, headers, body, self.rules)
        recording.start = self._now()
        recording.turn = self.turn_of()
        recording.span_id = span_id()
        recording.lane = self._lane()
        exchange = Exchange(recording=recording, _base=recording.start)
        with self._lock:
            self._exchanges.append(exchange)
        return exchange

    def tool_began(
        self, name: str, arguments: Any, write: bool, source: Literal["tool", "mcp"]
    ) -> ToolRecording:
        """A tool call begins."""
        value = self.rules.value(keys.plain(arguments))
        recording = ToolRecording(
            keys.call_key(name, arguments, self.rules),
            name,
            value,
            write=write,
            source=source,
            start=self._now(),
            turn=self.turn_of(),
        )
        with self._lock:
            self._tools.append(recording)
        return recording

    def tool_ended(
        self, recording: ToolRecording, result: Any = None, error: BaseException | None = None
    ) -> None:
        """A tool call is over."""
        recording.end = self._now()
        if error is not None:
            recording.error = {"type": type(error).__name__, "message": self.rules.text(str(error))}
        else:
            recording.result = self.rules.value(keys.plain(result))

    def toolbox(self, inner: Toolbox | None = None) -> Toolbox:
        """The toolbox that records; ``inner`` answers (the scenario's pins)."""
        from simulate.replay.intercept.tool_calls import RecordingTools

        return RecordingTools(self, inner)

    def cassette(self) -> Cassette:
        """What was recorded so far, redacted."""
        with self._lock:
            exchanges, tools = list(self._exchanges), list(self._tools)
        for exchange in exchanges:
            exchange.close()
        recordings = [exchange.recording for exchange in exchanges if exchange.recording is not None]
        for recording in recordings:
            recording.reply = _stored(recording.reply, self.rules)
        manifest = {"match": "http", **self.manifest, "complete": not self.ended}
        if self.ended:
            manifest["ended"] = self.ended
        said = [self.rules.value(one) for one in self.conversation]
        cassette = Cassette(recordings, tools, self.frames, self.blobs, said, manifest)
        number(cassette.http)
        number(cassette.tools)
        return cassette

    def _lane(self) -> int:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None and threading.current_thread() is not threading.main_thread():
            return -1  # which worker of a pool gets what is chance: no order
        with self._lock:
            return self._lanes.setdefault((threading.get_ident(), task), len(self._lanes))

    def _now(self) -> float:
        return (time.perf_counter() - self._began) * 1000


_NOT_KEPT = frozenset(
    [
        "set-cookie",
        "date",
        "server",
        "cf-ray",
        "cf-cache-status",
        "alt-svc",
        "strict-transport-security",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "openai-organization",
        "openai-project",
        "anthropic-organization-id",
        "via",
    ]
)


def _stored(reply: Reply, rules: Rules) -> Reply:
    """The reply as it is kept: decoded, redacted, without what belongs to one connection."""
    encoding = reply.header("content-encoding")
    plain = inflated(reply.chunks, encoding) if encoding else None
    chunks = reply.chunks if plain is None else plain
    dropped = _NOT_KEPT | ({"content-encoding", "content-length"} if plain is not None else set[str]())
    if rules.redact is not None and chunks:
        chunks = redacted(chunks, reply.header("content-type"), rules.text)
        dropped = dropped | {"content-length"}
    headers = [(name, rules.text(value)) for name, value in reply.headers if name not in dropped]
    return Reply(reply.status, reply.reason, headers, chunks, reply.ended)


def _clean_url(url: str, rules: Rules) -> str:
    import re

    url = re.sub(r"(?<=://)[^/@]*@", "", url)
    return rules.text(re.sub(r"([?&](?:key|api_key|token|access_token|sig)=)[^&]*", r"\1…", url))


def span_id() -> str | None:
    """The OpenTelemetry span that is current, for the report."""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    return f"{context.span_id:016x}" if context.is_valid else None


def default_rules(**given: Any) -> Rules:
    """Rules that put placeholders in place of secrets, as `simulate.trace.redaction.redact` knows them."""
    from simulate.replay.cassette.secrets import Redaction

    given.setdefault("redact", Redaction())
    return Rules(**given)


@contextlib.asynccontextmanager
async def record(
    folder: str | Path,
    *,
    rules: Rules | None = None,
    scenario: str | None = None,
    seed: int | None = None,
    allow: Iterable[str] = (),
    watch: Iterable[str | Path] = (),
    scan: Callable[[str], list[str]] | None = None,
) -> AsyncGenerator[Recorder]:
    """Record the conversation inside into the cassette ``folder``. Its ``random`` and ``uuid4`` come from a
    seed that is kept with it, so that a replay draws the same.

    ``allow`` names ``host:port`` of servers whose traffic is none of the agent's (its own address, a
    telemetry receiver). ``watch`` names files (prompts, the agent's code) whose change makes the cassette
    stale. Where the block raises, or ``recorder.ended`` is set, what there is goes to ``FOLDER.partial``.
    """
    from simulate.determinism.ids import pinned_chance
    from simulate.replay.cassette.secrets import scanner
    from simulate.replay.cassette.stale import watched
    from simulate.replay.intercept.patch import patched

    recorder = Recorder(rules or default_rules(), allow)
    recorder.manifest = {
        "scenario": scenario,
        "seed": seed,
        "started_ns": real_ns(),
        # drawn anew each time: real services take two requests with one idempotency key for the same
        "chance": secrets.randbits(53),
        "ignore": list(recorder.rules.ignore),
        "watch": watched(watch),
        "versions": versions(),
    }
    with patched(), pinned_chance(recorder.manifest["chance"], with_ids=False):
        token = current.set(recorder)
        try:
            yield recorder
        except BaseException as error:
            recorder.ended = recorder.ended or f"{type(error).__name__}: {error}"
            raise
        finally:
            current.reset(token)
            recorder.cassette().save(folder, scan=scan or scanner())


@contextlib.asynccontextmanager
async def replaying(
    cassette: Cassette | str | Path,
    *,
    policy: Policy = "fail",
    rules: Rules | None = None,
    pace: Literal["instant", "recorded"] = "instant",
    allow: Iterable[str] = (),
    live_budget: int = 100,
    live_writes: Iterable[str] = (),
    side: str | Path | None = None,
) -> AsyncGenerator[Player]:
    """Answer the conversation inside from ``cassette``; nothing else gets out.

    ``allow`` names ``host:port`` that may be reached (the agent's own address, a telemetry receiver).
    ``live_budget`` caps the live calls of the policies ``live`` and ``simulate``; ``side`` is the cassette
    that keeps them. ``live_writes`` names the tools that may change the world all the same.
    """
    from simulate.determinism.ids import pinned_chance
    from simulate.replay.intercept.guard import guarded, refuse_production
    from simulate.replay.intercept.patch import patched

    if policy not in POLICIES:
        raise InputError(f"{policy!r} is no policy", hint="choose one of: " + ", ".join(POLICIES))
    refuse_production()
    loaded = cassette if isinstance(cassette, Cassette) else Cassette.load(cassette)
    rules = rules or default_rules(ignore=tuple(loaded.manifest.get("ignore") or ()))
    recorder = Recorder(rules, allow) if policy in {"live", "simulate"} else None
    player = Player(
        loaded,
        rules,
        policy=policy,
        pace=pace,
        allow=set(allow),
        live_budget=live_budget,
        live_writes=set(live_writes),
        recorder=recorder,
    )
    chance = loaded.manifest.get("chance", loaded.scenario or "")
    with patched(), guarded(player), pinned_chance(chance, with_ids=False):
        token = current.set(player)
        try:
            yield player
        finally:
            current.reset(token)
            player.finish()
            if recorder is not None and side is not None and player.live_calls:
                recorder.manifest = {"scenario": loaded.scenario, "side_of": str(loaded.folder or "")}
                player.side_cassette = str(recorder.cassette().save(side))


@contextlib.asynccontextmanager
async def cassette_for(
    folder: str | Path, mode: Literal["once", "none", "all", "new"] = "once", **options: Any
) -> AsyncGenerator[Recorder | Player]:
    """Record or replay, by the words that VCR's users know.

    ``once`` records where there is no cassette yet and replays otherwise; ``none`` only replays; ``all``
    records anew; ``new`` replays, and adds what is missing to the cassette.
    """
    exists = (Path(folder) / "manifest.json").is_file()
    if mode == "all" or (mode == "once" and not exists) or (mode == "new" and not exists):
        recording = {
            name: options[name] for name in ("rules", "scenario", "seed", "allow", "watch") if name in options
        }
        async with record(folder, **recording) as recorder:
            yield recorder
        return
    playing = {name: value for name, value in options.items() if name not in {"scenario", "seed", "watch"}}
    if mode == "new":
        playing |= {"policy": "live"}
    async with replaying(folder, **playing) as player:
        yield player
    if mode == "new" and player.live_calls and player.recorder is not None:
        added = player.recorder.cassette()
        merged = player.cassette
        merged.http += added.http
        merged.tools += added.tools
        number(merged.http)
        number(merged.tools)
        from simulate.replay.cassette.secrets import scanner

        merged.save(folder, scan=scanner())


def versions() -> dict[str, str]:
    """The versions that shaped a recording."""
    import platform
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in ("simulate-agents", "openai", "anthropic", "httpx", "vcrpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


__all__ = [
    "Canonical",
    "Exchange",
    "Player",
    "Recorder",
    "ReplayReport",
    "cassette_for",
    "current",
    "record",
    "replaying",
]
