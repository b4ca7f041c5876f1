"""What goes wrong round a server is told, and costs nothing that was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event

from simulate.server import alerts, intake
from simulate.server.jobs import Problems, repeat
from simulate.server.settings import ServerSettings
from simulate.server.store import Store
from simulate.server.store.find import Wanted, find
from simulate.server.store.search import parse_search
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., object]


def found(store: Store) -> set[int]:
    rows = find(store, Wanted("default", parse_search(""), limit=1000)).rows
    return {int(row.trace_id, 16) for row in rows}


async def test_a_full_disk_refuses_and_loses_nothing_acknowledged(
    serve: Serve, small_store: Store, make: Make
) -> None:
    pages: list[int] = []

    def limit(connection: object, *_: object) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages[-1]}")

    event.listen(small_store.engine, "checkout", limit)
    server = await serve()
    with small_store.read() as connection:
        pages.append(connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 30)
    answers = {number: await server.send(make(number, words=token_hex(4000))) for number in range(1, 80)}
    kept = {number for number, status in answers.items() if status == 200}
    assert kept and set(answers.values()) == {200, 503}
    status, page = await server.get("/")
    assert status == 200 and "full" in page and "What was acknowledged is kept" in page
    assert "full" in (await server.json("/api/v1/status"))["problem"]
    pages.append(1 << 30)
    assert await server.send(make(100)) == 200
    await server.settled()
    assert found(small_store) == kept | {100}
    await asyncio.sleep(0.6)  # the next look of each job
    assert "What was acknowledged is kept" not in (await server.get("/"))[1]


class Line:
    """Between a store and its Postgres; can be cut, or go silent as a machine that hangs."""

    def __init__(self, there: str) -> None:
        self.there, self.is_cut = there, False
        self.flows = asyncio.Event()
        self.flows.set()
        self.open: set[asyncio.StreamWriter] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        back, on = await asyncio.open_unix_connection(self.there)
        self.open |= {writer, on}
        await asyncio.gather(self._pass(reader, on), self._pass(back, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
            writer.close()

    def cut(self) -> None:
        self.is_cut = True
        for writer in self.open:
            writer.transport.abort()


@pytest.fixture
async def line(postgres: str) -> AsyncIterator[tuple[Line, str]]:
    folder = parse_qs(urlsplit(postgres).query)["host"][0]
    with tempfile.TemporaryDirectory(dir="/tmp") as near:
        between = Line(f"{folder}/.s.PGSQL.5432")
        async with await asyncio.start_unix_server(between, Path(near, ".s.PGSQL.5432")):
            yield between, near
            between.flows.set()
            between.cut()


@pytest.mark.parametrize("how", ["lost", "silent"])
async def test_a_postgres_that_is_gone_is_told_and_comes_back(
    serve: Serve, make: Make, line: tuple[Line, str], postgres_template: str, postgres: str, how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from simulate.server import app
    from tests.server.conftest import database

    between, near = line
    for module, name in ((intake, "PATIENCE"), (app, "PATIENCE"), (app, "INTAKE_PATIENCE")):
        monkeypatch.setattr(module, name, 0.5)
    with database(postgres, postgres_template) as address:
        url = f"postgresql://postgres@{urlsplit(address).path}?host={near}"
        store = await asyncio.to_thread(Store, url)
        with contextlib.closing(store):
            server = await serve(store)
            assert await server.send(make(1)) == 200
            between.cut() if how == "lost" else between.flows.clear()
            assert await server.send(make(2)) == 503
            status, page = await server.get("/")
            assert status == 503 and "the store" in page and "what was acknowledged is kept" in page
            between.is_cut = False
            between.flows.set()
            assert await server.send(make(3)) == 200
            await server.settled()
            rows = await asyncio.to_thread(found, store)  # what was refused may have arrived
            assert rows - {2} == {1, 3}
            assert (await server.get("/"))[0] == 200


async def test_a_webhook_that_is_not_set_is_told_and_stops_no_other(serve: Serve, make: Make) -> None:
    rule = {"measure": "error_rate", "above": 0.2}
    rules = [{**rule, "name": "first", "webhook": "env:NOT_SET"}, {**rule, "name": "second"}]
    server = await serve(settings=ServerSettings.model_validate({"alerts": rules}))
    await server.send(make(1, error=True))
    await server.settled()
    await alerts.look(server.context)
    assert "NOT_SET" in (await server.get("/alerts"))[1]
    assert all(state.is_firing for state in alerts.states(server.context.store).values())


async def test_a_job_goes_on_after_any_failure_which_is_told() -> None:
    problems: Problems = {}
    seen = list[dict[str, str]]()

    async def step() -> float:
        seen.append(dict(problems))
        if len(seen) == 1:
            raise ZeroDivisionError("by zero")
        return 0

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await repeat(problems, "traces", step, 0)
    assert seen[:3] == [{}, {"traces": "ZeroDivisionError: by zero"}, {}]
