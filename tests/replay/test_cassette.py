"""What is on disk: readable, exact, all or nothing, and refused when it is not what was written."""

# ruff: noqa: E501, PT012 (programs in texts; what is awaited inside is the point)
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from simulate.errors import InputError
from simulate.replay import Cassette, Rules, record, replaying
from simulate.replay.cassette.bodies import pack, unpack
from simulate.replay.cassette.folder import replace_folder
from simulate.replay.cassette.stream_redaction import redacted

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


async def recorded(server: Any, folder: Path, **options: Any) -> Path:
    async with record(folder, scenario="s", **options), httpx.AsyncClient() as client:
        await client.post(server.base + "/v1/chat/completions", json=BODY)
        await client.post(server.base + "/v1/chat/completions", json={**BODY, "stream": True})
        await client.get(server.base + "/large")
        await client.get(server.base + "/binary")
        await client.get(server.base + "/gzip")
    return folder


async def test_bodies_are_exact_to_the_byte_and_readable(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    async with httpx.AsyncClient() as client:
        live = [(await client.get(server.base + path)).content for path in ("/large", "/binary", "/gzip")]
    cassette = Cassette.load(folder)
    assert [one.response.content for one in cassette.http[2:]] == live
    data = json.loads((folder / "http.json").read_text())
    assert data["version"] == 1
    chat, stream, large, binary, gzip = data["interactions"]
    assert chat["request"]["body"]["json"]["messages"] == BODY["messages"]
    assert chat["response"]["body"]["json"]["choices"][0]["message"]["content"] == "answer to hello"
    assert all(line.startswith("data: ") for line in stream["response"]["body"]["string"])
    assert len(stream["simulate"]["chunks_ms"].split()) == len(stream["response"]["body"]["string"])
    assert (folder / "blobs" / large["response"]["body"]["blob"]).stat().st_size == 200_000
    assert "base64" in binary["response"]["body"]
    assert gzip["response"]["body"]["json"] == {"text": "é" * 400}


async def test_saving_again_changes_nothing(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    Cassette.load(folder).save(tmp_path / "d")
    # lazily read blobs belong to the first folder; they are written anew
    after = {path.name: path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "manifest.json").write_text(
                (f / "manifest.json").read_text().replace('"schema": 1', '"schema": 99')
            ),
            "schema 99",
        ),
        (lambda f: (f / "http.json").write_bytes((f / "http.json").read_bytes()[:500]), "truncated"),
        (lambda f: (f / "manifest.json").write_bytes(b'{"sche'), "truncated"),
        (lambda f: (f / "http.json").unlink(), "missing"),
        (lambda f: next((f / "blobs").iterdir()).unlink(), "blob .* is missing"),
        (lambda f: (f / "blobs" / ("0" * 64)).write_bytes(b"x"), "no recording knows of"),
        (
            lambda f: (f / "http.json").write_text(
                (f / "http.json").read_text().replace("answer to hello", "answer")
            ),
            "edited by hand",
        ),
    ],
    ids=["newer", "truncated", "manifest cut", "file gone", "blob gone", "blob twice", "edited"],
)
async def test_a_damaged_cassette_is_refused_and_left_alone(
    server: Any, tmp_path: Path, damage: Any, message: str
) -> None:
    folder = await recorded(server, tmp_path / "c")
    damage(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message) as refused:
        Cassette.load(folder)
    assert refused.value.hint
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


