"""As recorded up to one place, live and changed from there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import requests

import simulate
from simulate.errors import InputError
from simulate.interfaces.cli.main import main
from simulate.replay import record, replaying
from simulate.replay.fork import Place, Variant

BOOKED: list[str] = []


class Model(BaseHTTPRequestHandler):
    """Says which model it is, what its prompt is, and how many messages it got."""

    heard: list[dict[str, Any]]
    spoilt = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.heard.append(asked)
        system = next((one["content"] for one in asked["messages"] if one["role"] == "system"), "-")
        text = f"{asked['model']}, {system}, {len(asked['messages'])}"
        if self.spoilt and len(asked["messages"]) == 4:
            text = "I forgot"
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps(
            {"id": "c", "object": "chat.completion", "model": asked["model"], "choices": [choice]}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Model]]:
    kind = type("Running", (Model,), {"heard": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    BOOKED.clear()
    yield kind
    server.shutdown()
    server.server_close()


@simulate.tool
def look_up(what: str) -> str:
    return f"{what} is lost"


@simulate.tool(write=True)
def book(what: str) -> str:
    BOOKED.append(what)
    return "booked"


AGENT = """
import os, httpx, simulate

class Agent:
    def __init__(self):
        self.messages = [{"role": "system", "content": "kind"}]

    def reply(self, message: str) -> str:
        self.messages.append({"role": "user", "content": message})
        asked = {"model": "small", "messages": self.messages}
        url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
        answer = httpx.post(url, json=asked, timeout=60).json()
        self.messages.append(answer["choices"][0]["message"])
        return self.messages[-1]["content"]
