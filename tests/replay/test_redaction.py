"""What lies on disk holds no secret and nobody's data; what an agent works with comes back in its form."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import zstandard

from simulate.errors import InputError
from simulate.model.loading.project import Project
from simulate.model.scenario import Scenario
from simulate.model.trial import TrialSpec
from simulate.replay import record, replaying
from simulate.replay.cassette.aws_frames import Frame, frames_in, header
from simulate.replay.cassette.bodies import pack, unpack
from simulate.replay.cassette.cassette import Cassette
from simulate.replay.cassette.stream_redaction import redacted
from simulate.replay.matching.encodings import NotDecoded, decoded
from simulate.replay.matching.rules import default_rules
from simulate.replay.running import Recordings
from simulate.resources import Resources
from simulate.run import run_trial
from simulate.tools import tool
from simulate.trace.redaction.pseudonyms import normal, pseudonym
from simulate.trace.redaction.redact import Redactor
from simulate.trace.redaction.rules import iban, luhn

KEY = "sk-proj-" + "a1B2" * 10
TEXTS = [
    "Write to Carla.Ruiz@hotel-sol.example or call +34 612 345 678, please.",
    f'{{"to": "ruiz@hotel-sol.example", "api_key": "{KEY}", "note": "Zürich \\"8\\" 🎈"}}',
    "Nothing here is anybody's: order 4417, 42.50, 2026-03-01.",
    f"The key is {KEY}; the card 4242 4242 4242 4242.",
]
PRIVATE = ("Carla.Ruiz", "ruiz@", "612 345 678", KEY, "4242 4242 4242")

Wire = tuple[str, Any]


def chat(which: int, text: str, field: str = "content") -> Any:
    return {"id": "chatcmpl-1", "choices": [{"index": which, "delta": {field: text}}], "model": "m"}


def chat_tool(which: int, text: str) -> Any:
    calls = [{"index": which, "function": {"arguments": text}}]
    return {"choices": [{"index": 0, "delta": {"tool_calls": calls}}]}


def responses(which: int, text: str) -> Any:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "item_id": f"fc_{which}", "output_index": which, "delta": text}


def anthropic(which: int, text: str) -> Any:
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": which, "delta": delta}


def thinking(which: int, text: str) -> Any:
    delta = {"type": "thinking_delta", "thinking": text}
    return {"type": "content_block_delta", "index": which, "delta": delta}


def gemini(which: int, text: str) -> Any:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": which}]}


def bedrock(which: int, text: str) -> Any:
    return {"contentBlockIndex": which, "delta": {"toolUse": {"input": text}}, "p": "abc"}


def said(value: Any) -> str:
    """The one piece of text that an event of the wires above holds."""
    if isinstance(value, list):
        return said(value[0])
    for name in ("content", "reasoning_content", "arguments", "partial_json", "thinking", "text", "input"):
        if isinstance(value.get(name), str):
            return value[name]
    around = ["choices", "candidates", "tool_calls", "delta", "function", "toolUse", "content", "parts"]
    inner = next(value[name] for name in around if name in value)
    return inner if isinstance(inner, str) else said(inner)


WIRES: dict[str, Callable[[int, str], Any]] = {
    "chat": chat,
    "reasoning": lambda which, text: chat(which, text, "reasoning_content"),
    "tools": chat_tool,
    "responses": responses,
    "anthropic": anthropic,
    "thinking": thinking,
    "gemini": gemini,
    "bedrock": bedrock,
}


def pieces_of(text: str, chance: random.Random) -> list[str]:
    cuts = sorted(chance.sample(range(1, len(text)), min(12, len(text) - 1)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.sample(range(1, len(data)), 40))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def frame(value: Any, *, invoked: bool = False) -> bytes:
    data = orjson.dumps(value)
    if invoked:
        data = orjson.dumps({"bytes": base64.b64encode(data).decode(), "p": "abcd"})
    return Frame(header(b":event-type", b"chunk") + header(b":message-type", b"event"), data).to_bytes()


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("seed", range(12))
def test_every_text_of_a_stream_is_redacted_by_itself(wire: str, seed: int) -> None:
    """Several texts at once, mixed, cut anywhere: each is afterwards what it would be had it come whole."""
    chance = random.Random(seed)
    texts = dict(enumerate(chance.sample(TEXTS, 3)))
    waiting = {which: pieces_of(text, chance) for which, text in texts.items()}
    events: list[tuple[int, Any]] = []
    while waiting:
        which = chance.choice(list(waiting))
        events.append((which, WIRES[wire](which, waiting[which].pop(0))))
        if not waiting[which]:
            del waiting[which]
    in_frames, invoked = wire == "bedrock", seed % 2 == 0
    if in_frames:
        kind = "application/vnd.amazon.eventstream"
        whole = b"".join(frame(value, invoked=invoked) for _, value in events)
    else:
        end = chance.choice([b"\n\n", b"\r\n\r\n"])
        kind = "text/event-stream; charset=utf-8"
        head = b"event: x" + end[: len(end) // 2] + b"data: "
        whole = b"".join(head + json.dumps(value).encode() + end for _, value in events)
        whole += b"data: [DONE]" + end
    chunks = [(float(at), piece) for at, piece in enumerate(cut(whole, chance))]

    rules = default_rules()
    made = redacted(chunks, kind, rules)
    clean = b"".join(content for _, content in made)
    if in_frames:
        values = [frame.value for frame, _ in frames_in(clean)]
    else:
        assert len(made) == len(chunks)
        values = [json.loads(line[6:]) for line in clean.split(b"\n") if line.startswith(b"data: {")]
    assert len(values) == len(events)
    now = dict.fromkeys(texts, "")
    for (which, before), value in zip(events, values, strict=True):
        now[which] += said(value)
        assert texts[which] != TEXTS[2] or value == before
    assert now == {which: default_rules().text(text) for which, text in texts.items()}
    assert not any(private in "".join(now.values()) for private in PRIVATE)
    assert redacted(made, kind, rules) == made  # once and for all

    blobs: dict[str, bytes] = {}
    body, offsets = pack(made, kind, blobs)
    again = unpack(orjson.loads(orjson.dumps(body)), offsets, blobs.__getitem__)
    assert [content for _, content in again] == [content for _, content in made]
    if in_frames:
        assert "frames" in body and "base64" not in body


def test_a_list_of_events_and_lines_of_json_are_streams_too() -> None:
    pieces = ["mail carla.ru", "iz@hotel-s", "ol.example now"]
    for kind, whole in {
        "application/json": json.dumps([gemini(0, piece) for piece in pieces]).encode(),
        "application/x-ndjson": b"".join(orjson.dumps({"message": {"content": p}}) + b"\n" for p in pieces),
    }.items():
        rules = default_rules()
        clean = b"".join(content for _, content in redacted([(0.0, whole)], kind, rules))
        assert b"carla" not in clean and b"hotel-s" in clean, kind


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_encodings_are_undone_however_they_are_cut(encoding: str) -> None:
    data = " ".join(TEXTS).encode() * 3
    made: bytes = data
    packed: Any = import_module("brotli")  # it is untyped
    for name in encoding.split(", "):
        encoders: dict[str, Callable[[bytes], bytes]] = {
            "gzip": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
            "deflate": zlib.compress,
            "br": packed.compress,
            "zstd": zstandard.ZstdCompressor().compress,
        }
        made = encoders[name](made)
    for seed in range(5):
        pieces = cut(made, random.Random(seed))
        assert b"".join(decoded(pieces, encoding)) == data
    assert decoded([b"plain", b""], "utf-8") == [b"plain", b""]
    with pytest.raises(NotDecoded):
        decoded([b"\xff\x00\x01"], "compress")


async def test_a_body_that_nobody_can_read_is_refused_while_recording(server: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoded as snappy"):
        async with record(tmp_path / "c"), httpx.AsyncClient() as client:
            await client.get(server.base + "/encoded?encoding=snappy")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("kind", "text", "form"),
    [
        ("email", "Carla.Ruiz+hotel@Sol.example", r"[A-Z][a-z]{4}\.[A-Z][a-z]{3}\+[a-z]{5}@Sol\.example"),
        ("phone", "+34 (612) 345-678", r"\+34 \(61\d\) \d{3}-\d{3}"),
        ("card", "3782 822463 10005", r"3782 82\d{4} \d0005"),
        ("iban", "GB82 WEST 1234 5698 7654 32", r"GB\d\d [A-Z]{4} \d{4} \d{4} \d\d54 32"),
        ("ssn", "123-45-6789", r"9\d\d-\d\d-\d{4}"),
        ("ip", "203.0.114.9", r"198\.1[89]\.\d+\.\d+"),
    ],
)
def test_a_pseudonym_has_the_form_of_its_value(kind: str, text: str, form: str) -> None:
    made = pseudonym(kind, text, b"k")
    assert made is not None and made != text and re.fullmatch(form, made)
    assert kind != "card" or luhn(made)
    assert kind != "iban" or iban(made)
    (found,) = Redactor().find(f"it is {made}, you know")
    assert found.kind == kind and (found.start, found.end) == (6, 6 + len(made))
    other = text.replace(" ", "") if kind != "email" else text.lower()
    again = pseudonym(kind, other, b"k")
    assert again is not None and normal(kind, again) == normal(kind, made)


@tool
def customer(order: str) -> dict[str, str]:
    """Somebody's data, which no scenario states."""
    return {"mail": "carla.ruiz@hotel-sol.example", "card": "4242 4242 4242 4242", "token": KEY}