async def test_a_damaged_blob_is_found_when_it_is_played(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    next((folder / "blobs").iterdir()).write_bytes(b"other")
    cassette = Cassette.load(folder)
    with pytest.raises(InputError, match="damaged"):
        cassette.http[2].response.content  # noqa: B018


INTERACTION: dict[str, Any] = {
    "request": {"method": "GET", "uri": "http://x/y", "headers": {"accept": ["*/*"]}, "body": None},
    "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "ok"}},
    "simulate": {"key": "k", "endpoint": "http GET x", "start_ms": 0, "end_ms": 1.5, "components": {}},
}


@pytest.mark.parametrize(
    ("name", "path", "value", "told"),
    [
        ("manifest.json", "files", "\0", "files"),
        ("manifest.json", "watch", True, "watch"),
        ("manifest.json", "personal", {"pseudonyms": 3}, "personal.pseudonyms"),
        ("http.json", "simulate.start_ms", None, "interaction 1 .*simulate.start_ms"),
        ("http.json", "request.headers", {"accept": []}, "interaction 1"),
        ("http.json", "response.status", "200", "response.status"),
        ("tools.jsonl", "error", "it failed", "line 1 is not a cassette's tool call: error"),
        ("conversation.jsonl", "speaker", "nobody", "line 1 .*speaker"),
        ("conversation.jsonl", "text", None, "line 1 .*text"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_place(
    name: str, path: str, value: Any, told: str, tmp_path: Path
) -> None:
    tool = {"key": "k", "name": "f", "arguments": {}, "start_ms": 0, "end_ms": 1, "result": 1}
    said = {"speaker": "caller", "text": "hi", "turn": 1}
    held: dict[str, Any] = {"http.json": INTERACTION, "tools.jsonl": tool, "conversation.jsonl": said}
    held["manifest.json"] = {"schema": 1, "files": dict.fromkeys(held, "")}
    held = json.loads(json.dumps(held))
    assert len(_written(tmp_path / "right", held)) == 2
    *keys, last = path.split(".")
    inner = held[name]
    for key in keys:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(InputError, match=told):
        _written(tmp_path / "wrong", held)


def test_an_answer_that_cannot_be_unpacked_is_told_by_its_folder(tmp_path: Path) -> None:
    response = INTERACTION["response"] | {"body": {"base64": ["é"]}}
    held = {"manifest.json": {"schema": 1, "files": {"http.json": ""}}}
    held["http.json"] = INTERACTION | {"response": response}
    with pytest.raises(InputError, match="a recorded answer cannot be read"):
        _ = _written(tmp_path / "c", held).http[0].response


def _written(folder: Path, held: dict[str, Any]) -> Cassette:
    folder.mkdir()
    for name, value in held.items():
        whole = {"version": 1, "interactions": [value]} if name == "http.json" else value
        (folder / name).write_text(json.dumps(whole) + "\n")
    return Cassette.load(folder, allow_edited=True)


async def test_an_edited_cassette_replays_when_it_may(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    text = (folder / "http.json").read_text()
    (folder / "http.json").write_text(
        text.replace('"content": "hello"', '"content": "bye"').replace("answer to hello", "edited")
    )
    cassette = Cassette.load(folder, allow_edited=True)
    async with replaying(cassette), httpx.AsyncClient() as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "bye"}]}
        answer = await client.post("http://x.example/v1/chat/completions", json=body)
    assert answer.json()["choices"][0]["message"]["content"] == "edited"


async def test_another_scenarios_cassette_is_refused(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    with pytest.raises(InputError, match="recorded with the scenario 's', not 't'"):
        Cassette.load(folder, scenario="t")


async def test_a_run_that_broke_keeps_what_it_had_beside_the_old_one(server: Any, tmp_path: Path) -> None:
    folder = await recorded(server, tmp_path / "c")
    before = (folder / "http.json").read_bytes()
    with pytest.raises(RuntimeError, match="agent"):
        async with record(folder), httpx.AsyncClient() as client:
            await client.get(server.base + "/one")
            raise RuntimeError("the agent crashed")
    assert (folder / "http.json").read_bytes() == before
    partial = tmp_path / "c.partial"
    with pytest.raises(InputError, match="partial: RuntimeError: the agent crashed"):
        Cassette.load(partial)
    assert len(Cassette.load(partial, allow_partial=True).http) == 1


async def test_secrets_are_replaced_and_what_slips_through_is_refused(server: Any, tmp_path: Path) -> None:
    secret = "sk-proj-" + "a1B2" * 10
    async with record(tmp_path / "c"), httpx.AsyncClient() as client:
        await client.post(
            server.base + f"/x?api_key={secret}",
            json={"t": f"my key is {secret}"},
            headers={"Authorization": f"Bearer {secret}"},
        )
    assert secret not in "".join(path.read_text() for path in (tmp_path / "c").iterdir())
    with pytest.raises(InputError, match=r"http\.json:\d+: a secret that begins with"):
        async with record(tmp_path / "d", rules=Rules()), httpx.AsyncClient() as client:
            await client.post(server.base + "/x", json={"t": f"my key is {secret}"})
    assert not (tmp_path / "d").exists()


async def test_redacted_requests_match_in_the_replay(server: Any, tmp_path: Path) -> None:
    secret = "sk-proj-" + "a1B2" * 10
    body = {**BODY, "messages": [{"role": "user", "content": f"key {secret}"}]}
    async with record(tmp_path / "c"), httpx.AsyncClient() as client:
        first = (await client.post(server.base + "/v1/chat/completions", json=body)).json()
    async with replaying(tmp_path / "c") as player, httpx.AsyncClient() as client:
        again = (await client.post(server.base + "/v1/chat/completions", json=body)).json()
    assert player.report().passed
    assert secret in str(first) and secret not in str(again) and "<secret:" in str(again)


def test_a_secret_spread_over_a_streams_pieces_goes_too() -> None:
    def event(text: str) -> bytes:
        return (
            b"data: "
            + orjson.dumps({"choices": [{"delta": {"content": text}}], "created": 1760000000})
            + b"\n\n"
        )

    chunks = [(float(i), event(text)) for i, text in enumerate(["mail ann", "@x.exa", "mple now"])]
    clean = redacted(
        chunks, "text/event-stream", Rules(redact=lambda text: text.replace("ann@x.example", "<email>"))
    )
    texts = [orjson.loads(content[6:])["choices"][0]["delta"]["content"] for _, content in clean]
    assert "".join(texts) == "mail <email> now" and len(clean) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"a": 1}',
        b'{"a":1}\n',
        "é".encode(),
        b"\xff\xfe",
        b"a" * 70_000,
        b'{"b":1e3}',
        b'["\\u00e9"]',
    ],
)
def test_packing_keeps_every_byte(content: bytes) -> None:
    blobs: dict[str, bytes] = {}
    body, offsets = pack([(1.0, content)], "application/json", blobs)
    again = orjson.loads(orjson.dumps(body))
    assert b"".join(piece for _, piece in unpack(again, offsets, blobs.__getitem__)) == content


