"""What all pages share: the templates, how things are written for people, and the files beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from simulate.interfaces.render.page import asset
from simulate.local_server import Refused
from simulate.model.text import dollars, line, safe
from simulate.server.routes import PageRequest, Route

if TYPE_CHECKING:
    from aiohttp import web
    from jinja2 import Environment

_ASSETS = {"base.css": "text/css", "server.css": "text/css"}


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # an optional extra

    made = Environment(
        loader=PackageLoader("simulate.server.pages"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters |= {
        "line": line, "shown": safe, "when": when, "seconds": seconds, "dollars": money, "count": count,
        "percent": percent, "step": lambda text: quote(str(text), safe=""),
    }  # fmt: skip
    return made


def when(ns: int) -> str:
    """A moment as people read it, in UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: float | None) -> str:
    """A duration with its unit; a dash where it is unknown."""
    if value is None:
        return "–"
    if value < 0.9995:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.2f} s" if value < 99.95 else f"{int(value // 60)} m {int(value % 60):02} s"


def money(value: float | None) -> str:
    """Dollars; a dash where they are unknown."""
    return "–" if value is None else dollars(value)


def count(value: float | None) -> str:
    """A number with its thousands apart; a dash where it is unknown."""
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None) -> str:
    """A share; a dash where it is unknown."""
    return "–" if value is None else f"{value * 100:.1f} %"


def html(request: PageRequest, template: str, **values: Any) -> web.Response:
    """The page of a template."""
    from aiohttp import web  # start-up time

    return web.Response(text=fragment(request, template, **values), content_type="text/html", charset="utf-8")


def fragment(request: PageRequest, template: str, **values: Any) -> str:
    """A template as HTML."""
    context = request.context
    shared = {
        "here": request.raw.path, "token": context.access.form_token(request.raw), "key": request.key,
        "wrong": list(dict.fromkeys(context.problems.values())), "link": link,
        "locked": context.access.demands_keys,
    }  # fmt: skip
    return _templates().get_template(template).render({**shared, **values})


def link(path: str, query: dict[str, Any] | None = None, **changes: Any) -> str:
    """An address with a query; what is empty is left out, and a list is a word several times."""
    words = {**(query or {}), **changes}
    told = urlencode({name: value for name, value in words.items() if value not in (None, "", [])}, True)
    return f"{path}?{told}" if told else path


def see(path: str) -> web.Response:
    """To another page, by GET: what a form is answered with."""
    from aiohttp import web  # start-up time

    return web.Response(status=303, headers={"Location": path})


def whole(pieces: Any) -> web.Response:
    """A page that carries its own scripts, and the policy that names them."""
    from aiohttp import web  # start-up time

    headers = {"Content-Security-Policy": "frame-ancestors 'none'"}
    return web.Response(body=b"".join(pieces), content_type="text/html", charset="utf-8", headers=headers)


def problem(status: int, message: str, hint: str | None) -> web.Response:
    """A page that says what is wrong."""
    from aiohttp import web  # start-up time

    text = _templates().get_template("problem.html").render(status=status, message=message, hint=hint)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


async def _static(request: PageRequest) -> web.Response:
    from aiohttp import web  # start-up time

    name = request.words["name"]
    if name not in _ASSETS:
        raise Refused(404, "there is nothing at this address")
    return web.Response(
        text=asset(name),
        content_type=_ASSETS[name],
        charset="utf-8",
        headers={"Cache-Control": "max-age=300"},
    )


STATIC = Route("GET", "/static/{name}", "anybody", _static)
