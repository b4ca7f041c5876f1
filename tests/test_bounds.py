"""What a long answer and a small file that unpacks to a large one may cost: memory of the whole program."""

from __future__ import annotations

import gzip
import http.server
import io
import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

PROGRAM = """
import re, sys
from simulate.interfaces.cli.main import main
code = main(sys.argv[1:])
# not ru_maxrss, in which the memory of the program that started this one counts
print(code, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def peak(words: list[str], where: Path) -> tuple[int, int, str]:
    """The exit code of a verb, the most megabytes that it had at once, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=where, capture_output=True, text=True, timeout=300
    )
    code, megabytes = done.stdout.split()[-2:]
    return int(code), int(megabytes), done.stderr


ANSWERS = {
    "words": "'word ' * 2_000_000",
    "lines": "'a line of text, 12 of 30\\n' * 400_000",
    "json": "'[' + ', '.join(['\"a text\"'] * 1_000_000) + ']'",
    "one word": "'x' * 10_000_000",
}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc")
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_10_mb_takes_little_memory(answer: str, tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(f"def agent(message):\n    return {ANSWERS[answer]}\n")
    (tmp_path / "s.yaml").write_text(
        "name: s\nagent: python:agents:agent\nopens_with: hi\nexpect: [{not_said: {contains: nowhere}}]\n"
    )
    code, megabytes, told = peak(["run", "s.yaml", "--out", "r"], tmp_path)
    assert code == 0, told[-2000:]
    # whether a text is JSON shows when it is parsed, and a million values are a million objects
    assert megabytes < (280 if answer == "json" else 200)


class _Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers 10 MB: as a stream of OpenAI's, or as one document."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = "word " * 20_000
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if "messages" in asked else "application/json")
        self.end_headers()
        if "messages" not in asked:
            self.wfile.write(json.dumps({"answer": text * 100}).encode())
            return
        for piece, finish in [*[(text, None)] * 100, ("", "stop")]:
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": finish}
            self.wfile.write(b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n")

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc")
# OpenAI's SDK takes 40 MB by itself
@pytest.mark.parametrize(("kind", "most"), [("request", 200), ("openai", 240)])
def test_an_endpoints_answer_of_10_mb_takes_little_memory(kind: str, most: int, tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asks = (
            'request = { body = { text = "{{message}}" }, answer = "$.answer" }' if kind == "request" else ""
        )
        address = f"http://127.0.0.1:{server.server_port}/v1"
        (tmp_path / "pyproject.toml").write_text(
            f'[tool.simulate.agents.it]\naddress = "{address}"\n{asks}\n'
        )
        (tmp_path / "s.yaml").write_text(
            "name: s\nagent: it\nopens_with: hi\nexpect: [{not_said: {contains: nowhere}}]\n"
        )
        code, megabytes, told = peak(["run", "s.yaml", "--out", "r"], tmp_path)
        server.shutdown()
    assert code == 0, told[-2000:]
    assert megabytes < most


def _zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", data)
    return packed.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc")
@pytest.mark.parametrize("form", ["gz", "gz of lines", "gz in gz", "zip"])
def test_a_bomb_of_a_megabyte_takes_less_than_100(form: str, tmp_path: Path) -> None:
    blank = b"\n" if form == "gz of lines" else b" "
    data = b'{"resourceSpans":[' + blank * 300_000_000 + b"]}"
    packed = _zipped(data) if form == "zip" else gzip.compress(data, 6)
    packed = gzip.compress(packed) if form == "gz in gz" else packed
    del data
    (tmp_path / "bomb").write_bytes(packed)
    code, megabytes, told = peak(["trace", "show", "bomb"], tmp_path)
    assert code == 2, told[-2000:]
    assert "times its size" in told
    assert megabytes < 100


RECEIVES = """
import asyncio, gzip, re, sys, urllib.error, urllib.request
from simulate.trace.capture import Capture

def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

def post(url, body, encoding):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": encoding}
    try:
        return urllib.request.urlopen(urllib.request.Request(url, body, headers)).status
    except urllib.error.HTTPError as error:
        return error.code

async def main():
    async with Capture(receiver=True) as capture:
        url = f"{capture.endpoint}/v1/traces"
        await asyncio.to_thread(post, url, b"", "identity")
        body, before = open(sys.argv[1], "rb").read(), most()
        codes = await asyncio.gather(*(asyncio.to_thread(post, url, body, "gzip") for _ in range(8)))
        print(*sorted(set(codes)), most() - before)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no /proc")
@pytest.mark.parametrize("form", ["bomb", "members"])
def test_what_eight_clients_send_at_once_to_the_receiver_takes_less_than_100(
    form: str, tmp_path: Path
) -> None:
    one = gzip.compress(b"", mtime=0)
    packed = gzip.compress(bytes(1_000_000_000), 6) if form == "bomb" else one * (8_000_000 // len(one))
    (tmp_path / "body").write_bytes(packed)
    done = subprocess.run(
        [sys.executable, "-c", RECEIVES, str(tmp_path / "body")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    code, megabytes = map(int, done.stdout.split())
    assert code == 413
    # for one of the bombs 16 are unpacked before it counts how small it was
    assert megabytes < 100
