"""What a suite of pytest-recording uses (its marks, fixtures and options), answered by our replay::

    pytest -p no:recording -p simulate.interfaces.pytest.vcr

Cassettes that vcrpy wrote are read where they lie. New ones are folders of ours in the same place.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest

from simulate.errors import InputError
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.intercept.process import intercepted_everywhere
from simulate.replay.intercept.traffic import HttpExchange
from simulate.replay.matching.endpoints import address
from simulate.replay.matching.recordings import number
from simulate.replay.matching.request import HttpRequest
from simulate.replay.matching.rules import Rules, default_rules
from simulate.replay.matching.secrets import scanner
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession
from simulate.replay.session import with_added

_MODES = ("once", "new_episodes", "none", "all", "rewrite")
Filter = Callable[[HttpRequest], HttpRequest | None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of pytest-recording."""
    group = parser.getgroup("recording")
    group.addoption("--record-mode", choices=_MODES, help="VCR's words (default: none)")
    group.addoption("--block-network", action="store_true", help="no test may open a connection")
    group.addoption("--allowed-hosts", default="", help="with --block-network: patterns, with commas between")
    group.addoption("--disable-recording", action="store_true", help="the network is real")


def pytest_configure(config: pytest.Config) -> None:
    """The marks of pytest-recording."""
    for mark in (
        "vcr(*names, **config): answer from the test's cassette, and from those named",
        "block_network(allowed_hosts): the test may open no connection",
        "default_cassette(name): the test's cassette has this name",
    ):
        config.addinivalue_line("markers", mark)


@pytest.fixture(scope="module")
def record_mode(request: pytest.FixtureRequest) -> str:
    """One of VCR's words."""
    return request.config.getoption("--record-mode") or "none"


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """What VCR is configured with; suites override it."""
    return {}


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """Where the cassettes of a module lie."""
    return str(request.path.parent / "cassettes" / request.path.stem)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of a test's own cassette."""
    node = _node(request)
    if (mark := node.get_closest_marker("default_cassette")) is not None:
        return str(mark.args[0]).removesuffix(".yaml")
    cls = cast("type | None", request.cls)  # pyright: ignore[reportUnknownMemberType]
    return (f"{cls.__name__}." if cls is not None else "") + re.sub(r"[<>?%*:|\"'/\\]", "-", node.name)


class _Replayed(ReplaySession):
    """A test's cassette; as much of VCR's own as suites ask of it."""

    def __init__(self, cassette: Cassette, rules: Rules, kept: Filter, **options: Any) -> None:
        super().__init__(cassette, rules, **options)
        self._filter = kept

    def begin(self, request: HttpRequest) -> HttpExchange | None:
        asked = self._filter(request)
        if asked is None:
            self.allow.add(address(request.url))
            return None
        return super().begin(asked)

    def __len__(self) -> int:
        return len(self.cassette.http)

    @property
    def play_count(self) -> int:
        """How many requests were answered."""
        return len(self.kept.played)

    @property
    def all_played(self) -> bool:
        """Whether all of it was asked for."""
        return self.play_count == len(self)


class _Recorded(RecordSession):
    def __init__(self, rules: Rules, kept: Filter) -> None:
        super().__init__(rules)
        self._filter = kept

    def begin(self, request: HttpRequest) -> HttpExchange:
        asked = self._filter(request)
        return HttpExchange() if asked is None else super().begin(asked)


@pytest.fixture(autouse=True)
def vcr(
    request: pytest.FixtureRequest,
    record_mode: str,
    vcr_config: Mapping[str, Any],
    vcr_cassette_dir: str,
    default_cassette_name: str,
) -> Generator[_Replayed | _Recorded | None]:
    """What answers or records a marked test; fails it where it asked for what its cassette does not hold."""
    marks = list(_node(request).iter_markers("vcr"))
    if not marks or request.config.getoption("--disable-recording"):
        yield None
        return
    config = dict(vcr_config)
    for mark in reversed(marks):
        config |= mark.kwargs
    mode, own = str(config.pop("record_mode", record_mode)), Path(vcr_cassette_dir, default_cassette_name)
    rules, kept = default_rules(), _filter_of(config)
    found = [path for path in (own, Path(f"{own}.yaml"), Path(f"{own}.json")) if path.exists()][:1]
    found += [Path(vcr_cassette_dir, str(name)) for mark in marks for name in mark.args]
    if mode in {"all", "rewrite"} or (mode in {"once", "new_episodes"} and not found):
        recorder = _Recorded(rules, kept)
        with intercepted_everywhere(recorder):
            yield recorder
        recorder.cassette().save(own, scan=scanner())
        return
    cassette = Cassette()
    for path in found:
        cassette.http += Cassette.load(path, rules=rules).http
    number(cassette.http)
    player = _Replayed(cassette, rules, kept, policy="live" if mode == "new_episodes" else "fail")
    player.recorder = RecordSession(rules) if mode == "new_episodes" else None
    with intercepted_everywhere(player):
        yield player
    player.finish()
    if player.live_calls:
        with_added(player).save(own, scan=scanner())
    elif player.refused or any(one.verdict != "unplayed" for one in player.divergences):
        pytest.fail(player.report().explain(), pytrace=False)


def _node(request: pytest.FixtureRequest) -> pytest.Item:
    return cast("pytest.Item", request.node)  # pyright: ignore[reportUnknownMemberType]


def _filter_of(config: Mapping[str, Any]) -> Filter:
    """What VCR leaves of a request before it looks for it: None where it is let out."""
    from vcr import VCR  # start-up time: it imports every HTTP client that it knows
    from vcr.request import Request

    made: Any = VCR()
    wrapped: Any = Request
    try:
        left: Any = made.get_merged_config(**config)["before_record_request"]
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"vcr_config cannot be used: {error}") from error

    def kept(request: HttpRequest) -> HttpRequest | None:
        found = left(wrapped(request.method, request.url, request.body, dict(request.headers)))
        if found is None:
            return None
        body = found.body.encode() if isinstance(found.body, str) else found.body
        return HttpRequest(found.method, found.uri, dict(found.headers), body or b"")

    return kept


@pytest.fixture(autouse=True)
def block_network(request: pytest.FixtureRequest, record_mode: str) -> Generator[None]:
    """Refuses every connection of a marked test, but to allowed hosts and while it is recorded."""
    mark = _node(request).get_closest_marker("block_network")
    recording = _node(request).get_closest_marker("vcr") is not None and record_mode != "none"
    if recording or not (mark or request.config.getoption("--block-network")):
        yield
        return
    if mark is None:
        allowed = str(request.config.getoption("--allowed-hosts")).split(",")
    else:
        allowed: list[str] = mark.kwargs.get("allowed_hosts") or (mark.args[0] if mark.args else [])
    with ExitStack() as undo:
        for name in ("connect", "connect_ex"):
            real: Any = getattr(socket.socket, name)
            undo.enter_context(mock.patch.object(socket.socket, name, _blocked(real, allowed)))
        yield


def _blocked(real: Any, allowed: Sequence[str]) -> Any:
    def connect(of: socket.socket, target: Any) -> Any:
        host = str(target[0]) if isinstance(target, tuple) else None  # pyright: ignore[reportUnknownArgumentType]
        if host is not None and not any(one and re.match(one, host) for one in allowed):
            raise RuntimeError("Network is disabled")
        return real(of, target)

    return connect
