"""``simulate diff --judge``: answers by meaning, asked of a model server that speaks OpenAI's wire."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.interfaces.cli.main import main
from simulate.trace.files.writing import write_otlp_json

ALIKE = {"It is sunny.", "The sun shines."}


def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Says yes where both speak of the sun."""
    shown = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
    letters = {label: letter for letter, label in shown}
    asked = re.search(r"whichever of its lines\?\n(\".*\")", messages[0]["content"])
    data = [json.loads(line) for line in messages[1]["content"].splitlines() if line.startswith("{")]
    material = {key: value for part in data for key, value in part.items()}
    line = material["what the agent said"][0]["text"]
    label = "yes" if asked and {json.loads(asked[1]), line} <= ALIKE else "no"
    return {"content": json.dumps({"evidence": [line], "reason": "so", "answer": letters[label]})}


@pytest.fixture
def url() -> Iterator[str]:
    server, loop = ModelServer(brains={"judge": brain}), asyncio.new_event_loop()
    stop, ready = asyncio.Event(), threading.Event()

    async def serve() -> None:
        async with server.running():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield server.url
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_the_judge_takes_back_what_means_the_same(
    scene: Any, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def written(name: str, seed: int, answer: str) -> str:
        story = scene(seed).caller("Weather?")
        story.model(answer)
        write_otlp_json(tmp_path / name, story.trace.spans)
        return str(tmp_path / name)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = f'[tool.simulate.models]\njudge = {{ base_url = "{url}", model = "judge" }}\n'
    (tmp_path / "pyproject.toml").write_text(config, "utf-8")
    sunny, shines, rainy = (
        written(f"{seed}.json", seed, answer)
        for seed, answer in enumerate(["It is sunny.", "The sun shines.", "It rains."])
    )
    assert main(["diff", sunny, shines]) == 1
    assert main(["diff", sunny, shines, "--judge"]) == 0
    capsys.readouterr()
    assert main(["diff", sunny, rainy, "--judge"]) == 1
    assert "turn 1 answers something else" in capsys.readouterr().out


def test_without_a_judge_it_is_refused_before_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert main(["diff", "absent.json", "absent.json", "--judge"]) == 2
    assert "no judge is configured" in capsys.readouterr().err
