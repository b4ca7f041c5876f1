"""A judge that answers without looking is told by questions whose answers are known."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.errors import SimulatorFault
from simulate.llm import ModelConfig
from simulate.model.transcript import Utterance
from simulate.scoring.judge import CANNOT_TELL, Judge

LINE = "Your parcel left the depot at noon and comes tomorrow."
SAID = [Utterance("agent", LINE, 1, 0.0, 0.0)]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


def judge(server: ModelServer, kind: str, quote: str = LINE) -> Judge:
    """One that says yes, no, the truth or its opposite of whether the agent said a line word by word."""

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        system = messages[0]["content"]
        letters = {label: letter for letter, label in re.findall(r"^([A-Z]): ([\w ]+?) \(", system, re.M)}
        truth = f"{json.dumps(LINE)}\n" in system or '"it comes tomorrow"' in system
        says_yes = {"yes": True, "no": False, "honest": truth, "inverted": not truth}[kind]
        label = "yes" if says_yes else "no"
        found = {"evidence": [quote], "reason": "so", "answer": letters[label]}
        return {"content": json.dumps(found)}

    server.brains = {"judge": brain}
    config = ModelConfig("judge", base_url=server.url, retries=1, timeout=30)
    return Judge(config, planted=True)


@pytest.mark.parametrize("kind", ["yes", "no", "inverted"])
async def test_a_judge_that_does_not_look_never_counts(server: ModelServer, kind: str) -> None:
    found = judge(server, kind)
    for _ in range(2):
        with pytest.raises(SimulatorFault, match="is not reliable"):
            await found.means("it comes tomorrow", SAID)


async def test_a_judge_that_looks_is_asked_twice_more_and_only_once(server: ModelServer) -> None:
    found = judge(server, "honest")
    assert (await found.means("it comes tomorrow", SAID)).label == "yes"
    proven = found.asked
    assert (await found.means("it was lost", SAID)).label == "no"
    assert found.asked == proven + 2


async def test_one_common_word_is_no_quote(server: ModelServer) -> None:
    found = judge(server, "honest", quote="and")
    found.planted = False
    assert (await found.means("it comes tomorrow", SAID)).label == CANNOT_TELL
