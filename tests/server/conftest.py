"""Stores in SQLite and in Postgres, and servers on real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from simulate.server.app import serving
from simulate.server.context import Context
from simulate.server.settings import ServerSettings
from simulate.server.store import Store
from simulate.trace.otlp.encode import to_protobuf
from simulate.trace.span import Span

HOUR = 3_600_000_000_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A Postgres of the tests' own, on a socket in a folder of theirs: the address of its first database."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no Postgres to try the store with: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    # the server refuses to run as root; Debian's package brings this user
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    settings = "-c listen_addresses='' -c fsync=off -c max_connections=60 -k " + str(folder)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)

    run(str(binaries / "initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D", str(data))
    run(str(binaries / "pg_ctl"), "-w", "-D", str(data), "-l", str(folder / "log"), "-o", settings, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def database(server: str, template: str = "template1") -> Iterator[str]:
    """A new database of a Postgres server."""
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'traces.db'}"
    else:
        with database(request.getfixturevalue("postgres")) as address:
            yield address


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, to be copied: making the tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("template") / "traces.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> Iterator[str]:
    with database(postgres) as address:
        Store(address).close()
        yield urlsplit(address).path.strip("/")


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "store.db")
        with contextlib.closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as found:
            yield found
        return
    template: str = request.getfixturevalue("postgres_template")
    with (
        database(request.getfixturevalue("postgres"), template) as address,
        contextlib.closing(Store(address)) as found,
    ):
        yield found


@pytest.fixture
def small_store(tmp_path: Path, sqlite_template: Path) -> Iterator[Store]:
    """In SQLite, for what does not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "small.db")
    with contextlib.closing(Store(f"sqlite:///{tmp_path / 'small.db'}")) as found:
        yield found


def _message(role: str, words: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": words}]}])


def agent_spans(
    number: int = 1, *, user: str = "u-7", began: int | None = None, error: bool = False, prompt: str = "v3",
    words: str = "Where is order 4417?", session: str = "s-1", tokens: int = 40, retrieved: bool = False,
) -> list[Span]:  # fmt: skip
    """A trace of an agent with a model call and a tool call."""
    trace_id = f"{number:032x}"
    start = (began or time.time_ns() - 60_000_000_000) + number * 1000
    about = {
        "user.id": user, "session.id": session, "prompt.version": prompt, "openinference.span.kind": "AGENT",
        "agent.name": "support",
    }  # fmt: skip
    root = Span(
        trace_id,
        f"{number:08x}00000001",
        "answer",
        start_ns=start,
        end_ns=start + 2_000_000_000,
        attributes=about,
    )
    llm = Span(
        trace_id, f"{number:08x}00000002", "chat gpt-4o-mini", root.span_id, start + 1, start + 1_000_000_000,
        attributes={
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": tokens,
            "gen_ai.input.messages": _message("user", words),
            "gen_ai.output.messages": _message("assistant", "It arrives on Friday."),
        },
    )  # fmt: skip
    tool = Span(
        trace_id, f"{number:08x}00000003", "execute_tool lookup_order", root.span_id, start + 1_000_000_001,
        start + 1_500_000_000, status="error" if error else "ok",
        status_message="the order does not exist" if error else None,
        attributes={
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "lookup_order",
            "gen_ai.tool.call.arguments": '{"order_id": "4417"}',
            "gen_ai.tool.call.result": '{"arrives": "Friday"}',
        },
    )  # fmt: skip
    made = [root, llm, tool]
    if retrieved:
        made.append(
            Span(
                trace_id,
                f"{number:08x}00000004",
                "search",
                root.span_id,
                start + 2,
                start + 3,
                attributes={"openinference.span.kind": "RETRIEVER", "input.value": "orders"},
            )
        )
    return made


@pytest.fixture
def make() -> Callable[..., list[Span]]:
    return agent_spans


class Running:
    """A server and a way to ask it."""

    def __init__(self, context: Context, session: aiohttp.ClientSession) -> None:
        self.context = context
        self.session = session
        self.address = context.address

    async def send(self, *traces: list[Span], headers: dict[str, str] | None = None) -> int:
        body = to_protobuf([span for spans in traces for span in spans]).SerializeToString()
        asked = self.session.post(
            f"{self.address}/v1/traces", data=body, headers={**PROTOBUF, **(headers or {})}
        )
        async with asked as response:
            return response.status

    async def settled(self) -> None:
        """Everything that was sent is put away."""
        import asyncio

        await asyncio.to_thread(self.context.assembler.step, everything=True)

    async def get(self, path: str, **more: object) -> tuple[int, str]:
        async with self.session.get(self.address + path, allow_redirects=False, **more) as response:
            return response.status, await response.text()

    async def json(self, path: str, **more: object) -> object:
        async with self.session.get(self.address + path, **more) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@pytest.fixture
async def serve(small_store: Store) -> AsyncIterator[Callable[..., object]]:
    """Starts servers; each is stopped at the end of the test."""
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def start(
            store: Store = small_store, settings: ServerSettings | None = None, **more: object
        ) -> Running:
            context = await stack.enter_async_context(serving(store, settings, quiet=0.05, **more))
            return Running(context, session)

        yield start