class Shop:
    """Works with what it gets, as real code does."""

    base = ""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []

    async def reply(self, message: str) -> str:
        found = customer("7")
        domain = found["mail"].split("@")[1]
        ending = found["card"].replace(" ", "")[-4:]
        told = f"{message} / {found['mail'].upper()} at {domain}, card ending {ending}, {found['token']}"
        self.messages.append({"role": "user", "content": told})
        async with httpx.AsyncClient() as client:
            body = {"model": "m", "messages": self.messages}
            answer = (await client.post(self.base + "/v1/chat/completions", json=body)).json()
        self.messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
        return f"I wrote to {found['mail']}. {self.messages[-1]['content']}"


def spec(*expect: dict[str, Any], **more: Any) -> TrialSpec:
    script = [{"says": "I am ann@home.example, +49 30 901820"}, {"says": "And?"}]
    given = {"name": "s", "script": script, "expect": [*expect], **more}
    return TrialSpec(Scenario.model_validate(given), id="s")


async def ran(recordings: Recordings, wanted: TrialSpec) -> Any:
    resources = Resources(Project(Path.cwd()), [], agent=Shop)
    resources.recordings, resources.judge = recordings, None
    resources.prepare(wanted.scenario)
    async with resources:
        return await run_trial(wanted, resources)


