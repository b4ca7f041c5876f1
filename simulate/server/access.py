"""Who may come in, from where, and for what."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simulate.local_server import Refused, is_local
from simulate.server.store.access_keys import AccessKey, find_key, key_by_id
from simulate.server.store.store import Store

if TYPE_CHECKING:
    from aiohttp import web

COOKIE = "simulate"
DAYS = 7
LOCAL = AccessKey("local", "default", "manage", "this machine")
"""Whoever asks a server of this machine that demands no key."""
_HEADERS = ("x-api-key", "x-secret-key", "api-key", "x-honeycomb-team")


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server. ``demands_keys`` is False only for one that listens on this machine alone."""

    store: Store
    demands_keys: bool
    secret: str
    """Signs cookies and the tokens of forms."""

    def check_origin(self, request: web.BaseRequest) -> None:
        """Raises Refused for what a page from elsewhere sends, and for a name that is not this machine's
        where the server is this machine's alone. Following a link is allowed from everywhere."""
        host = request.headers.get("Host", "")
        if not self.demands_keys and not is_local(f"//{host}"):
            raise Refused(421, "this server is 127.0.0.1 or localhost, and answers to no other name")
        origin = request.headers.get("Origin")
        # "null" is a page without an origin, such as one in a sandbox
        foreign = origin is not None and _place(origin) != _place(f"//{host}")
        headers = request.headers
        follows = request.method == "GET" and headers.get("Sec-Fetch-Mode") == "navigate"
        crosses = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not follows
        if foreign or crosses or (follows and headers.get("Sec-Fetch-Dest", "document") != "document"):
            raise Refused(403, "this server answers to no page from elsewhere")

    def who(self, request: web.BaseRequest) -> tuple[AccessKey | None, bool]:
        """Whose request it is, and whether a cookie says so; None for nobody. Raises Refused for a wrong
        key."""
        if self.demands_keys and not any(_given(request.headers)):
            return self._by_cookie(request.cookies.get(COOKIE, "")), True
        return self.who_sends(request.headers), not any(_given(request.headers))

    def who_sends(self, headers: Mapping[str, str]) -> AccessKey | None:
        """Whose key is among the headers; None where there is none. Raises Refused for a wrong key."""
        if not self.demands_keys:
            return LOCAL
        given = list(_given(headers))
        found = next((found for key in given if (found := find_key(self.store, key)) is not None), None)
        if given and found is None:
            raise Refused(401, "this key opens nothing here")
        return found

    def cookie(self, key: str) -> str | None:
        """The cookie of whoever logs in with a key; None where it is none."""
        found = find_key(self.store, key)
        if found is None:
            return None
        head = f"{found.id}.{int(time.time()) + DAYS * 86_400}"
        return f"{head}.{self._sign(head)}"

    def _by_cookie(self, cookie: str) -> AccessKey | None:
        head, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(head).encode()):
            return None
        key_id, _, until = head.partition(".")
        return key_by_id(self.store, key_id) if int(until) > time.time() else None

    def form_token(self, request: web.BaseRequest) -> str:
        """What a form of ours carries, so that no other page can send it."""
        return self._sign(f"form {request.cookies.get(COOKIE, '')}")

    def check_form(self, request: web.BaseRequest, token: str) -> None:
        """Raises Refused for a form that was not ours."""
        if not hmac.compare_digest(token.encode(), self.form_token(request).encode()):
            raise Refused(403, "the form is not from this session; load the page again")

    def _sign(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def check_role(key: AccessKey | None, role: str) -> AccessKey:
    """The key, where it is good for this. Raises Refused."""
    if key is None:
        raise Refused(401, "a key is needed: send it as Authorization: Bearer KEY")
    if not key.may(role):
        raise Refused(403, f"this key may {key.role}; for this it takes one that may {role}")
    return key


def _place(url: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None


def _given(headers: Mapping[str, str]) -> Iterator[str]:
    """Every key that a request carries, in the way of whichever SDK. Names of headers are in lower case, or
    the mapping does not tell the cases apart."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield rest.strip()
    elif scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refused(401, "the Authorization header is not what Basic asks for") from None
        yield password
        yield user
    for name in _HEADERS:
        if name in headers:
            yield headers[name]
