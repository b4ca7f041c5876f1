"""``simulate doctor``: what is installed, what is missing, and the command that brings it."""

from __future__ import annotations

import argparse
import asyncio
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from simulate.errors import MissingExtra, SimulateError
from simulate.interfaces.cli import say
from simulate.llm import from_environment
from simulate.model.loading.project import Project


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the answer. ``mark`` is ``ok``, ``missing`` (something optional) or ``wrong``."""

    mark: str
    what: str
    remedy: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """No options yet."""


def execute(args: argparse.Namespace) -> int:
    """Print the findings; exit code 2 where something is wrong rather than missing."""
    findings = [finding for look in LOOKS for finding in look()]
    signs = {"ok": "✓", "missing": "○", "wrong": "✗"}
    for finding in findings:
        say(f"{signs[finding.mark]} {finding.what}")
        if finding.remedy:
            say(f"    {finding.remedy}")
    return 2 if any(finding.mark == "wrong" for finding in findings) else 0


def _basics() -> Iterator[Diagnosis]:
    python = platform.python_version()
    yield Diagnosis("ok", f"simulate-agents {version('simulate-agents')} on Python {python}")
    for name in ("openai", "opentelemetry-sdk", "vcrpy", "pytest", "faker"):
        yield Diagnosis("ok", f"{name} {version(name)}")


def _namesake() -> Iterator[Diagnosis]:
    """PyPI's ``simulate`` is another, abandoned package with the same import name."""
    try:
        other = distribution("simulate")
    except PackageNotFoundError:
        return
    yield Diagnosis(
        "wrong",
        f"the package `simulate` {other.version} is installed beside simulate-agents and has the same import"
        " name",
        "pip uninstall -y simulate && pip install --force-reinstall --no-deps simulate-agents",
    )


def _extra(extra: str, what: str, *packages: str) -> Callable[[], Iterator[Diagnosis]]:
    def look() -> Iterator[Diagnosis]:
        found: dict[str, str] = {}
        for package in packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        absent = [package for package in packages if package not in found]
        listed = ", ".join(f"{name} {number}" for name, number in found.items())
        if not absent:
            yield Diagnosis("ok", f"{what}: {listed}")
        else:
            yield Diagnosis(
                "missing",
                f"{what}: {', '.join(absent)} not installed",
                f"pip install 'simulate-agents[{extra}]'",
            )

    return look


def _model() -> Iterator[Diagnosis]:
    try:
        project = Project.find(Path.cwd())
    except SimulateError as error:
        yield Diagnosis("wrong", f"pyproject.toml: {error}")
        return
    for role in ("caller", "judge"):
        config = getattr(project.models, role) or from_environment()
        if config is None:
            yield Diagnosis(
                "missing",
                f"no model for the {role} ({'goals' if role == 'caller' else 'meanings'} need one)",
                f"[tool.simulate.models] {role} = …, or OPENAI_BASE_URL and OPENAI_API_KEY",
            )
        else:
            yield Diagnosis("ok", f"model of the {role}: {config.model}")


def _programs() -> Iterator[Diagnosis]:
    if shutil.which("livekit-server") or _built_livekit():
        yield Diagnosis("ok", "livekit-server for local rooms")
    else:
        yield Diagnosis("missing", "livekit-server for local rooms", "simulate livekit install")


def _built_livekit() -> bool:
    try:
        from simulate.integrations.livekit.server import find_server
    except ImportError:
        return False
    return find_server() is not None


def _calls() -> Iterator[Diagnosis]:
    """How many calls by voice this machine holds: measured, which takes some seconds."""
    try:
        from simulate.conversation.voice.capacity import measure
        from simulate.conversation.voice.seats import calls_at_once

        capacity = asyncio.run(measure())
    except (ImportError, MissingExtra):
        return
    yield Diagnosis(
        "ok",
        f"calls by voice at once: {calls_at_once()} at first, more where a call leaves enough of the "
        "processors (SIMULATE_CALLS fixes it)",
        f"a caller takes {capacity.caller:.2f} processor seconds a second here: "
        f"about {capacity.elsewhere} at once to agents on other machines",
    )


def _kernel() -> Iterator[Diagnosis]:
    from simulate.replay.intercept.kernel import can_ask  # start-up time

    if can_ask():
        yield Diagnosis("ok", "replay: the kernel stops and names what programs in any language reach for")
    else:
        told = "a replay guards Python and Node processes only: the rest needs Linux on x86_64 or arm64"
        yield Diagnosis("missing", told)


LOOKS: tuple[Callable[[], Iterator[Diagnosis]], ...] = (
    _basics,
    _namesake,
    _model,
    _extra(
        "voice",
        "voice with Pipecat, and speech models that work offline",
        "pipecat-ai",
        "moonshine-voice",
        "hibari-tts",
    ),
    _extra("languages", "callers in other languages, by espeak-ng", "espeakng-loader"),
    _extra("livekit", "voice in LiveKit rooms", "livekit-api", "livekit"),
    _extra("evaluators", "word error rates", "jiwer"),
    _extra("grpc", "traces over gRPC", "grpcio"),
    _extra("parquet", "traces in parquet files", "pyarrow"),
    _extra("pii", "names of people, for redaction", "presidio-analyzer"),
    _extra("ray", "suites on many machines", "ray"),
    _kernel,
    _extra("server", "a server that keeps traces", "sqlalchemy", "alembic", "jinja2"),
    _extra("postgres", "its store in Postgres", "psycopg"),
    _programs,
    _calls,
)
