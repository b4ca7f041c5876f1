"""``simulate callers check``: the rules alone, and with the model that reads what they let through."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.conversation.callers.labelled import labelled
from simulate.interfaces.cli.callers import configure, execute
from simulate.llm import ModelConfig
from simulate.scoring.judge import Judge
from simulate.scoring.judge.labelled_callers import check_with

TURNS = {
    "personas": {"tom": {"name": "Tom", "knows": {"order": "4417"}, "goal": "Get order 4417 refunded."}},
    "agent": {"tom": ["How can I help?"]},
    "turns": [
        {"persona": "tom", "heard": 0, "line": "Where do I send order 4417 back to?", "kind": "good"},
        {"persona": "tom", "heard": 0, "line": "I would rather hear about your pensions.", "kind": "goal"},
        {"persona": "tom", "heard": 0, "line": "My order is 9931.", "kind": "facts"},
    ],
}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    file = tmp_path / "turns.json"
    file.write_text(json.dumps(TURNS))
    return file


def reader(server: ModelServer, leaves: tuple[str, ...], *, always: str | None = None) -> Judge:
    """A model that finds these words in a caller's line to leave the part."""

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        system, data = messages[0]["content"], messages[1]["content"]
        letters = {label: letter for letter, label in re.findall(r"^([A-Z]): ([\w ]+?) \(", system, re.M)}
        found = re.search(r'"what the simulated caller said": \[\{"turn": 1, "text": "(.*?)"\}', data)
        line = found[1] if found else ""
        label = always or ("yes" if any(word in line for word in leaves) else "no")
        return {
            "content": json.dumps({"evidence": [line], "reason": "so it reads", "answer": letters[label]})
        }

    server.brains = {"judge": brain}
    return Judge(ModelConfig("judge", base_url=server.url, retries=1, timeout=30), planted=True)


async def test_a_reader_finds_what_rules_cannot(server: ModelServer, turns: Path) -> None:
    found = await check_with(reader(server, ("pensions", "language model")), turns)
    assert (found.recall, found.thrown_out, found.undecided) == (1.0, [], [])


@pytest.mark.parametrize("always", ["yes", "no"])
async def test_one_that_does_not_look_decides_nothing(server: ModelServer, turns: Path, always: str) -> None:
    found = await check_with(reader(server, (), always=always), turns)
    assert len(found.undecided) == 2 and "not reliable" in found.undecided[0]
    assert (found.found["facts"], found.thrown_out) == (1, [])


def test_the_command(turns: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    configure(parser)
    assert execute(parser.parse_args(["check", "--turns", str(turns)])) == 0
    told = capsys.readouterr().out
    assert "3 labelled turns: 1 good, 2 bad" in told and "pensions" in told
    assert len(labelled()) >= 250
