"""A judge that answers without looking is told by questions whose answers are known."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fixtures.agents.model_server import ModelServer
from simulate.errors import Fault, SimulatorFault
from simulate.llm import ModelConfig
from simulate.model.transcript import Utterance
from simulate.scoring.judge import CANNOT_TELL, Judge

LINE = "Your parcel left the depot at noon and comes tomorrow."
SAID = [Utterance("agent", LINE, 1, 0.0, 0.0)]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer().running() as running:
        yield running


def brain_of(kind: str) -> Callable[..., dict[str, Any]]:
    """Answers that nobody should believe, by what is asked."""
    turns = itertools.count()

    def brain(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
        letters = re.findall(r"^([A-Z]): ([\w ]+?) \(", messages[0]["content"], re.M)
        at = {label: letter for letter, label in letters}

        def told(label: str, quote: str = LINE) -> str:
            return json.dumps({"evidence": [quote], "reason": "so", "answer": at[label]})

        turn = next(turns)
        said = {
            "one common word": told("yes", "your"),
            "echo": messages[-1]["content"],
            "in prose": f"I think it is {told('yes')} in the end.",
            "cut off": told("yes")[:-8],
            "refusal": "I'm sorry, but I can't help with that.",
            "nothing": "",
            "the first": told(letters[0][1]),
            "the last": told(letters[-1][1]),
            "both": told("yes") + told("no"),
            "by turns": told(("yes", "no")[turn % 2]),
            "by questions": told(("yes", "no")[turn // 2 % 2]),
            "by pairs of questions": told(("yes", "no")[turn // 4 % 2]),
        }
        return {"content": said[kind]}

    return brain


BAD = (
    *(
        "one common word",
        "echo",
        "in prose",
        "cut off",
        "refusal",
        "nothing",
        "the first",
        "the last",
        "both",
    ),
    *("by turns", "by questions", "by pairs of questions"),
)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("statement", ["it comes tomorrow", "it was lost"])
async def test_no_such_judge_decides(server: ModelServer, kind: str, statement: str) -> None:
    server.brains = {"judge": brain_of(kind)}
    found = Judge(ModelConfig("judge", base_url=server.url, retries=1, timeout=30), planted=True)
    with pytest.raises(SimulatorFault):
        await found.means(statement, SAID)


async def test_a_judge_that_does_not_answer_in_time_decides_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.release()

    left = asyncio.Semaphore(0)
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        found = Judge(ModelConfig("judge", base_url=url, retries=0, timeout=0.2), planted=True)
        with pytest.raises(Fault) as fault:
            await found.means("it comes tomorrow", SAID)
        for _ in range(found.asked):
            await left.acquire()
    assert fault.value.side != "agent"


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
    assert proven == 10, "two planted questions, twice, and the one that was asked, each in two orders"


async def test_one_common_word_is_no_quote(server: ModelServer) -> None:
    found = judge(server, "honest", quote="and")
    found.planted = False
    assert (await found.means("it comes tomorrow", SAID)).label == CANNOT_TELL
