"""The server itself: it listens, lets in who may come in, and answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
from sqlalchemy.exc import DBAPIError

from simulate.cloud_protocol.answers import answered, is_of_protocol
from simulate.cloud_protocol.service import CloudService
from simulate.errors import InputError
from simulate.local_server import Intake, Refused, check_content_type, listening
from simulate.model.shapes import object_of
from simulate.scoring.judge import Judge
from simulate.server import api, mcp, pages
from simulate.server.access import LOCAL, Access, check_role
from simulate.server.alerts import EVERY as LOOK
from simulate.server.alerts import keep_looking
from simulate.server.answers import answer_json
from simulate.server.assembler import Assembler
from simulate.server.context import Context
from simulate.server.finishing import Finishing
from simulate.server.grpc_intake import grpc_intake
from simulate.server.intake import PATIENCE as INTAKE_PATIENCE
from simulate.server.intake import SpanIntake
from simulate.server.jobs import Problems, repeat
from simulate.server.judging import Judging
from simulate.server.keeping import EVERY as KEEP_CLEAN
from simulate.server.keeping import keep_clean
from simulate.server.routes import PageRequest, Route
from simulate.server.settings import ServerSettings
from simulate.server.sources import as_otlp, run_traces
from simulate.server.store.access_keys import AccessKey, has_keys
from simulate.server.store.store import Store, reason
from simulate.trace.capture.otlp_http import JSON, PROTOBUF, export, failure, signal_of, success
from simulate.trace.otlp.encode import to_protobuf

if TYPE_CHECKING:
    from aiohttp import web

LIMIT = 64 << 20
"""Bytes of one export, unpacked."""
SMALL = 1 << 20
"""Bytes of any other request."""
PATIENCE = 60.0
"""Seconds that a page has."""
KEPT = "what was acknowledged is kept, and exporters send again what was not"
RETRY = "2"
"""Seconds after which an exporter may send again what was refused for now."""
_log = logging.getLogger("simulate.server")
_HEADERS = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}  # fmt: skip


class TraceServer:
    """Answers requests with a store behind it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._exports = Intake(LIMIT)
        self._others = Intake(SMALL)
        self._routes: Sequence[Route] = [*api.ROUTES, *mcp.ROUTES, *pages.ROUTES]

    async def answer(self, raw: web.BaseRequest) -> web.StreamResponse:
        """Whatever the request was, an answer."""
        try:
            self._context.access.check_origin(raw)
            if is_of_protocol(raw.path):
                response = await self._play(raw)
            else:
                response = await (self._take(raw) if _is_export(raw) else self._show(raw))
        except Refused as refusal:
            response = self._problem(raw, refusal.status, refusal.message)
        except InputError as error:
            response = self._problem(raw, 400, error.message, error.hint)
        except DBAPIError as error:
            _log.error("the store failed: %s", error.orig)
            response = self._problem(raw, 503, f"the store does not answer: {reason(error)}", KEPT)
        except TimeoutError:
            response = self._problem(raw, 503, f"the store did not answer for {PATIENCE:g} s", KEPT)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if response.status in (429, 503):
            response.headers["Retry-After"] = RETRY
        return response

    async def _take(self, raw: web.BaseRequest) -> web.Response:
        """An export. Its refusals are in the form that exporters read."""
        from aiohttp import web  # start-up time

        kind = raw.content_type
        try:
            key = check_role((await self._who(raw))[0], "send")
            signal, body = await export(raw, self._exports)
            problem = await self._context.intake.take(key.project, signal, body, kind, raw.path)
        except Refused as refusal:
            answer = failure(refusal.message, kind)
            form = kind if kind == JSON else PROTOBUF
            return web.Response(status=refusal.status, body=answer, content_type=form)
        return web.Response(body=success(problem, kind), content_type=kind)

    async def _play(self, raw: web.BaseRequest) -> web.Response:
        """A client that brings its agent, to which the project's scenarios are played."""
        check_role((await self._who(raw))[0], "send")
        cloud = self._context.cloud
        if cloud is None:
            raise Refused(404, "this server plays no scenarios")
        body: object = None
        if raw.method != "GET":
            check_content_type(raw)
            try:
                body = orjson.loads(await self._others.body(raw) or b"{}")
            except orjson.JSONDecodeError:
                raise Refused(400, "the body is not JSON") from None
        status, told = await answered(cloud, raw.method, raw.path, dict(raw.query), body)
        return answer_json(told, status)

    async def _show(self, raw: web.BaseRequest) -> web.StreamResponse:
        """A page, or an answer of the API."""
        for route in self._routes:
            words = route.match(raw.method, raw.path)
            if words is not None:
                break
        else:
            raise Refused(404, "there is nothing at this address")
        key, by_cookie = await self._who(raw)
        if key is None and raw.method == "GET" and route.role != "anybody" and not route.about:
            return pages.to_login(raw.path_qs)
        key = (key or LOCAL) if route.role == "anybody" else check_role(key, route.role)
        form: Mapping[str, Any] = {}
        if raw.method == "POST":
            form = await self._form(raw, is_page=by_cookie and not route.about)
        request = PageRequest(self._context, raw, key, words, dict(raw.query), form)
        async with asyncio.timeout(PATIENCE):
            return await route.answer(request)

    async def _who(self, raw: web.BaseRequest) -> tuple[AccessKey | None, bool]:
        async with asyncio.timeout(INTAKE_PATIENCE):
            return await asyncio.to_thread(self._context.access.who, raw)

    async def _form(self, raw: web.BaseRequest, *, is_page: bool) -> Mapping[str, Any]:
        if not is_page:
            check_content_type(raw)
        body = await self._others.body(raw)
        if is_page:
            fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            self._context.access.check_form(raw, fields.get("token", ""))
            return fields
        try:
            return object_of(orjson.loads(body))
        except orjson.JSONDecodeError:
            raise Refused(400, "the body is not JSON") from None

    def _problem(
        self, raw: web.BaseRequest, status: int, message: str, hint: str | None = None
    ) -> web.Response:
        if raw.path.startswith(("/api/", "/v1/", "/mcp")) or is_of_protocol(raw.path):
            return answer_json({"error": message, "hint": hint}, status)
        return pages.problem(status, message, hint)


