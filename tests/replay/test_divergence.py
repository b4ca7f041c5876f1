"""Planted changes: each is named rightly, and no change gives no alarm."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import replay_wires
from simulate.replay import Cassette, ReplayReport, Rules, record, replaying
from simulate.replay.matching.request import HttpRequest
from simulate.replay.record_session import RecordSession
from simulate.replay.replay_session import ReplaySession

SYSTEM = """You help with orders.

## Documents
Refunds take 5 days.

## Rules
Be brief."""
TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}
OTHER = {
    "type": "function",
    "function": {"name": "refund", "parameters": {"type": "object", "properties": {}}},
}


def calls() -> list[dict[str, Any]]:
    """A conversation of three model calls, each with all the history so far."""
    history: list[Any] = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "where is my order?"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "lookup", "arguments": '{"id":"7"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": '{"state": "lost"}'},
        {"role": "assistant", "content": "it is lost"},
        {"role": "user", "content": "Context:\nPolicy 4 says yes.\n\nQuestion:\nthen refund it"},
    ]
    base = {"model": "m", "temperature": 0.2, "tools": [TOOL, OTHER]}
    return [{**base, "messages": copy.deepcopy(history[:upto])} for upto in (2, 4, 6)]


def each(change: Callable[[dict[str, Any]], Any], *which: int) -> Callable[[list[Any]], list[Any]]:
    def planted(bodies: list[Any]) -> list[Any]:
        for index in which or range(len(bodies)):
            change(bodies[index])
        return bodies

    return planted


def said(index: int, old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        message = body["messages"][index]
        assert old in message["content"]
        message["content"] = message["content"].replace(old, new)

    return change


PLANTED: dict[str, tuple[str, str, str, Callable[[list[Any]], list[Any]]]] = {
    "a word of the system prompt": ("drifted", "system prompt", "content", each(said(0, "brief", "kind"))),
    "a tool's schema": (
        "drifted",
        "tools",
        "$.tools[0]",
        each(lambda b: b.update(tools=[{**TOOL, "strict": True}, OTHER])),
    ),
    "temperature": (
        "drifted",
        "parameters",
        "$.temperature: 0.2 → 0.7",
        each(lambda b: b.update(temperature=0.7)),
    ),
    "a dropped message": (
        "drifted",
        "history",
        "$.messages[4]: gone",
        each(lambda b: b["messages"].pop(4), 2),
    ),
    "reordered tools": ("drifted", "tools", "$.tools[0]", each(lambda b: b.update(tools=[OTHER, TOOL]))),
    "a tool's result": ("drifted", "tool result", "lost", each(said(3, "lost", "sent"), 1, 2)),
    "retrieval in a message": (
        "drifted",
        "retrieval",
        "Policy 4",
        each(said(5, "Policy 4 says yes", "Policy 9 says no"), 2),
    ),
    "retrieval in the system prompt": ("drifted", "retrieval", "5 days", each(said(0, "5 days", "9 days"))),
    "another model": ("drifted", "model", "$.model: 'm' → 'n'", each(lambda b: b.update(model="n"))),
    "what the user said": ("drifted", "history", "refund it", each(said(5, "refund it", "cancel it"), 2)),
    "an extra call": (
        "never_recorded",
        "extra call",
        "",
        lambda b: [b[0], {**b[0], "messages": [{"role": "user", "content": "?"}]}, *b[1:]],
    ),
    "the same call again": ("exhausted", "extra call", "", lambda b: [*b, b[2]]),
    "a missing call": ("unplayed", "missing call", "", lambda b: [b[0], b[2]]),
}


async def played(
    server: Any, folder: Path, bodies: list[Any], **options: Any
) -> tuple[list[int], ReplayReport]:
    if not folder.exists():
        async with record(folder) as recorder, httpx.AsyncClient() as client:
            for turn, body in enumerate(calls(), 1):
                recorder.turn = turn
                await client.post(server.base + "/v1/chat/completions", json=body)
    statuses: list[int] = []
    async with replaying(folder, **options) as player, httpx.AsyncClient() as client:
        for turn, body in enumerate(bodies, 1):
            player.turn = turn
            statuses.append((await client.post(server.base + "/v1/chat/completions", json=body)).status_code)
    return statuses, player.report()


@pytest.mark.parametrize("name", PLANTED)
async def test_a_planted_change_is_named(server: Any, tmp_path: Path, name: str) -> None:
    verdict, component, detail, plant = PLANTED[name]
    _, report = await played(server, tmp_path / "c", plant(calls()))
    assert report.first is not None
    assert (report.verdict, report.first.component) == (verdict, component)
    assert detail in report.explain()
    assert not report.passed
    assert [one.tainted for one in report.divergences] == [False] + [True] * (len(report.divergences) - 1)
    assert report.live_calls == 0


async def test_no_change_gives_no_alarm(server: Any, tmp_path: Path) -> None:
    statuses, report = await played(server, tmp_path / "c", calls())
    assert statuses == [200, 200, 200]
    assert report.passed and report.verdict == "identical" and not report.divergences and report.tainted == 0
    assert "live calls: 0" in report.explain()


async def test_another_order_is_told_and_passes(server: Any, tmp_path: Path) -> None:
    _, report = await played(server, tmp_path / "c", calls()[::-1])
    assert report.verdict == "reordered" and report.passed


async def test_the_turn_of_the_first_divergence_is_named(server: Any, tmp_path: Path) -> None:
    _, report = await played(server, tmp_path / "c", PLANTED["a dropped message"][3](calls()))
    assert report.first is not None and report.first.turn == 3
    assert report.first.nearest == "http.json #3"
    assert "turn 3" in report.explain()


async def test_policies(server: Any, tmp_path: Path) -> None:
    changed = PLANTED["what the user said"][3](calls())
    statuses, report = await played(server, tmp_path / "c", changed)
    assert statuses == [200, 200, 418] and not report.unplayed  # the drifted one stands for its recording
    heard = len(server.hits)
    statuses, report = await played(server, tmp_path / "c", changed, policy="nearest")
    assert statuses == [200, 200, 200] and not report.passed and len(server.hits) == heard
    statuses, report = await played(server, tmp_path / "c", changed, policy="live", side=tmp_path / "side")
    assert statuses == [200, 200, 200] and report.live_calls == 1 and not report.passed
    assert len(server.hits) == heard + 1
    side = Cassette.load(tmp_path / "side")
    assert len(side.http) == 1 and b"cancel it" in side.http[0].response.content
    statuses, report = await played(server, tmp_path / "c", changed, policy="live", live_budget=0)
    assert statuses == [200, 200, 418] and report.live_calls == 0 and "budget" in report.notes[0]


async def test_stop_says_so(server: Any, tmp_path: Path) -> None:
    await played(server, tmp_path / "c", calls())
    async with replaying(tmp_path / "c", policy="stop") as player, httpx.AsyncClient() as client:
        assert not player.stopped
        body = {"model": "m", "messages": []}
        assert (await client.post(server.base + "/v1/chat/completions", json=body)).status_code == 418
        assert player.stopped
        # once stopped, nothing is answered any more: it would only be tainted
        assert (await client.post(server.base + "/v1/chat/completions", json=calls()[0])).status_code == 418


async def test_an_sdk_does_not_retry_a_divergence(server: Any, tmp_path: Path) -> None:
    import openai

    await played(server, tmp_path / "c", calls())
    async with (
        replaying(tmp_path / "c") as player,
        openai.AsyncOpenAI(base_url="http://x.example/v1", api_key="k") as client,
    ):
        with pytest.raises(openai.APIStatusError, match="not in the cassette"):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "new"}])
    assert len([one for one in player.report().divergences if one.verdict != "unplayed"]) == 1


async def test_two_base_urls_that_were_both_recorded_are_not_answered_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hedged: the same request at two gateways, which now come in the other order."""
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    recorder = RecordSession(Rules())
    for host in ("a", "b"):
        asked = HttpRequest("POST", f"http://{host}.example/v1/chat/completions", {}, body)
        exchange = recorder.begin(asked)
        exchange.opened(200, "OK", [])
        exchange.chunk(host.encode())
        exchange.ended()
    replay = ReplaySession(recorder.cassette(), Rules())

    def answer(host: str) -> Any:
        exchange = replay.begin(HttpRequest("POST", f"http://{host}.example/v1/chat/completions", {}, body))
        assert exchange is not None and exchange.response is not None
        return exchange.response.content if exchange.response.status == 200 else exchange.response.status

    assert [answer("b"), answer("b"), answer("moved")] == [b"b", 418, 418]
    told = replay.divergences[-1]
    assert told.component == "base URL" and told.changes[0].recorded == "a.example/v1"
    monkeypatch.setenv("LITELLM_API_BASE", "http://moved.example/v1")  # one service, somewhere else now
    assert [answer("moved"), answer("a"), answer("moved")] == [b"a", 418, 418]


@pytest.mark.parametrize("wire", ["Gemini", "Bedrock"])
async def test_a_planted_change_is_named_on_wires_whose_path_names_the_model(wire: str) -> None:
    url, made = replay_wires.WIRES[wire]
    assert await replay_wires.planted(url, made, 16) == ([], 0)