"""


async def talk(url: str, player: Any, post: Any = httpx.post) -> list[str]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "kind"}]
    said: list[str] = []
    for turn in (1, 2, 3):
        player.turn = turn
        messages.append({"role": "user", "content": f"turn {turn}: {look_up(str(turn))}"})
        if turn == 3:
            book("a table")
        answer = post(url, json={"model": "small", "messages": messages}, timeout=60).json()
        messages.append(answer["choices"][0]["message"])
        said.append(messages[-1]["content"])
    return said


CASES: dict[str, tuple[Variant, list[str]]] = {
    "nothing": (Variant("once more"), ["small, kind, 2", "small, kind, 4", "small, kind, 6"]),
    "a model": (Variant("m", model="large"), ["small, kind, 2", "large, kind, 4", "large, kind, 6"]),
    "a prompt": (Variant("p", prompt="rude"), ["small, kind, 2", "small, rude, 4", "small, rude, 6"]),
    "a text": (Variant("a", answer="No."), ["small, kind, 2", "No.", "small, kind, 6"]),
}


@pytest.mark.parametrize("post", [httpx.post, requests.post], ids=["httpx", "requests"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", ["2", "call:2"])
async def test_it_is_frozen_up_to_there_and_live_after(
    model: type[Model], tmp_path: Path, case: str, place: str, post: Any
) -> None:
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    variant, expected = CASES[case]
    async with record(tmp_path / "c") as recorder:
        await talk(url, recorder, post)
    model.heard.clear()
    BOOKED.clear()
    async with replaying(tmp_path / "c", fork=(Place.parse(place), variant)) as player:
        assert await talk(url, player, post) == expected
    report = player.report()
    assert report.passed, report.explain()
    assert report.live_calls == len(model.heard) == (1 if case == "a text" else 2)
    assert BOOKED == [], "what writes does not run"


async def test_a_tool_gives_something_else(model: type[Model], tmp_path: Path) -> None:
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    async with record(tmp_path / "c") as recorder:
        await talk(url, recorder)
    model.heard.clear()
    variant = Variant("t", tools={"look_up": "found"})
    async with replaying(tmp_path / "c", fork=(Place.parse("3"), variant)) as player:
        await talk(url, player)
    assert [one["content"] for one in model.heard[0]["messages"] if one["role"] == "user"] == [
        "turn 1: 1 is lost",
        "turn 2: 2 is lost",
        "turn 3: found",
    ]


async def test_a_change_before_the_fork_diverges_and_a_place_that_is_never_reached_is_told(
    model: type[Model], tmp_path: Path
) -> None:
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    async with record(tmp_path / "c") as recorder:
        await talk(url, recorder)
    async with replaying(tmp_path / "c", fork=(Place.parse("2"), Variant("v"))) as player:
        httpx.post(url, json={"model": "other", "messages": [{"role": "user", "content": "x"}]})
        player.turn = 2
        httpx.post(url, json={"model": "other", "messages": [{"role": "user", "content": "y"}]})
    assert not player.report().passed
    async with replaying(tmp_path / "c", fork=(Place.parse("call:9"), Variant("v"))) as player:
        await talk(url, player)
    assert any("never reached" in note for note in player.report().notes)


async def test_the_budget_holds(model: type[Model], tmp_path: Path) -> None:
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    async with record(tmp_path / "c") as recorder:
        await talk(url, recorder)
    model.heard.clear()
    async with replaying(tmp_path / "c", fork=(Place.parse("1"), Variant("v")), live_budget=2) as player:
        with pytest.raises(KeyError, match="choices"):  # it is answered an error, as by a provider
            await talk(url, player)
    assert len(model.heard) == 2
    assert "budget of 2" in str(player.report().unreached)


@pytest.mark.parametrize("text", ["", "0", "turn", "call:x", "-1", "call:0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Place.parse(text)


def test_the_command_compares_variants_and_finds_the_call_that_decided(
    model: type[Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "forked_agent.py").write_text(AGENT)
    lines = "script: [{says: one}, {says: two}, {says: three}]"
    for name in ("good", "bad"):
        text = f"name: {name}\nagent: 'python:forked_agent:Agent'\n{lines}\n"
        (tmp_path / f"{name}.yaml").write_text(text + "expect: [{said: {contains: 'small, kind, 4'}}]\n")
        assert main(["run", f"{name}.yaml", "--record", "cas", "--out", f"out-{name}"]) == 0
    capsys.readouterr()
    (tmp_path / "no.txt").write_text("No.")
    line = ["replay", "cas/good", "--agent", "python:forked_agent:Agent", "--scenario", "good.yaml"]
    page = ["--html", "fork.html"]
    assert main([*line, "--from", "2", "--model", "large", "--answer", "no.txt", "--trials", "2", *page]) == 0
    table = {row.split("  ")[0]: row for row in capsys.readouterr().out.splitlines()}
    assert "1/1" in table["as recorded"]
    assert "0/2" in table["model large"] and "large, kind, 6" in table["model large"]
    assert "0/2" in table["answer no.txt"]
    html = Path("fork.html").read_text()
    heads, turn = html.index("<th>as recorded<th>model large<th>answer no.txt"), html.index("Turn 2")
    second = html[turn : html.index("</tr>" if "</tr>" in html[turn:] else "Turn 3", turn)]
    said = [second.index(text) for text in ("small, kind, 4", "large, kind, 4", "No.")]
    assert heads < turn and said == sorted(said) and "2 ×" not in second

    # the other recording, made of an agent whose model answered its second call otherwise
    monkeypatch.setattr(model, "spoilt", True)
    assert main(["run", "bad.yaml", "--record", "spoilt", "--out", "out-spoilt"]) == 1
    monkeypatch.setattr(model, "spoilt", False)
    capsys.readouterr()
    assert main([*line, "--against", "spoilt/bad", "--trials", "4"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("call 2 ")
    assert "0/4" in next(row for row in out.splitlines() if row.startswith("call 2 "))
    assert "4/4" in next(row for row in out.splitlines() if row.startswith("call 3 "))


@pytest.mark.parametrize("reached", [True, False])
def test_an_agent_in_a_process_of_its_own_is_forked(
    reached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pins come from the scenario; what a model that nobody answers for would have said is not judged."""
    monkeypatch.chdir(Path(__file__).parents[2])
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    no = tmp_path / "no.txt"
    no.write_text("Sorry, I cannot cancel that.")
    place = "call:3" if reached else "call:2"
    variant = ["--answer", str(no)] if reached else ["--prompt", str(no)]
    cassette, scenario = "scenarios/cassettes/cancel-a-booking/", "scenarios/cancel_booking.yaml"
    code = main(["replay", cassette, "--agent", "table", "--from", place, *variant, "--scenario", scenario])
    told = capsys.readouterr().out
    whole, changed = told.splitlines()[1:3]
    assert whole.startswith("as recorded") and "1/1" in whole
    if reached:
        assert code == 0 and "0/1" in changed and "Sorry, I cannot cancel that." in changed
    else:
        assert code == 3 and "0/1" not in changed and "127.0.0.1:9 cannot be asked" in told