def _is_export(raw: web.BaseRequest) -> bool:
    if raw.method != "POST":
        return False
    try:
        signal_of(raw.path)
    except Refused:
        return False
    return True


@contextlib.asynccontextmanager
async def serving(
    store: Store, settings: ServerSettings | None = None, *, port: int = 0, host: str = "127.0.0.1",
    demand_keys: bool = False, quiet: float = 2.0, cloud: CloudService | None = None,
    grpc_port: int | None = None, judge: Judge | None = None,
) -> AsyncGenerator[Context]:  # fmt: skip
    """A running server while inside; ``cloud`` plays scenarios to clients, at ``grpc_port`` exports may
    come over gRPC, too, and ``judge`` scores what the settings ask it for.

    Raises InputError where others could come in without a key, or where the settings ask for a judge and
    there is none; OSError where it cannot listen."""
    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and not await asyncio.to_thread(has_keys, store):
        raise InputError(
            f"at {host} others can reach the server, and the store has no key",
            hint="simulate serve keys add --role send NAME makes one",
        )
    context = await asyncio.to_thread(
        _context, store, settings or ServerSettings(), demand_keys or not local, quiet, judge
    )
    server = TraceServer(context)
    again = functools.partial(repeat, context.problems)
    jobs = [
        context.intake.run(),
        again("traces", context.assembler.put_away_quiet, 0.5),
        again("retention", functools.partial(keep_clean, context), KEEP_CLEAN),
        again("alerts", functools.partial(keep_looking, context), LOOK),
    ]
    if context.judging is not None:
        jobs.append(context.judging.run())
    async with listening(server.answer, port, host=host) as actual, _beside(jobs):
        shown = f"[{host}]" if ":" in host else "127.0.0.1" if host == "0.0.0.0" else host
        context.address = f"http://{shown}:{actual}"
        async with contextlib.AsyncExitStack() as stack:
            if cloud is not None:
                context.cloud, cloud.ended = cloud, functools.partial(_keep_run, context)
                stack.push_async_callback(cloud.aclose)
            if grpc_port is not None:
                there = await stack.enter_async_context(grpc_intake(context, host, grpc_port, LIMIT))
                context.grpc_address = f"http://{shown}:{there}"
            yield context


async def _keep_run(context: Context, folder: Path) -> None:
    """The traces of a run that ended here, beside those that come from elsewhere."""
    for trace in run_traces(folder):
        body = to_protobuf(as_otlp(trace.spans)).SerializeToString()
        await context.intake.take(LOCAL.project, "traces", body, PROTOBUF, "/v1/traces")


def _context(
    store: Store, settings: ServerSettings, demand_keys: bool, quiet: float, judge: Judge | None
) -> Context:
    if settings.judge is not None and judge is None:
        raise InputError(
            "judge: asks for a model, and none is configured",
            hint="name one under [tool.simulate.models] as `judge`, or set OPENAI_BASE_URL",
        )
    judging = None if settings.judge is None or judge is None else Judging(store, settings.judge, judge)
    finishing = Finishing(settings)
    problems: Problems = {}
    redactor = functools.partial(store.redactor, settings.redact.patterns, settings.redact.paths)
    intake = SpanIntake(store, redactor, problems)

    def looked(waiting: int) -> None:
        intake.waiting = waiting

    assembler = Assembler(store, finishing.finish, quiet=quiet, looked=looked)
    if judging is not None:
        assembler.done = judging.offer
    access = Access(store, demand_keys, store.setting("cookie key"))
    return Context(store, settings, access, intake, assembler, problems, judging)


@contextlib.asynccontextmanager
async def _beside(jobs: Sequence[Any]) -> AsyncGenerator[None]:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