def test_a_plain_vcrpy_cassette_replays_too(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        "interactions:\n- request:\n    body: '{\"q\": 1}'\n    headers: {Content-Type: [application/json]}\n"
        "    method: POST\n    uri: http://127.0.0.1/search\n  response:\n    body: {string: '{\"found\": 2}'}\n"
        "    headers: {Content-Type: [application/json]}\n    status: {code: 200, message: OK}\nversion: 1\n"
    )
    cassette = Cassette.load(tmp_path / "old.yaml")
    assert cassette.http[0].endpoint == "localhost POST /search"
    assert cassette.http[0].response.content == b'{"found": 2}'


@pytest.mark.parametrize("bomb", ["[" * 100_000, "- " * 100_000, "{a: " * 50_000])
def test_a_vcrpy_file_that_is_a_nesting_bomb_is_refused(tmp_path: Path, bomb: str) -> None:
    """libyaml's composer recurses in C: before PyYAML 6.0.4, this ended the process."""
    (tmp_path / "old.yaml").write_text("interactions:\n  " + bomb)
    with pytest.raises(InputError, match="levels deep"):
        Cassette.load(tmp_path / "old.yaml")


def test_kill_at_random_moments_leaves_the_old_or_the_new_folder(tmp_path: Path) -> None:
    target = tmp_path / "c"
    replace_folder(target, {"a.json": b"0" * 1000, "blobs/x": b"0" * 1000})
    code = (
        "import sys; from pathlib import Path; from simulate.replay.cassette.folder import replace_folder\n"
        "print('ready', flush=True)\n"
        "for n in range(10**6):\n"
        "    c = str(n % 10).encode() * 1000; replace_folder(Path(sys.argv[1]), {'a.json': c, 'blobs/x': c})"
    )
    for attempt in range(5):
        with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.01 + 0.013 * attempt)
            os.kill(process.pid, signal.SIGKILL)
        contents = {(target / "a.json").read_bytes(), (target / "blobs/x").read_bytes()}
        assert len(contents) == 1 and len(contents.pop()) == 1000
    replace_folder(target, {"a.json": b"1"})
    assert [path.name for path in tmp_path.iterdir()] == ["c"]  # what the killed ones left is swept away


def test_two_writers_at_once_do_not_clash(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from simulate.replay.cassette.folder import replace_folder\n"
        "for n in range(40): replace_folder(Path(sys.argv[1]), {'a': sys.argv[2].encode(), 'b': sys.argv[2].encode()})"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "c"), str(n)]) for n in range(4)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "c/a").read_bytes() == (tmp_path / "c/b").read_bytes()