def on_disk(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


async def test_an_agent_works_with_pseudonyms_and_expectations_hold(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "base", server.base)
    mine = {"said": {"contains": "ann@home.example"}}
    first = await ran(Recordings(tmp_path / "c", "all"), spec(mine))
    assert first.passed, first.reason
    stored = on_disk(tmp_path / "c")
    assert "carla" not in stored and "4242 4242 4242" not in stored and KEY not in stored
    assert "ann@home.example" in stored and "+49 30 901820" in stored  # the scenario made them up

    # what came from elsewhere is expected by its real name, and found under its pseudonym
    theirs = {"said": {"contains": "carla.ruiz@hotel-sol.example"}}
    called = {"called": "customer", "with": {"order": "7"}}
    again = await ran(Recordings(tmp_path / "c", "none"), spec(mine, theirs, called))
    assert again.passed, again.reason
    wrong = {"said": {"contains": "carlo.ruiz@hotel-sol.example"}}
    assert (await ran(Recordings(tmp_path / "c", "none"), spec(wrong))).status == "failed"


async def test_in_an_invented_world_personal_data_stays_and_secrets_never(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "base", server.base)
    for name, wanted, personal in (
        ("scenario", spec(redact={"personal": False}), True),
        ("project", spec(), False),
    ):
        await ran(Recordings(tmp_path / name, "all", personal=personal), wanted)
        stored = on_disk(tmp_path / name)
        assert "carla.ruiz@hotel-sol.example" in stored and "4242 4242 4242 4242" in stored
        assert KEY not in stored
        again = await ran(Recordings(tmp_path / name, "none"), spec())
        assert again.passed, again.reason
    await ran(Recordings(tmp_path / "c", "all", personal=False), spec(redact={"personal": True}))
    assert "carla" not in on_disk(tmp_path / "c")


async def test_a_cassette_with_placeholders_of_before_still_replays(server: Any, tmp_path: Path) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "mail carla.ruiz@hotel-sol.example"}]}

    async def ask() -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.post(server.base + "/v1/chat/completions", json=body)).json()

    before = Redactor(key="simulate cassette")
    async with record(tmp_path / "c", rules=default_rules(redact=before.text)):
        await ask()
    old = Cassette.load(tmp_path / "c")
    assert "personal" not in old.manifest and "<email:" in on_disk(tmp_path / "c")
    async with replaying(tmp_path / "c") as player:
        assert "<email:" in str(await ask())
    assert player.report().verdict == "identical", player.report().explain()
