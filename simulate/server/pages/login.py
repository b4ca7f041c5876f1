"""How a person comes in by a key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from simulate.server.access import COOKIE, DAYS
from simulate.server.pages.shared import html, see
from simulate.server.routes import PageRequest, Route

if TYPE_CHECKING:
    from aiohttp import web


def to_login(path: str) -> web.Response:
    """Where somebody without a key is sent, who wanted to see ``path``."""
    return see(f"/login?{urlencode({'to': path})}")


async def _ask(request: PageRequest) -> web.Response:
    return html(request, "login.html", to=_own(request.query.get("to", "/")), wrong_key=False)


async def _come_in(request: PageRequest) -> web.Response:
    given = str(request.form.get("key", "")).strip()
    to = _own(str(request.form.get("to", "/")))
    cookie = await asyncio.to_thread(request.context.access.cookie, given)
    if cookie is None:
        response = html(request, "login.html", to=to, wrong_key=True)
        response.set_status(403)
        return response
    response = see(to)
    response.set_cookie(COOKIE, cookie, max_age=DAYS * 86_400, httponly=True, samesite="Lax", path="/")
    return response


async def _leave(request: PageRequest) -> web.Response:
    response = see("/login")
    response.del_cookie(COOKIE, path="/")
    return response


def _own(path: str) -> str:
    """A path of this server: never another one's address, whatever a link says."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"


ROUTES = [
    Route("GET", "/login", "anybody", _ask),
    Route("POST", "/login", "anybody", _come_in),
    Route("POST", "/logout", "anybody", _leave),
]
