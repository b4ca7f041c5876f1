"""Record a conversation, or replay it: what a run enters.

The session is found by a context variable; the patched HTTP clients, the marked tools and MCP's client ask it
what to do. Conversations run side by side in one process and never see each other's recordings.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from simulate import tools
from simulate.determinism.ids import pinned_chance
from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stale import watched
from simulate.replay.first_use import FirstUse
from simulate.replay.fork import ForkSession, Place, Variant
from simulate.replay.intercept import framework_tools, process
from simulate.replay.intercept.guard import refuse_production
from simulate.replay.intercept.process import intercepted, settled
from simulate.replay.matching.date_drift import local_ahead, real_ns
from simulate.replay.matching.divergence import POLICIES, Pace, Policy
from simulate.replay.matching.recordings import number
from simulate.replay.matching.rules import Rules, default_rules
from simulate.replay.matching.secrets import Redaction, scanner
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession

_LOG = logging.getLogger("simulate.replay")


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
    personal: bool = True,
    invented: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> AsyncGenerator[RecordSession]:
    """Record the conversation inside into the cassette ``folder``. Its ``random`` and ``uuid4`` come from a
    seed that is kept with it, so that a replay draws the same.

    ``allow`` names ``host:port`` of servers whose traffic is none of the agent's (its own address, a
    telemetry receiver). ``watch`` names files (prompts, the agent's code) whose change makes the cassette
    stale. Personal data becomes pseudonyms unless ``personal`` is false, but for what the texts in
    ``invented`` hold. ``ignore`` holds JSON paths by which no request is compared. Where the block raises, or
    ``recorder.ended`` is set, what there is goes to ``FOLDER.partial``. So it does, and InputError is
    raised, where something was answered that no replay could give again.
    """
    rules = rules or default_rules(
        redact=Redaction(personal=personal, invented=invented), ignore=tuple(ignore)
    )
    recorder = RecordSession(rules, allow)
    recorder.manifest = {"scenario": scenario, "seed": seed, **_circumstances(rules, watch)}
    try:
        with (
            intercepted(recorder),
            pinned_chance(recorder.manifest["chance"], with_ids=False),
            tools.using(recorder.toolbox(tools.current())),
        ):
            yield recorder
            await settled(recorder)
    except BaseException as error:
        recorder.ended = recorder.ended or f"{type(error).__name__}: {error}"
        raise
    finally:
        made = recorder.cassette()
        saved = made.save(folder, scan=scan or scanner())
        for what in made.manifest.get("unseen", ()):
            _LOG.warning("%s is in no recording: a replay refuses it unless it is allowed (%s)", what, saved)
    if recorder.not_kept is not None:
        recorder.not_kept.where = str(saved)
        raise recorder.not_kept


def _circumstances(rules: Rules, watch: Iterable[str | Path]) -> dict[str, Any]:
    """What the manifest of a recording that begins now says of its time, its chance and its versions."""
    began = real_ns()
    return {
        "started_ns": began,
        "utc_ahead": local_ahead(began),
        # drawn anew each time: real services take two requests with one idempotency key for the same
        "chance": secrets.randbits(53),
        "chance_apart": True,
        "ignore": list(rules.ignore),
        "watch": watched(watch),
        "versions": versions(),
    }


@contextlib.asynccontextmanager
async def replaying(
    cassette: Cassette | str | Path,
    *,
    policy: Policy = "fail",
    rules: Rules | None = None,
    pace: Pace = "ordered",
    allow: Iterable[str] = (),
    live_budget: int = 100,
    live_writes: Iterable[str] = (),
    side: str | Path | None = None,
    first_use: FirstUse | None = None,
    fork: tuple[Place, Variant] | None = None,
    ignore: Iterable[str] = (),
) -> AsyncGenerator[ReplaySession]:
    """Answer the conversation inside from ``cassette``; nothing else gets out.

    ``allow`` names ``host:port`` that may be reached (the agent's own address, a telemetry receiver).
    ``live_budget`` caps the live calls of ``live`` and ``simulate``; ``side`` is the cassette that keeps
    them. ``live_writes`` names the tools that may change the world all the same. ``first_use`` holds what
    other conversations of the same recording asked once for the whole process. ``fork`` is where the
    replay leaves its recording. ``ignore``: JSON paths by which nothing is compared.
    """
    if policy not in POLICIES:
        raise InputError(f"{policy!r} is not a policy", hint="choose one of: " + ", ".join(POLICIES))
    refuse_production()
    loaded = cassette if isinstance(cassette, Cassette) else Cassette.load(cassette)
    made = ReplaySession if fork is None else partial(ForkSession, place=fork[0], variant=fork[1])
    player = made(
        loaded,
        rules or default_rules(ignore=tuple(ignore)),
        policy=policy,
        pace=pace,
        allow=set(allow),
        live_budget=live_budget,
        live_writes=set(live_writes),
        first_use=first_use,
    )
    player.recorder = RecordSession(player.rules, allow) if policy in {"live", "simulate"} else None
    chance = loaded.manifest.get("chance", loaded.scenario or "")
    try:
        with (
            intercepted(player),
            pinned_chance(chance, with_ids=False, apart="chance_apart" in loaded.manifest),
            tools.using(player.toolbox(tools.current())),
            framework_tools.held() if loaded.match == "chat" else contextlib.nullcontext(),
        ):
            yield player
            await settled(player)
    finally:
        _finish(player, side)


def _finish(player: ReplaySession, side: str | Path | None) -> None:
    """The conversation is over; what went live becomes a cassette of its own."""
    player.finish()
    recorder, cassette = player.recorder, player.cassette
    if recorder is not None and side is not None and player.live_calls:
        recorder.manifest = {"scenario": cassette.scenario, "side_of": str(cassette.folder or "")}
        player.side_cassette = str(recorder.cassette().save(side))


_OF_RECORDING = ("scenario", "seed", "watch", "personal", "invented")
"""Options that mean nothing to a replay: the cassette tells."""
_OF_BOTH = ("rules", "allow", "ignore")


@contextlib.asynccontextmanager
async def cassette_for(
    folder: str | Path, mode: Literal["once", "none", "all", "new"] = "once", **options: Any
) -> AsyncGenerator[RecordSession | ReplaySession]:
    """Record or replay, by the words that VCR's users know.

    ``once`` records where there is no cassette yet and replays otherwise; ``none`` only replays; ``all``
    records anew; ``new`` replays, and adds what is missing to the cassette.
    """
    exists = (Path(folder) / "manifest.json").is_file()
    if mode == "all" or (mode == "once" and not exists) or (mode == "new" and not exists):
        recording = {
            name: options[name] for name in (*_OF_RECORDING, "rules", "allow", "ignore") if name in options
        }
        async with record(folder, **recording) as recorder:
            yield recorder
        return
    playing = {name: value for name, value in options.items() if name not in _OF_RECORDING}
    if mode == "new":
        playing |= {"policy": "live"}
    async with replaying(folder, **playing) as player:
        yield player
    if mode == "new" and player.live_calls:
        with_added(player).save(folder, scan=scanner())


def with_added(player: ReplaySession) -> Cassette:
    """The cassette of a replay, with what went live."""
    merged = player.cassette
    if player.recorder is None:
        return merged
    added = player.recorder.cassette()
    merged.http += added.http
    merged.tools += added.tools
    merged.streams += added.streams
    merged.manifest |= {"personal": added.manifest["personal"]} if "personal" in added.manifest else {}
    number(merged.http)
    number(merged.tools)
    number(merged.streams)
    return merged


def current() -> RecordSession | ReplaySession | None:
    """The recorded or replayed conversation that the running code belongs to; None outside of any."""
    traffic = process.current()
    return traffic if isinstance(traffic, RecordSession | ReplaySession) else None


def unrecorded() -> contextlib.AbstractContextManager[None]:
    """What is asked for inside is the simulation's own: neither recorded nor refused."""
    return process.entered(RecordSession(Rules()))


def versions() -> dict[str, str]:
    """The versions that shaped a recording."""
    found = {"python": platform.python_version()}
    for name in ("simulate-agents", "openai", "anthropic", "httpx", "vcrpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
