"""The pages and the API, on real sockets: what they show, to whom, and what can never happen on them."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulate.server import api, pages
from simulate.server.settings import ServerSettings
from simulate.server.store import Store
from simulate.server.store.access_keys import make_key
from simulate.trace.span import Span

Make = Callable[..., list[Span]]
Serve = Callable[..., Any]
PAGES = (
    "/",
    "/?since=all",
    "/dashboard",
    "/runs",
    "/alerts",
    "/help",
    "/datasets",
    "/datasets/golden",
    "/compare",
    "/of/user?is=u-7",
    "/of/session?is=s-1",
)
HOSTILE = (
    "<script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">'\"`{{7*7}}{% raw %}\u202e"
)


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


async def filled(serve: Serve, *traces: list[Span], **more: object) -> Any:
    server = await serve(**more)
    assert await server.send(*traces) == 200
    await server.settled()
    return server


async def test_from_a_complaint_to_the_failing_span_in_four_steps(serve: Serve, make: Make) -> None:
    server = await filled(serve, make(1), make(2, user="u-8", error=True, prompt="v4", tokens=900))
    status, listed = await server.get("/?filter=user%3Du-8&since=1h")
    assert status == 200 and "u-7" not in words(listed).replace("user=u-7", "")
    (address,) = set(re.findall(r'href="(/traces/[0-9a-f]{32})"', listed))
    status, page = await server.get(address)
    told = words(page)
    assert "What failed here" in told and "execute_tool lookup_order" in told
    assert "the order does not exist" in told
    # without a script, too: who, which prompt, model, tool, its arguments, cost
    plain = unescape(page[page.index("<noscript>") : page.index("</noscript>")])
    for fact in ("u-8", "v4", "gpt-4o-mini", "lookup_order", "4417", "$"):
        assert fact in plain


async def test_every_page_draws_itself_without_a_script_and_from_here_alone(serve: Serve, make: Make) -> None:
    server = await filled(serve, make(1), make(2, error=True))
    for path in PAGES:
        async with server.session.get(server.address + path) as response:
            page = await response.text()
            assert response.status == 200, path
            policy = response.headers["Content-Security-Policy"]
        assert (
            "default-src 'none'" in policy and "script" not in policy and "frame-ancestors 'none'" in policy
        )
        assert "<script" not in page and "style=" not in page, path
        assert not re.findall(r'(?:src|href)=["\']?(?:https?:)?//', page), path


async def test_empty_pages_say_what_to_do(serve: Serve) -> None:
    server = await serve()
    for path in PAGES:
        assert (await server.get(path))[0] == 200
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={server.address}" in (await server.get("/"))[1]


def hostile_trace(make: Make) -> list[Span]:
    spans = make(1, user=HOSTILE, prompt=HOSTILE, session=HOSTILE, error=True)
    for span in spans:
        span.name = span.status_message = HOSTILE
        span.attributes = {
            name: value if "kind" in name or "operation" in name or not isinstance(value, str) else HOSTILE
            for name, value in span.attributes.items()
        } | {HOSTILE: HOSTILE}  # fmt: skip
        span.resource = {"service.name": HOSTILE, "simulate.run.id": HOSTILE, "simulate.outcome": HOSTILE}
    return spans


async def test_nothing_that_a_span_says_is_markup(serve: Serve, make: Make) -> None:
    server = await filled(serve, hostile_trace(make))
    from urllib.parse import quote

    trace = f"/traces/{1:032x}"
    asked = quote(HOSTILE)
    more = [
        f"/of/user?is={asked}",
        f"/?filter={asked}",
        f"/?text={asked}&since=all",
        f"/compare?a={asked}&b={asked}",
    ]
    for path in [
        *PAGES,
        trace,
        f"/compare?a={1:032x}&b={1:032x}",
        *more,
        f"/traces/{asked}",
        f"/login?to={asked}",
    ]:
        _, page = await server.get(path)
        assert "<script>document" not in page and "<img" not in page and 'onerror="' not in page, path
        assert "\u202e" not in re.sub(
            r'(?s)<script type="application/json".*?</script>|value="[^"]*"', "", page
        ), path


async def test_a_hostile_trace_runs_nothing_in_a_browser(serve: Serve, make: Make, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium to look at pages with: apt-get install chromium")
    server = await filled(serve, hostile_trace(make))
    import asyncio

    def look(path: str) -> str:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command = [
            chromium,
            *options,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000",
        ]
        done = subprocess.run(
            [*command, "--dump-dom", server.address + path], capture_output=True, timeout=90, check=True
        )
        return done.stdout.decode("utf-8", "replace")

    dom = await asyncio.to_thread(look, f"/traces/{1:032x}")
    assert dom.count('role="treeitem"') == 3, "the page's own script draws the tree"
    assert "<title>owned" not in dom and "document.title='owned'" in unescape(dom)
    # a link to a span opens that span, and not the one that failed
    llm = make(1)[1].span_id
    dom = await asyncio.to_thread(look, f"/traces/{1:032x}#span={llm}")
    detail = dom[dom.index('class="span-detail"') :]
    assert llm in detail[: detail.index("</dl>")]


async def test_a_trace_becomes_a_test_that_runs(serve: Serve, make: Make, tmp_path: Path) -> None:
    server = await filled(serve, make(1))
    async with server.session.get(
        f"{server.address}/api/v1/traces/{1:032x}/test?name=Late+order"
    ) as response:
        assert response.status == 200
        data = await response.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    from simulate.replay import Cassette
    from simulate.scenario_files import load_scenarios

    (loaded,) = load_scenarios([tmp_path / "scenarios" / "late_order.yaml"])
    assert loaded.scenario.script[0].says == "Where is order 4417?"
    assert Cassette.load(tmp_path / "scenarios" / "cassettes" / "late-order").http


async def test_the_api_says_what_openapi_says(serve: Serve, make: Make) -> None:
    server = await filled(serve, make(1), make(2, error=True), make(3))
    described = await server.json("/api/openapi.json")
    told = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert told == {(route.method, route.path) for route in api.ROUTES}
    first = await server.json("/api/v1/traces?limit=2")
    assert [int(row["trace_id"], 16) for row in first["traces"]] == [3, 2]
    rest = await server.json(f"/api/v1/traces?limit=2&before={first['next']}")
    assert [int(row["trace_id"], 16) for row in rest["traces"]] == [1]
    assert (await server.json("/api/v1/facets?filter=error"))["user"] == {"u-7": 1}
    assert (await server.json("/api/v1/dashboard"))["total"]["errors"] == 1
    for path, hint in (("/api/v1/traces?filter=kind%3DTOO", "TOOL"), ("/api/v1/traces?since=soon", "2h")):
        async with server.session.get(server.address + path) as response:
            assert response.status == 400 and hint in (await response.json())["hint"]
    assert (await server.get("/api/v1/traces/none"))[0] == 404


async def test_feedback_by_session_reaches_list_and_dashboard(serve: Serve, make: Make) -> None:
    server = await filled(serve, make(1))
    asked = {"session": "s-1", "rating": "down", "comment": "wrong order, write to anna@example.com"}
    async with server.session.post(f"{server.address}/v1/feedback", json=asked) as response:
        assert (await response.json()) == {"trace_id": f"{1:032x}"}
    assert "rated down" in words((await server.get("/?filter=feedback%3Ddown"))[1])
    page = words((await server.get(f"/traces/{1:032x}"))[1])
    assert "wrong order" in page and "anna@" not in page
    for wrong in ({"rating": "down"}, {"session": "s-1"}, {"session": "s-1", "rating": "bad"}, {"stars": 1}):
        async with server.session.post(f"{server.address}/v1/feedback", json=wrong) as response:
            assert response.status == 400


async def test_a_page_from_elsewhere_is_refused_and_a_link_to_here_is_not(serve: Serve, make: Make) -> None:
    server = await filled(serve, make(1))
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    refused: list[dict[str, str]] = [
        {"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        link | {"Sec-Fetch-Dest": "iframe"},
    ]  # fmt: skip
    for headers in refused:
        assert (await server.get("/api/v1/traces", headers=headers))[0] in (403, 421), headers
    assert (await server.get("/", headers=link))[0] == 200
    # a form of another page: no preflight asks for it, and nothing is done
    plain = {"Content-Type": "text/plain"}
    async with server.session.post(
        f"{server.address}/api/v1/forget", data='{"user": "u-7"}', headers=plain
    ) as response:
        assert response.status == 415
    assert (await server.json("/api/v1/traces"))["traces"]


async def test_who_comes_by_a_key_sees_their_project_alone_and_does_what_the_role_allows(
    serve: Serve, small_store: Store, make: Make
) -> None:
    keys = {role: make_key(small_store, "shop", role, role) for role in ("send", "read", "manage")}
    other = make_key(small_store, "other", "read", "other")
    server = await serve(demand_keys=True)
    assert await server.send(make(1), headers={"x-api-key": keys["send"]}) == 200
    await server.settled()

    async def asked(method: str, path: str, key: str | None) -> int:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        more: dict[str, Any] = {"json": {"user": "nobody"}} if method == "POST" else {}
        async with server.session.request(
            method, server.address + path, headers=headers, allow_redirects=False, **more
        ) as response:
            return response.status

    may = {"send": {"send", "manage"}, "read": {"read", "manage"}, "manage": {"manage"}}
    for route in [*api.ROUTES, *pages.ROUTES]:
        if route.role == "anybody" or route.path == "/v1/feedback":
            continue
        path = re.sub(r"\{trace_id\}", f"{1:032x}", route.path).replace("{name}", "user")
        for role, key in keys.items():
            status = await asked(route.method, path, key)
            assert (status not in (401, 403)) == (role in may[route.role]), (route.path, role, status)
        to_login = route.method == "GET" and not route.about
        assert await asked(route.method, path, None) == (303 if to_login else 401), route.path
    trace = f"/api/v1/traces/{1:032x}"
    assert (await asked("GET", trace, keys["read"]), await asked("GET", trace, other)) == (200, 404)


async def test_a_person_logs_in_and_out_and_no_form_of_another_works(
    serve: Serve, small_store: Store
) -> None:
    key = make_key(small_store, "shop", "read", "anna")
    server = await serve(demand_keys=True)
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{server.address}/dashboard") as response:
            page = await response.text()
            assert response.url.path == "/login"
        token = re.search(r'name=token value="(\w+)"', page)[1]
        for fields, status in (
            ({"key": key, "token": "x"}, 403),
            ({"key": "sim_wrong_x", "token": token}, 403),
        ):
            async with browser.post(f"{server.address}/login", data=fields) as response:
                assert response.status == status
        good = {"key": key, "token": token, "to": "https://evil.example/"}
        async with browser.post(f"{server.address}/login", data=good, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/")
            cookie = response.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and key not in cookie
        async with browser.get(f"{server.address}/dashboard") as response:
            page = await response.text()
            assert response.url.path == "/dashboard" and "anna" in page
        async with browser.post(f"{server.address}/logout", data={"token": token}) as response:
            assert response.status == 403  # the token of before
        token = re.search(r'name=token value="(\w+)"', page)[1]
        async with browser.post(f"{server.address}/logout", data={"token": token}) as response:
            assert response.url.path == "/login"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/..%2f..%2fstore", "/static/base.js"]
)
async def test_no_path_leads_out(serve: Serve, path: str) -> None:
    from yarl import URL

    server = await serve()
    async with server.session.get(URL(server.address + path, encoded=True)) as response:
        assert response.status == 404


async def test_what_is_too_large_or_too_packed_is_refused(serve: Serve) -> None:
    import gzip

    server = await serve()
    async with server.session.post(
        f"{server.address}/v1/feedback",
        data=io.BytesIO(b" " * (2 << 20)),
        headers={"Content-Type": "application/json"},
    ) as response:
        assert response.status == 413
    bomb = gzip.compress(b"\0" * (80 << 20))
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    async with server.session.post(
        f"{server.address}/v1/traces", data=io.BytesIO(bomb), headers=headers
    ) as response:
        assert response.status == 413


async def test_five_hundred_connections_that_say_nothing_keep_nobody_out(serve: Serve, make: Make) -> None:
    import asyncio

    server = await serve()
    port = int(server.address.rsplit(":", 1)[1])
    silent = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(500)))
    try:
        assert await server.send(make(1)) == 200
        assert (await server.get("/help"))[0] == 200
    finally:
        for _, writer in silent:
            writer.close()


async def test_an_alert_is_told_once_and_its_recovery_too(serve: Serve, make: Make) -> None:
    from aiohttp import web

    from simulate.server import alerts

    heard: list[dict[str, Any]] = []
    answers = [500, 200, 200]

    async def hook(request: web.BaseRequest) -> web.Response:
        heard.append(await request.json())
        return web.Response(status=answers.pop(0))

    from simulate.local_server import listening

    async with listening(hook, 0) as port:
        rule = {
            "name": "tools fail", "measure": "error_rate", "above": 0.2, "at_least": 2, "minutes": 60,
            "webhook": f"http://127.0.0.1:{port}/",
        }  # fmt: skip
        settings = ServerSettings.model_validate({"alerts": [rule]})
        server = await filled(serve, make(1, error=True, user="anna@example.com"), settings=settings)
        await alerts.look(server.context)
        assert heard == []  # one trace is too few to say anything
        await server.send(make(2))
        await server.settled()
        await alerts.look(server.context)  # the webhook fails, and the page says so
        assert "the webhook answered 500" in words((await server.get("/alerts"))[1])
        await alerts.look(server.context)
        await alerts.look(server.context)
        assert len(heard) == 2
        assert (heard[1]["state"], heard[1]["value"], heard[1]["prompt_version"]) == ("firing", 0.5, "v3")
        assert heard[1]["link"] == f"{server.address}/traces/{1:032x}"
        assert "anna" not in str(heard)
        await server.send(*(make(n) for n in range(3, 11)))
        await server.settled()
        await alerts.look(server.context)
        await alerts.look(server.context)
        assert [each["state"] for each in heard[2:]] == ["recovered"]


async def test_scores_on_arrival_stand_on_the_trace(serve: Serve, make: Make) -> None:
    settings = ServerSettings.model_validate({"evaluators": {"StepEfficiency": 0.8}})
    server = await filled(serve, make(1), settings=settings)
    found = await server.json("/api/v1/traces?filter=score.StepEfficiency%3E0.5")
    assert len(found["traces"]) == 1
    assert "StepEfficiency" in (await server.get("/dashboard"))[1]
